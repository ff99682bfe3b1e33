"""The interface of a node's batching arithmetic.

A kernel is a state machine over integers that never sees SimPy, a clock or a float. What happened is returned
from `boundary`, never called back, so a caller that reacts at once cannot re-enter a half-updated kernel.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from hwmodels.step_time import StepTime
from traffic.request import Prefix


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """vLLM's names and meanings."""

    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int = 16
    kv_blocks: int = 1 << 40
    watermark_blocks: int = 0
    """Kept free when somebody enters beside others, for those who run to grow into."""

    def __post_init__(self) -> None:
        assert min(self.max_num_seqs, self.max_num_batched_tokens, self.block_size, self.kv_blocks) >= 1, self

    def blocks(self, tokens: int) -> int:
        """KV blocks that hold `tokens` of one sequence."""
        return -(-tokens // self.block_size)


class SharedPrompt:
    """The prompt that several completions of one request have in common.

    As under vLLM's prefix caching, its full KV blocks are computed once and held together: while one sequence
    holds them, another is admitted with them in its cache, and they come free with the last that lets go. At
    least the prompt's last token is left to compute for everybody, since its logits start each completion; so
    the block of that token is nobody else's, full or not.
    """

    __slots__ = ()


class Sequence:
    """One prompt and its completion inside one kernel. The kernel stamps it; the owner reads it."""

    __slots__ = (
        "cached_tokens",
        "first_ps",
        "generated",
        "hands_over",
        "key",
        "last_ps",
        "number",
        "output_tokens",
        "owner",
        "preemptions",
        "prefix",
        "priority",
        "prompt_tokens",
        "scratch",
        "shared_prompt",
        "started_ps",
        "stops",
    )

    def __init__(
        self,
        number: int,
        prompt_tokens: int,
        output_tokens: int,
        owner: Any = None,  # noqa: ANN401 -- whatever it is to who added it
        shared_prompt: SharedPrompt | None = None,
        priority: int = 0,
        key: str = "",
        prefix: Prefix = (),
    ) -> None:
        """`priority` and `key`, whose work it is, matter to the queue alone, and `prefix` to the KV pool."""
        assert prompt_tokens >= 1, prompt_tokens
        assert output_tokens >= 1, output_tokens
        self.number = number
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        self.owner: Any = owner
        self.shared_prompt = shared_prompt
        self.priority = priority
        self.key = key
        self.prefix = prefix
        self.cached_tokens = 0  # of the prompt, found in the prefix cache when it was first admitted
        self.started_ps = -1  # start of the first step that holds a part of it
        self.first_ps = (
            -1
        )  # end of the step that made its first token; stays -1 where that was made elsewhere
        self.last_ps = (
            -1
        )  # end of the step that made its last token, or the instant at which it was taken out
        self.generated = (
            0  # up to date whenever a Boundary hands the sequence out; `tokens_by` knows in between
        )
        self.preemptions = 0
        self.hands_over = False
        """It ends with its first token, and its KV blocks stay until `NodeKernel.release`."""
        self.stops = False
        """Its last token says that it ends there; else the engine knows where before it makes that token."""
        self.scratch: object = None  # the kernel's own

    def __repr__(self) -> str:
        return f"Sequence({self.number}, {self.prompt_tokens}+{self.output_tokens})"


@dataclass(slots=True, init=False)
class Boundary:
    """What one boundary brought, in the order of sequence numbers within each list."""

    next_ps: int | None
    """The next boundary, None when the node fell idle."""
    firsts: list[Sequence]
    """Got their first token now."""
    ended: list[Sequence]
    """Left now: complete where `generated == output_tokens`, taken out otherwise."""

    def __init__(self, next_ps: int | None, firsts: list[Sequence], ended: list[Sequence]) -> None:
        """As that of `Request`."""
        self.next_ps = next_ps
        self.firsts = firsts
        self.ended = ended


Stepped = Callable[[int, int], None]
"""So many steps ended, each of which computed so many tokens, of prompts and of answers together."""


class GapSink(Protocol):
    """Whom a kernel tells the gaps between consecutive tokens of a sequence, as they end."""

    @property
    def add(self) -> Callable[[bytes], None]:
        """Takes a row of `sim.node.gaps.stretch`."""
        ...

    def add_one(self, from_ps: int, to_ps: int) -> None: ...


class UnderWay(NamedTuple):
    """Steps that are over while a kernel has told nobody of them yet."""

    steps: int
    tokens: int
    """Computed by each, of prompts and of answers."""
    gaps: tuple[bytes, ...]
    """Between consecutive tokens, as rows of `sim.node.gaps.stretch`."""


NOTHING_UNDER_WAY = UnderWay(0, 0, ())


class NodeKernel(ABC):
    """A class, and no protocol, as `KvPool`.

    At one instant: tokens of the ending step, removals, additions by number, planning.

    `add`, `remove` and `change_law` answer the time at which `boundary` must be called next, or None while
    the kernel is idle. The answer is never later than the one before it, so a caller re-arms when it moved.
    Tell the kernel all that happens at one instant before that instant's `boundary`. What comes after it
    waits for the next one, and says so by `after_boundary`: a kernel that plans several steps at once has no
    `boundary` call at each of their ends, so it cannot know whether this instant's is over.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def steps(self) -> int:
        """Finished steps, as in all the counters below."""
        ...

    @property
    @abstractmethod
    def preemptions(self) -> int: ...

    @property
    @abstractmethod
    def busy_ps(self) -> int:
        """Total duration of the steps."""
        ...

    @property
    @abstractmethod
    def sequence_ps(self) -> int:
        """Sum over the steps of (sequences in the step) x (its duration). May pass 64 bits."""
        ...

    @property
    @abstractmethod
    def prompt_tokens_done(self) -> int:
        """Tokens prefilled, those computed again after a preemption included."""
        ...

    @property
    @abstractmethod
    def output_tokens_done(self) -> int: ...

    @abstractmethod
    def add(
        self,
        now_ps: int,
        sequence: Sequence,
        computed: int = 0,
        generated: int = 0,
        *,
        after_boundary: bool = False,
    ) -> int | None:
        """Queue `sequence`, which enters at the first boundary at or after now.

        `computed` tokens are already in the cache: they take KV blocks on admission but no prefill work.
        `generated` output tokens already exist, so the prefill covers `prompt_tokens + generated - computed`.
        The caller sees to it that prompt and output fit the KV pool together.
        """
        ...

    @abstractmethod
    def remove(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        """Take `sequence` out at the first boundary at or after now; a last token due then still counts.

        It comes back in that boundary's `ended`. Unknown or already ended sequences are the caller's bug.
        """
        ...

    @abstractmethod
    def release(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        """The KV blocks of what `sequence` handed over come free at the first boundary at or after now."""
        ...

    @abstractmethod
    def change_law(self, now_ps: int, law: StepTime, *, after_boundary: bool = False) -> int | None:
        """Steps that start at or after the next boundary follow `law`."""
        ...

    @abstractmethod
    def drain(self, now_ps: int) -> Boundary:
        """Everything leaves now and the kernel falls idle; the step in progress is lost.

        A step that ends exactly now has ended: its first tokens stand in `firsts`, and `ended` (everything
        that was inside) may hold complete sequences.
        """
        ...

    @abstractmethod
    def boundary(self, now_ps: int) -> Boundary:
        """End the step (or stretch of steps) that is due now and plan the next."""
        ...

    @abstractmethod
    def tokens_by(self, sequence: Sequence, at_ps: int) -> int:
        """Output tokens that existed at `at_ps`, for any time not after the next boundary.

        Needs a kernel made with `keep_schedule=True`. Holds for ended sequences too, as long as they are not
        added anew. Tokens made elsewhere (`generated` of `add`) always count.
        """
        ...

    @abstractmethod
    def output_tokens_by(self, now_ps: int, *, after_boundary: bool = False) -> int:
        """As `output_tokens_done`, also in the middle of a stretch of steps, for any time up to its end."""
        ...

    @abstractmethod
    def under_way(self, now_ps: int, *, after_boundary: bool = False) -> UnderWay:
        """What has been computed since the last `boundary`, for any time up to the next."""
        ...

    @abstractmethod
    def forget(self, before_ps: int) -> None:
        """Drop what only `tokens_by` at times before `before_ps` would need."""
        ...

    @abstractmethod
    def blocks_in_use(self, at_ps: int) -> int:
        """KV blocks held by the step that is under way at `at_ps`, between the last boundary and the next.

        At the instant at which a step ends it still counts, also after its boundary where that was inside a
        stretch of steps.
        """
        ...

    @abstractmethod
    def cached_tokens(
        self, now_ps: int, prefix: Prefix, prompt_tokens: int, *, after_boundary: bool = False
    ) -> int:
        """Tokens of such a prompt that its KV cache holds in the step that is under way."""
        ...

    @property
    @abstractmethod
    def free_blocks(self) -> int:
        """As planned by the last `boundary`: blocks of the step that it started are taken."""
        ...

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Sequences queued: those just added and those preempted included."""
        ...

    @property
    @abstractmethod
    def running(self) -> int: ...


class CountingKernel(NodeKernel):
    """Counts by itself, as it goes on."""

    __slots__ = ("_busy_ps", "_output_tokens_done", "_preemptions", "_prompt_tokens_done", "_sequence_ps")

    def __init__(self) -> None:
        self._preemptions = 0
        self._busy_ps = 0
        self._sequence_ps = 0
        self._prompt_tokens_done = 0
        self._output_tokens_done = 0

    @property
    def preemptions(self) -> int:
        return self._preemptions

    @property
    def busy_ps(self) -> int:
        return self._busy_ps

    @property
    def sequence_ps(self) -> int:
        return self._sequence_ps

    @property
    def prompt_tokens_done(self) -> int:
        return self._prompt_tokens_done

    @property
    def output_tokens_done(self) -> int:
        return self._output_tokens_done
