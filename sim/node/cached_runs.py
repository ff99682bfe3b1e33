"""What the KV cache of a node still has of prompts, in runs of blocks instead of single ones.

A run is a stretch of tokens of one origin, such as a system prompt, a conversation or the rest of one prompt.
Runs form a tree, since a block is worth something only with all blocks before it. Whatever happens, the
blocks that are present of a run are its first ones, and of those the first are held by somebody who runs. So
to find, hold and give back a prompt costs the number of its runs, however many blocks they have.
"""

from collections import OrderedDict
from collections.abc import Hashable

Path = tuple[tuple[Hashable, int], ...]
"""The origins of a sequence's tokens from its first on, each with the number of tokens up to its end."""


class Run:
    """Its blocks from `first` to `present` are in the cache, and those before `held` cannot be evicted.

    Invariant: of two blocks of a path the one ahead is held by no fewer, and was used no earlier.
    """

    __slots__ = ("children", "extents", "first", "held", "key", "parent", "present", "unused")

    def __init__(self, parent: "Run | None", key: tuple[Hashable, int], first: int) -> None:
        self.parent = parent
        self.key = key
        """Its name and first token: where a prompt leaves its parent, others may go on."""
        self.first = self.held = self.present = first
        self.extents: dict[int, int] = {}
        """How many hold it up to which block."""
        self.unused: list[UnusedBlocks] = []
        """From `present` down to `held`; the first is evicted first."""
        self.children: dict[tuple[Hashable, int], Run] = {}


class UnusedBlocks:
    """Neighbours in a run that were given back together."""

    __slots__ = ("end", "run", "start")

    def __init__(self, run: Run, start: int, end: int) -> None:
        self.run = run
        self.start = start
        self.end = end


class Holding:
    """The first `blocks` of a sequence that runs, as far as it holds them by name."""

    __slots__ = ("blocks", "common", "earlier", "limit", "path", "run")

    def __init__(self, path: Path, common: int) -> None:
        self.path = path
        self.common = common
        """Blocks that others can ask for while it runs."""
        self.blocks = 0
        self.run: Run | None = None
        """The last run that it has blocks of, and `limit` is the block at which the sequence leaves it."""
        self.limit = 0
        self.earlier: tuple[tuple[Run, int], ...] = ()
        """Those before, each with the block at which it was left."""


class CachedRuns:
    """Blocks that nobody holds stay until they are evicted: the least recently used first.

    Of those that one sequence gave back the last goes first, as in vLLM: the ones ahead serve more prompts.
    """

    def __init__(self, block_size: int) -> None:
        self._size = block_size
        self._root = Run(None, ("", 0), 0)
        self._unused: OrderedDict[UnusedBlocks, None] = OrderedDict()
        self.present = 0
        """Blocks with contents that can be found."""
        self.unused = 0
        """Those of them that nobody holds."""

    def find(self, path: Path, most: int) -> tuple[int, int]:
        """How many of the first `most` blocks of `path` are present in a row, and how many of those held."""
        run, start, found, held = self._root, 0, 0, 0
        for name, end in path:
            child = run.children.get((name, start))
            if child is None:
                break
            whole = end // self._size
            last = min(whole, most, child.present)
            found = max(found, last)
            if child.held > child.first:
                held = min(child.held, last)
            if last < whole:
                break
            run, start = child, end
        return found, held

    def hold(self, holding: Holding, blocks: int) -> None:
        """Its first `blocks`. Those that are not present become so."""
        self._extend(holding, blocks, behind_others=True)

    def add(self, holding: Holding, blocks: int) -> None:
        """Its first `blocks`, of which it has computed those that it does not hold by name yet.

        What somebody else has added meanwhile it has twice: there it adds nothing until those are evicted.
        """
        self._extend(holding, blocks, behind_others=False)

    def _extend(self, holding: Holding, blocks: int, *, behind_others: bool) -> None:
        if blocks <= holding.blocks:
            return
        if blocks > holding.limit:
            self._extend_far(holding, blocks, behind_others=behind_others)
            return
        run = holding.run
        assert run is not None, "a limit is that of a run"
        if behind_others or run.present == holding.blocks:
            _count_off(run.extents, holding.blocks)
            self._reach(holding, run, blocks)

    def _extend_far(self, holding: Holding, blocks: int, *, behind_others: bool) -> None:
        """Into further runs of its path."""
        size = self._size
        parent, start = self._root, 0
        for name, end in holding.path:
            key = name, start
            run = parent.children.get(key)
            if run is None:
                run = parent.children[key] = Run(parent, key, start // size)
            limit = end // size
            last = min(limit, blocks)
            if last > holding.blocks:
                if run.present > holding.blocks and not behind_others:
                    return
                if run is holding.run:
                    _count_off(run.extents, holding.blocks)
                else:
                    if holding.run is not None:
                        holding.earlier += ((holding.run, holding.blocks),)
                    holding.run, holding.limit = run, limit
                self._reach(holding, run, last)
            if last == blocks:
                return
            parent, start = run, end

    def _reach(self, holding: Holding, run: Run, last: int) -> None:
        holding.blocks = last
        extents = run.extents
        extents[last] = extents.get(last, 0) + 1
        if last > run.held:
            if run.unused:
                self._use(run, last)
            run.held = last
            if last > run.present:
                self.present += last - run.present
                run.present = last

    def _use(self, run: Run, last: int) -> None:
        """Nobody evicts those before `last` any more."""
        unused = run.unused
        while unused and unused[-1].start < last:
            some = unused[-1]
            used = min(some.end, last) - some.start
            self.unused -= used
            some.start += used
            if some.start == some.end:
                unused.pop()
                del self._unused[some]

    def release(self, holding: Holding) -> None:
        """All that it holds. What nobody else does can be evicted, from the end of the sequence on."""
        if holding.run is not None:
            self._release(holding.run, holding.blocks)
        for run, last in reversed(holding.earlier):
            self._release(run, last)

    def _release(self, run: Run, last: int) -> None:
        extents = run.extents
        _count_off(extents, last)
        if last == run.held and last not in extents:
            held = run.held = max(extents) if extents else run.first
            some = UnusedBlocks(run, held, last)
            run.unused.append(some)
            self._unused[some] = None
            self.unused += last - held

    def evict(self, blocks: int) -> None:
        """So many that nobody holds."""
        assert blocks <= self.unused, (blocks, self.unused)
        self.unused -= blocks
        self.present -= blocks
        while blocks:
            some = next(iter(self._unused))
            run = some.run
            assert run.present == some.end, "blocks are evicted from the end"
            lasting = some.end - some.start - blocks
            if lasting > 0:
                run.present = some.end = some.start + lasting
                return
            blocks = -lasting
            run.present = some.start
            del self._unused[some]
            del run.unused[0]
            _prune(run)


def _count_off(extents: dict[int, int], last: int) -> None:
    if extents[last] == 1:
        del extents[last]
    else:
        extents[last] -= 1


def _prune(run: Run) -> None:
    """Forget it, and those before it, where nothing is left."""
    while run.parent is not None and run.present == run.first and not run.extents and not run.children:
        del run.parent.children[run.key]
        run = run.parent
