"""A KV pool with vLLM's prefix caching: full blocks keep their contents until their place is needed.

Nothing here grows with the number of blocks: see `sim.node.cached_runs`.
"""

from collections.abc import Callable
from itertools import count

from sim.node.cache_log import CacheLog
from sim.node.cached_runs import CachedRuns, Holding, Path
from sim.node.kernel import BatchLimits
from sim.node.kv_pool import CountingPool, KvPool
from sim.node.work import Work
from traffic.request import Prefix

ENDLESS = 1 << 62
"""More tokens than any sequence has."""


LookedUp = Callable[[int, int], None]
"""So many tokens of a prompt were looked up, and so many of them found."""


class PrefixPool(KvPool):
    """By the rules of vLLM V1 (its `KVCacheManager` and `BlockPool`), but for the last two.

    - Full blocks are found, at most those before the last token: its logits start the answer. So where all is
      found, the last block is computed anew.
    - Blocks of a prompt have a name from the step that computes them: a second one admitted in it finds them.
    - A preempted sequence leaves its blocks like any other, and finds on its return what is left of them.
    - A block is taken from those without contents (they are first since 0.24), else it is the one least
      recently used, whoever's it was.
    - Blocks of an answer get their name when their sequence leaves, not as soon as they are full.
    - Who computes what somebody else has added meanwhile keeps a copy without a name, which loses its
      contents when given back. vLLM keeps both until evicted.

    While steps are planned ahead nobody comes or leaves, so blocks are only evicted then. Each eviction takes
    at most one block from what the head of the queue would find, and one of those that are free. So whoever
    lacks blocks lacks them until then.
    """

    def __init__(
        self,
        blocks: int,
        block_size: int,
        log: CacheLog | None = None,
        looked_up: LookedUp | None = None,
    ) -> None:
        """`log` is where lookups are written down, if anywhere; `looked_up` hears of the first of each."""
        super().__init__(blocks)  # free are those without contents, and those that can be evicted
        self._size = block_size
        self._runs = CachedRuns(block_size)
        self._holdings: dict[Work, Holding] = {}
        self._log = log
        self._looked_up = looked_up
        self._numbers = count()

    def cached_tokens(self, prefix: Prefix, prompt_tokens: int) -> int:
        found, _ = self._present().find(prefix, (prompt_tokens - 1) // self._size)
        return found * self._size

    def in_cache(self, work: Work) -> int:
        found, _ = self._find(work)
        return max(work.computed, found * self._size)

    def admit(self, work: Work, left: int) -> int:
        size, path, runs = self._size, self._path(work), self._present()
        found, held = runs.find(path, (work.goal - 1) // size)
        past = max(work.computed, found * size)
        new = min(work.goal - past, left)
        tokens = past + new
        blocks = -(-tokens // size)
        if blocks - held > self.free:
            return 0
        common = min(path[-2][1], work.goal) // size if len(path) > 1 else 0
        holding = self._holdings[work] = Holding(path, common)
        self.free -= blocks - held
        if found:
            runs.hold(holding, found)
        self._name(holding, tokens)
        work.cached = past
        if self._log is not None:
            self._log.add(path, work.goal, found * size)
        if work.sequence.started_ps < 0:
            work.sequence.cached_tokens = found * size
            if self._looked_up is not None:
                self._looked_up(work.sequence.prompt_tokens, found * size)
        return new

    def fits(self, work: Work, left: int, free: int) -> bool:
        found, held = self._find(work)
        past = max(work.computed, found * self._size)
        tokens = past + min(work.goal - past, left)
        return -(-tokens // self._size) - held <= free

    def _find(self, work: Work) -> tuple[int, int]:
        return self._present().find(self._path(work), (work.goal - 1) // self._size)

    def more(self, work: Work, held: int, tokens: int) -> int:
        del work
        return -(-tokens // self._size) + -held // self._size

    def grow(self, work: Work, held: int, tokens: int) -> None:
        self.free -= -(-tokens // self._size) + -held // self._size
        if held < work.goal:
            self._name(self._holdings[work], tokens)

    def _name(self, holding: Holding, tokens: int) -> None:
        """Those of a prompt that others can ask for. The rest is early enough when it leaves."""
        if holding.common > holding.blocks:
            self._present().add(holding, min(tokens // self._size, holding.common))

    def take(self, blocks: int) -> None:
        self.free -= blocks

    def shrink(self, work: Work, held: int, tokens: int) -> None:
        self._present()  # what was evicted for it stays so
        self.free += self.more(work, tokens, held)

    def _present(self) -> CachedRuns:
        """What has not been taken yet. Which blocks that were, nobody knows until somebody looks."""
        runs = self._runs
        taken = runs.unused - self.free
        if taken > 0:
            runs.evict(taken)
        return runs

    def give_back(self, work: Work, tokens: int) -> None:
        runs, holding = self._present(), self._holdings.pop(work)
        nameless = -(-tokens // self._size) - holding.blocks
        before = runs.present - runs.unused
        runs.hold(holding, tokens // self._size)
        runs.release(holding)
        # What nobody holds by name any more is free, and so is what had no name and got none.
        self.free += nameless + before - (runs.present - runs.unused)

    def _path(self, work: Work) -> Path:
        """The prompt as its request names it, then what is nobody else's, for when it comes back itself.

        Completions of one prompt share the whole of it, and each has an answer of its own.
        """
        sequence = work.sequence
        prefix, shared = sequence.prefix, sequence.shared_prompt
        own = getattr(work, "own_blocks", None)
        if own is None:
            own = work.own_blocks = next(self._numbers)
        if shared is None:
            return (*prefix, (own, ENDLESS))
        tokens = sequence.prompt_tokens
        within = tuple((name, min(end, tokens)) for name, end in prefix)
        return (*within, (shared, tokens), (own, ENDLESS))

    def reset(self) -> None:
        """Nothing is found again: who knows what the step that was lost has evicted."""
        self.free = self.blocks
        self._runs = CachedRuns(self._size)
        self._holdings.clear()


def kv_pool(
    limits: BatchLimits,
    *,
    enable_prefix_caching: bool,
    log: CacheLog | None = None,
    looked_up: LookedUp | None = None,
) -> KvPool:
    if enable_prefix_caching:
        return PrefixPool(limits.kv_blocks, limits.block_size, log, looked_up)
    return CountingPool(limits.kv_blocks, limits.block_size)
