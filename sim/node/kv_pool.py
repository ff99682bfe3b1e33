"""Where the KV cache of a node has room, in blocks of `block_size` tokens.

Both kernels share one such object. They take the blocks of a step when they plan it, the present members of
the batch before anybody new, and those of a whole stretch of steps before anybody who ends there gives back.
So a pool sees the same calls from either, but for steps in a row that are taken as one.
"""

from abc import ABC, abstractmethod

from sim.node.work import Work
from traffic.request import Prefix


class KvPool(ABC):
    """A class, as compiled code finds members of one by their place, and not by name."""

    __slots__ = ("blocks", "free")

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        """In all."""
        self.free = blocks
        """Not held by anybody. Never negative: an engine asks before it takes."""

    @abstractmethod
    def admit(self, work: Work, left: int) -> int:
        """Take the blocks of the first step of `work`, which waits and may compute `left` tokens in it.

        Answers how many it computes, one at least, and notes in `work.cached` the tokens that need no work.
        Where too few blocks are free the answer is 0 and nothing has changed. That stays so while the batch
        keeps its members, as blocks only get fewer: a planned stretch of steps relies on it.
        """
        ...

    @abstractmethod
    def fits(self, work: Work, left: int, free: int) -> bool:
        """Whether `admit` would take it if so many blocks were free."""
        ...

    @abstractmethod
    def in_cache(self, work: Work) -> int:
        """Tokens of `work`, which waits, that would need no work."""
        ...

    @abstractmethod
    def cached_tokens(self, prefix: Prefix, prompt_tokens: int) -> int:
        """Tokens of such a prompt that would be found, whoever left them."""
        ...

    @abstractmethod
    def more(self, work: Work, held: int, tokens: int) -> int:
        """Free blocks that `work`, which runs and holds `held` tokens, needs to hold `tokens`."""
        ...

    @abstractmethod
    def grow(self, work: Work, held: int, tokens: int) -> None:
        """Take those."""
        ...

    @abstractmethod
    def take(self, blocks: int) -> None:
        """For sequences that decode, all together."""
        ...

    @abstractmethod
    def shrink(self, work: Work, held: int, tokens: int) -> None:
        """Of `work`, which runs and was given room for `held` tokens, those behind `tokens` have no use."""
        ...

    @abstractmethod
    def give_back(self, work: Work, tokens: int) -> None:
        """`work` runs no more, and held that many."""
        ...

    @abstractmethod
    def reset(self) -> None:
        """Everybody is gone at once, whatever they held."""
        ...


class CountingPool(KvPool):
    """Blocks without identity: nothing is found again, but the prompt that completions share while they run.

    Invariant: a shared prompt is in `_holders` from the admission of the first that holds it to the release
    of the last, and then its blocks `_shareable` are counted once. They are all there when a second one is
    admitted: only the token budget cuts a prefill short, and then the step has no token left for anybody new.
    """

    __slots__ = ("_holders", "_size")

    def __init__(self, blocks: int, block_size: int) -> None:
        KvPool.__init__(self, blocks)
        self._size = block_size
        self._holders: dict[object, int] = {}  # running sequences, by shared prompt

    def admit(self, work: Work, left: int) -> int:
        size = self._size
        past, found = work.computed, 0
        prompt = work.sequence.shared_prompt
        if prompt is not None:
            past, found = self._found(work)
        new = min(work.goal - past, left)
        blocks = -(-(past + new) // size) - found
        if blocks > self.free:
            return 0
        self.free -= blocks
        if prompt is not None:
            self._holders[prompt] = self._holders.get(prompt, 0) + 1
        work.cached = past
        return new

    def fits(self, work: Work, left: int, free: int) -> bool:
        past, found = self._found(work)
        tokens = past + min(work.goal - past, left)
        return -(-tokens // self._size) - found <= free

    def in_cache(self, work: Work) -> int:
        past, _ = self._found(work)
        return past

    def cached_tokens(self, prefix: Prefix, prompt_tokens: int) -> int:
        del prefix, prompt_tokens
        return 0

    def _found(self, work: Work) -> tuple[int, int]:
        """Tokens that need no work, and the blocks of them that are held already."""
        if work.sequence.shared_prompt not in self._holders:
            return work.computed, 0
        found = self._shareable(work)
        return max(work.computed, found * self._size), found

    def more(self, work: Work, held: int, tokens: int) -> int:
        del work
        return -(-tokens // self._size) + -held // self._size

    def grow(self, work: Work, held: int, tokens: int) -> None:
        self.free -= self.more(work, held, tokens)

    def take(self, blocks: int) -> None:
        self.free -= blocks

    def shrink(self, work: Work, held: int, tokens: int) -> None:
        self.free += self.more(work, tokens, held)

    def give_back(self, work: Work, tokens: int) -> None:
        blocks = -(-tokens // self._size)
        prompt = work.sequence.shared_prompt
        if prompt is not None:
            self._holders[prompt] -= 1
            if self._holders[prompt]:
                blocks -= self._shareable(work)
            else:
                del self._holders[prompt]
        self.free += blocks

    def reset(self) -> None:
        self.free = self.blocks
        self._holders.clear()

    def _shareable(self, work: Work) -> int:
        """Full blocks of the prompt, without that of its last token, where each completion starts."""
        return (work.sequence.prompt_tokens - 1) // self._size
