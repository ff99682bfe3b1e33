"""How long one step of a node takes.

Everything here is an integer of picoseconds: the sum of k steps of an affine law is then exact to the bit,
whether it is added up step by step or by closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Chunk = tuple[int, int]
"""A piece of prompt in one step: (new tokens, tokens of the same sequence already in the KV cache)."""


class StepTime(Protocol):
    """A hardware's step-time law."""

    def step_ps(self, chunks: Sequence[Chunk], decodes: int, kv_tokens: int) -> int:
        """Duration of a step over these prompt chunks and `decodes` decoding sequences.

        `kv_tokens` is the sum, over the decoding sequences, of the tokens cached before the step.
        """
        ...


@dataclass(frozen=True, slots=True)
class AffineStepTime:
    """`dense[T] + token*P + pair*pairs + chunk*C + decode*D + kv*KV`, affine while a batch keeps its members.

    P prompt tokens in C chunks, D decoding sequences, T = P + D. An attention pair is one new token looking
    at one cached or new token: a chunk of n tokens over `past` makes `max(n, tile)*past + n(n+1)/2` of them,
    because kernels read the past in tiles of at least `prefill_tile_tokens` rows.
    A KV token costs `mixed_kv_ps` instead of `kv_ps` when the step also holds prompt tokens, and such a step
    takes `prompts_ps` more, whatever they are.

    What would cost nothing takes a picosecond, so that time goes on: a law may be all zeros. It stays affine,
    since no coefficient is negative: steps that grow from one to the next have pairs or KV tokens that cost
    something, hence are longer than that already, and those that do not grow are a picosecond each.
    """

    dense_ps: tuple[int, ...]
    """Indexed by T; the last entry holds beyond the end."""
    token_ps: int = 0
    pair_ps: int = 0
    chunk_ps: int = 0
    decode_ps: int = 0
    kv_ps: int = 0
    mixed_kv_ps: int = 0
    prompts_ps: int = 0
    prefill_tile_tokens: int = 0
    shared_ps: tuple[int, ...] = ()
    """What ranks that keep step do together, by the tokens of all of them; the law is that of one rank."""

    def __post_init__(self) -> None:
        assert self.dense_ps, "a law needs at least one dense entry"
        prices = (self.token_ps, self.pair_ps, self.chunk_ps, self.decode_ps, self.kv_ps, self.mixed_kv_ps)
        least = min(*self.dense_ps, *prices, self.prompts_ps, self.prefill_tile_tokens)
        assert least >= 0, f"{self}: negative durations"

    def dense(self, tokens: int) -> int:
        table = self.dense_ps
        return table[tokens] if tokens < len(table) else table[-1]

    def shared(self, tokens: int) -> int:
        """So many tokens of all ranks together."""
        return self.shared_ps[tokens] if self.shared_ps else 0

    def step_ps(self, chunks: Sequence[Chunk], decodes: int, kv_tokens: int) -> int:
        if not chunks:
            table = self.dense_ps  # as `dense` does; most stretches of steps have no chunks
            dense_ps = table[decodes] if decodes < len(table) else table[-1]
            return dense_ps + self.decode_ps * decodes + self.kv_ps * kv_tokens or 1
        new_tokens = pairs = 0
        for new, past in chunks:
            new_tokens += new
            pairs += max(new, self.prefill_tile_tokens) * past + new * (new + 1) // 2
        return (
            self.dense(new_tokens + decodes)
            + self.token_ps * new_tokens
            + self.pair_ps * pairs
            + self.chunk_ps * len(chunks)
            + self.decode_ps * decodes
            + self.mixed_kv_ps * kv_tokens
            + self.prompts_ps
        ) or 1

    def alike_ps(self, number: int, chunk: Chunk, decodes: int, kv_tokens: int) -> int:
        """As `step_ps` of `number` times the same chunk, whatever their number for the same work."""
        if not number:
            return self.step_ps((), decodes, kv_tokens)
        new, past = chunk
        pairs = max(new, self.prefill_tile_tokens) * past + new * (new + 1) // 2
        return (
            self.dense(number * new + decodes)
            + number * (self.token_ps * new + self.pair_ps * pairs + self.chunk_ps)
            + self.decode_ps * decodes
            + self.mixed_kv_ps * kv_tokens
            + self.prompts_ps
        ) or 1


def slowed(law: AffineStepTime, factor: float) -> AffineStepTime:
    """Every step takes `factor` times as long, to the picosecond of each of its coefficients."""
    return AffineStepTime(
        dense_ps=tuple(round(entry * factor) for entry in law.dense_ps),
        token_ps=round(law.token_ps * factor),
        pair_ps=round(law.pair_ps * factor),
        chunk_ps=round(law.chunk_ps * factor),
        decode_ps=round(law.decode_ps * factor),
        kv_ps=round(law.kv_ps * factor),
        mixed_kv_ps=round(law.mixed_kv_ps * factor),
        prompts_ps=round(law.prompts_ps * factor),
        prefill_tile_tokens=law.prefill_tile_tokens,
        shared_ps=tuple(round(entry * factor) for entry in law.shared_ps),
    )
