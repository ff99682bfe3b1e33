"""A table of timed steps as arrays: a row per step, and a row per prompt chunk of each step."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class StepTable:
    """Everything in tokens, sequences and ms. Counts are floats, since they only enter products."""

    name: str
    step_ms: FloatArray
    decodes: FloatArray
    kv_tokens: FloatArray
    """Cached tokens of all decoding sequences of the step together, before it."""
    dense_ms: FloatArray | None
    """The dense part of each step, where the table has it apart."""
    chunk_step: IntArray
    """The step that each kind of chunk belongs to."""
    chunk_new: FloatArray
    chunk_past: FloatArray
    chunk_count: FloatArray
    """How many sequences of the step have a chunk of this kind."""

    @property
    def rows(self) -> int:
        return len(self.step_ms)

    def per_step(self, per_chunk: FloatArray) -> FloatArray:
        """The sum over the chunks of each step."""
        total: FloatArray = np.bincount(self.chunk_step, self.chunk_count * per_chunk, self.rows).astype(
            float
        )
        return total

    def pairs(self, tile_tokens: float) -> FloatArray:
        """Attention pairs, the past read in tiles of at least so many rows."""
        new, past = self.chunk_new, self.chunk_past
        return self.per_step(np.maximum(new, tile_tokens) * past + new * (new + 1) / 2)

    @cached_property
    def new_tokens(self) -> FloatArray:
        return self.per_step(self.chunk_new)

    @cached_property
    def chunks(self) -> FloatArray:
        return self.per_step(np.ones_like(self.chunk_new))

    @cached_property
    def tokens(self) -> FloatArray:
        return self.new_tokens + self.decodes

    @cached_property
    def is_mixed(self) -> BoolArray:
        return (self.new_tokens > 0) & (self.decodes > 0)

    @cached_property
    def longest_context(self) -> FloatArray:
        """Of any sequence, this step's tokens included; of decoding ones their mean."""
        longest = self.kv_tokens / np.maximum(self.decodes, 1)
        np.maximum.at(longest, self.chunk_step, self.chunk_past + self.chunk_new)
        return longest

    def slices(self) -> dict[str, BoolArray]:
        """The parts by which errors are told apart."""
        prompts, decodes = self.new_tokens > 0, self.decodes > 0
        return {
            "all steps": np.ones(self.rows, dtype=bool),
            "context up to 4k": self.longest_context <= 4096,
            "decodes only": ~prompts,
            "prompts only": ~decodes,
            "mixed": prompts & decodes,
        }
