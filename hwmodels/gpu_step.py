"""A GPU's step time as dense part and attention law, turned into integer coefficients.

Forms R6b (smooth roofline) and R7 (measured table) of the calibration: see `hwmodels.dense`.
"""

from dataclasses import dataclass

import numpy as np

from e80sim.mistakes import UserError
from hwmodels.dense import NO_TILES, DenseTable, FloatArray, GemmTiles, SmoothRoofline
from hwmodels.llm import Llm
from hwmodels.node_hardware import ps
from hwmodels.parallel.communication import Communication
from hwmodels.parallel.experts import ExpertRanks
from hwmodels.step_time import AffineStepTime

LONGEST_STEP_MS = 4e9
"""46 days, as long as a run can be."""


@dataclass(frozen=True, slots=True)
class GpuStep:
    """`fixed + dense(T') + c*pairs + e*KV*(m in mixed steps) + s*sequences + (q with prompts)`, in ms.

    T' is the number of tokens T in whole tiles, where the kernels have any. Of one rank, where several GPUs
    share the layers; what they tell each other adds to the dense part, since it depends on the step's tokens
    alone, and to the price of a sequence.
    """

    fixed_ms: float
    dense: SmoothRoofline | DenseTable
    pair_ms: float
    kv_token_ms: float
    mixed_kv_multiplier: float
    sequence_ms: float
    prefill_tile_tokens: float
    prompts_ms: float = 0.0
    """Of a step that holds prompt tokens: their kernels' least time."""
    tiles: GemmTiles = NO_TILES
    communication: Communication | None = None
    experts: ExpertRanks | None = None
    """Where ranks keep step and share the experts, whose time is then not in the dense part."""

    def dense_ms(self, tokens: FloatArray, llm: Llm) -> FloatArray:
        """The dense part of steps with so many tokens."""
        return self.dense.ms(self.tiles.padded(tokens), llm)

    def law(self, llm: Llm, max_num_batched_tokens: int) -> AffineStepTime:
        """The law in picoseconds, tabulated for steps of up to `max_num_batched_tokens` tokens.

        Layers with a sliding window are charged as if it were always full, which keeps the law affine. For
        a window of w tokens that is too much by `w(w-1)/2` attention pairs once per prompt, and by fewer than
        w KV tokens per decode step of a context below w, times the windowed share of the layers: for
        gpt-oss-20b on H100 at most 3.3 us per prompt and 1.0 us per decode. The mixed-step multiplier leaves
        the window's KV out: at 2.2 that is 1.2 us too little per decode of a mixed step.
        """
        window_tokens = llm.window_share * llm.sliding_window_tokens
        full_share = 1 - llm.window_share
        sequence_ms = self.sequence_ms
        if self.communication is not None:
            sequence_ms += self.communication.sequence_ms
        return AffineStepTime(
            dense_ps=self._dense_ps(llm, max_num_batched_tokens),
            token_ps=ps(self.pair_ms * window_tokens),
            pair_ps=ps(self.pair_ms * full_share),
            chunk_ps=ps(sequence_ms),
            decode_ps=ps(sequence_ms + self.kv_token_ms * window_tokens),
            kv_ps=ps(self.kv_token_ms * full_share),
            mixed_kv_ps=ps(self.kv_token_ms * full_share * self.mixed_kv_multiplier),
            prompts_ps=ps(self.prompts_ms),
            prefill_tile_tokens=round(self.prefill_tile_tokens),
            shared_ps=self._shared_ps(max_num_batched_tokens),
        )

    def _shared_ps(self, max_tokens: int) -> tuple[int, ...]:
        if self.experts is None:
            return ()
        times_ms = self.experts.shared_ms(self.experts.ranks * max_tokens)
        return tuple(np.maximum.accumulate(np.rint(times_ms * 1e9).astype(np.int64)).tolist())

    def _dense_ps(self, llm: Llm, max_tokens: int) -> tuple[int, ...]:
        tokens = np.arange(max_tokens + 1, dtype=np.float64)
        times_ms = self.fixed_ms + self.dense_ms(tokens, llm)
        if times_ms.max() > LONGEST_STEP_MS:
            raise UserError(
                f"a step of {max_tokens:,} tokens would take {times_ms.max() / 86_400_000:,.0f} days: one of "
                f"its times is too long, or max_num_batched_tokens too large"
            )
        table = np.rint(times_ms * 1e9).astype(np.int64)
        if isinstance(self.dense, SmoothRoofline):
            # Rounding of log and exp must not make a larger step the shorter one. A measured one may be:
            # kernels change with the size of their matrices.
            table = np.maximum.accumulate(table)
        if self.communication is not None:
            table = table + np.rint(self.communication.step_ms(tokens) * 1e9).astype(np.int64)
        if self.experts is not None:
            table = table + np.rint(self.experts.exchange_ms(tokens) * 1e9).astype(np.int64)
        return tuple(table.tolist())
