"""The dense part of a GPU's step: matrix products and the reading of weights, by the tokens in the step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from e80sim.mistakes import UserError

if TYPE_CHECKING:  # which imports the catalogue, which holds tables
    from hwmodels.llm import Llm

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GemmTiles:
    """Matrix products work on whole tiles of tokens, so that a step pays for the tile that it has begun.

    Measured on an H100 with vLLM 0.23 (Qwen3-14B): steps of 1,021 to 1,024 tokens take 48.4 ms, and those of
    1,025 to 1,028 53.4 ms. Shorter steps have kernels with smaller tiles.
    """

    tokens: int = 0
    """Of a tile; 0: there are none."""
    above_tokens: int = 256
    """In steps of more than so many tokens."""

    def padded(self, tokens: FloatArray) -> FloatArray:
        """The tokens that products of so many tokens take as long as."""
        if not self.tokens:
            return tokens
        whole = np.ceil(tokens / self.tokens) * self.tokens
        return np.where(tokens > self.above_tokens, whole, tokens)


NO_TILES = GemmTiles()


@dataclass(frozen=True, slots=True)
class SmoothRoofline:
    """`(W(T)^p + (f*T)^p)^(1/p)`: the longer of reading the weights and multiplying, with a soft corner.

    In an MoE only experts that some of the T tokens chose are read.
    """

    weights_ms: float
    """To read all weights."""
    dense_share: float
    """The part of them that every step reads; 1 for a dense LLM."""
    token_ms: float
    p_norm: float
    """1 adds the two times, large values take the longer one."""

    def ms(self, tokens: FloatArray, llm: "Llm") -> FloatArray:
        """Worked out in logarithms: the powers alone would overflow."""
        idle = 1 - llm.num_experts_per_tok / llm.num_local_experts
        weights = self.weights_ms * (self.dense_share + (1 - self.dense_share) * (1 - idle**tokens))
        p = self.p_norm
        with np.errstate(divide="ignore"):  # the logarithm of no time at all is -inf, and its exponential 0
            longer = np.logaddexp(p * np.log(weights), p * np.log(self.token_ms * tokens)) / p
        return np.exp(longer)


@dataclass(frozen=True, slots=True)
class DenseTable:
    """Measured times at some token counts, linear between them; below the first it holds."""

    tokens: tuple[int, ...]
    times_ms: tuple[float, ...]

    @classmethod
    def of(cls, ms_by_tokens: Mapping[int, float], scale: float = 1) -> Self:
        points = sorted(ms_by_tokens.items())
        return cls(tuple(tokens for tokens, _ in points), tuple(scale * ms for _, ms in points))

    def ms(self, tokens: FloatArray, llm: "Llm") -> FloatArray:
        """An MoE's experts are in the measured times already, so `llm` changes nothing."""
        del llm
        return np.interp(tokens, self.tokens, self.times_ms)

    def check_reach(self, max_num_batched_tokens: int) -> None:
        """ValueError where steps could be longer than anything that was measured."""
        if max_num_batched_tokens > self.tokens[-1]:
            raise UserError(
                f"the dense table ends at {self.tokens[-1]} tokens, and a step may have"
                f" {max_num_batched_tokens}: lower max_num_batched_tokens, or measure longer steps"
            )
