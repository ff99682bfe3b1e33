"""A KV pool with a prefix cache as plain as can be: every block by itself, under all that comes before it."""

from collections import OrderedDict
from typing import Any

from sim.node.kernel import SharedPrompt
from sim.node.kv_pool import CountingPool
from sim.node.work import Work
from traffic.request import Prefix

Path = tuple[tuple[Any, int], ...]
Key = int
"""A number for the origins of all tokens of a prompt up to the end of a block."""


class NaivePrefixPool(CountingPool):
    def __init__(self, blocks: int, block_size: int) -> None:
        super().__init__(blocks, block_size)
        self.holders: dict[Key, int] = {}
        self.unused: OrderedDict[Key, None] = OrderedDict()
        self.blank = blocks
        self.evicted = 0
        self._keys: dict[Path, list[Key]] = {}
        self._numbers: dict[Path, Key] = {}
        self._named: dict[Work, int] = {}

    def keys(self, path: Path, blocks: int) -> list[Key]:
        """Of the first `blocks` blocks: the origins of all tokens up to their ends."""
        found = self._keys.setdefault(path, [])
        starts = (0, *(end for _, end in path[:-1]))
        for block in range(len(found) + 1, blocks + 1):
            origins = [
                (name, min(end, block * self._size))
                for (name, end), start in zip(path, starts, strict=True)
                if start < min(end, block * self._size)
            ]
            found.append(self._numbers.setdefault(tuple(origins), len(self._numbers)))
        return found[:blocks]

    def _of(self, work: Work, tokens: int) -> list[Key]:
        sequence = work.sequence
        path: Path = sequence.prefix
        if isinstance(sequence.shared_prompt, SharedPrompt):
            path = tuple((name, min(end, sequence.prompt_tokens)) for name, end in path)
            path += ((sequence.shared_prompt, sequence.prompt_tokens),)
        return self.keys((*path, (work, 1 << 62)), tokens // self._size)

    def _present(self, keys: list[Key]) -> int:
        return next((i for i, key in enumerate(keys) if key not in self.holders), len(keys))

    def cached_tokens(self, prefix: Prefix, prompt_tokens: int) -> int:
        tokens = min(prompt_tokens - 1, prefix[-1][1]) if prefix else 0
        return self._present(self.keys(prefix, tokens // self._size)) * self._size

    def _needs(self, work: Work, left: int) -> tuple[int, int, int, int]:
        """Blocks found, tokens that need no work, tokens that do, free blocks wanted."""
        keys = self._of(work, work.goal - 1)
        found = self._present(keys)
        past = max(found * self._size, work.computed)
        new = min(work.goal - past, left)
        held = sum(self.holders[key] > 0 for key in keys[:found])
        return found, past, new, -(-(past + new) // self._size) - held

    def in_cache(self, work: Work) -> int:
        return self._needs(work, 1)[1]

    def fits(self, work: Work, left: int, free: int) -> bool:
        return self._needs(work, left)[3] <= free

    def admit(self, work: Work, left: int) -> int:
        found, past, new, wanted = self._needs(work, left)
        if wanted > self.free:
            return 0
        for key in self._of(work, found * self._size):
            self._hold(key)
        self._named[work] = found
        self.take(-(-(past + new) // self._size) - found)
        self._name(work, past + new)
        work.cached = past
        if work.sequence.started_ps < 0:
            work.sequence.cached_tokens = found * self._size
        return new

    def _hold(self, key: Key) -> None:
        if not self.holders[key]:
            del self.unused[key]
            self.free -= 1
        self.holders[key] += 1

    def _name(self, work: Work, tokens: int) -> None:
        """Those that are its own alone have a name when they are given back."""
        sequence = work.sequence
        if sequence.shared_prompt is not None:
            tokens = min(tokens, sequence.prompt_tokens)
        else:
            tokens = min(tokens, work.goal, sequence.prefix[-1][1] if sequence.prefix else 0)
        for key in self._of(work, tokens)[self._named[work] :]:
            if key in self.holders:
                return
            self.holders[key] = 1
            self._named[work] += 1

    def grow(self, work: Work, held: int, tokens: int) -> None:
        self.take(-(-tokens // self._size) + -held // self._size)
        if held < work.goal:
            self._name(work, tokens)

    def take(self, blocks: int) -> None:
        self.free -= blocks
        self.blank -= blocks
        while self.blank < 0:
            key, _ = self.unused.popitem(last=False)
            del self.holders[key]
            self.blank += 1
            self.evicted += 1

    def shrink(self, work: Work, held: int, tokens: int) -> None:
        self.take(-self.more(work, tokens, held))

    def give_back(self, work: Work, tokens: int) -> None:
        named, keys = self._named.pop(work), self._of(work, tokens)
        if tokens % self._size:
            self.blank += 1
            self.free += 1
        for key in keys[named:]:
            if key in self.holders:
                self._hold(key)
                self.blank += 1
                self.free += 1
            else:
                self.holders[key] = 1
        for key in reversed(keys):
            self.holders[key] -= 1
            if not self.holders[key]:
                self.unused[key] = None
                self.free += 1

    def reset(self) -> None:
        super().reset()
        self.holders.clear()
        self.unused.clear()
        self._named.clear()
        self.blank = self.blocks
