"""A GPU by its data sheet, for any LLM: good to about 30 %, as the efficiencies reached vary by that."""

from typing import Literal

from pydantic import Field

from hwmodels.dense import SmoothRoofline
from hwmodels.gpu_node import GpuSpec, Stored, gemm_tiles, gpu_node
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import PRECISIONS, Llm
from hwmodels.node_hardware import NodeHardware
from hwmodels.sheet import Sheet
from hwmodels.spec import MOST, MOST_MS

LEAST_RATE = 0.1
"""TFLOPS or GB/s: a hundredth of a telephone's."""
LEAST_SHARE = 0.001


class Roofline(GpuSpec):
    """Peaks times efficiencies: compute for prompts, bandwidth for weights and KV, a smooth maximum."""

    kind: Literal["roofline"] = "roofline"
    preset: str = Field(default="generic_gpu", description="catalogue entry (or path of one) to start from")
    peak_bf16_tflops: float | None = Field(
        default=None, ge=LEAST_RATE, le=MOST, description="dense peak, without sparsity"
    )
    peak_fp8_tflops: float | None = Field(
        default=None, ge=LEAST_RATE, le=MOST, description="dense peak, without sparsity"
    )
    memory_bandwidth_gb_per_s: float | None = Field(
        default=None, ge=LEAST_RATE, le=MOST, description="peak of the device memory"
    )
    mfu_prefill: float | None = Field(
        default=None, ge=LEAST_SHARE, le=1, description="part of the compute peak reached"
    )
    mbu_weights: float | None = Field(
        default=None, ge=LEAST_SHARE, le=1, description="part of the bandwidth, for weights"
    )
    mbu_kv: float | None = Field(
        default=None, ge=LEAST_SHARE, le=1, description="part of the bandwidth, for the KV cache"
    )
    per_step_overhead_ms: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="launch and host time of a step"
    )

    def build(
        self, llm: Llm, *, max_num_seqs: int | None = None, max_num_batched_tokens: int | None = None
    ) -> NodeHardware:
        """Limits left out are the engine's defaults; ValueError where the LLM does not fit in the memory."""
        entry = self.entry()
        stored = self.stored(llm, entry)
        sheet = self.sheet(llm, *stored, entry=entry)
        width = self.width(entry)
        rank = self.rank_of(llm, width)
        step = self.on_ranks(_step(sheet, llm, stored), sheet, llm, entry, stored, 1)
        return gpu_node(
            sheet,
            step,
            rank,
            stored,
            max_num_seqs,
            max_num_batched_tokens,
            tensor_parallel=width,
            ranks=self.ranks,
        )


def _step(sheet: Sheet, llm: Llm, stored: Stored) -> GpuStep:
    weights = stored.weights
    flops_per_ms = sheet[f"peak_{PRECISIONS[weights].compute}_tflops"] * sheet["mfu_prefill"] * 1e9
    bytes_per_ms = sheet["memory_bandwidth_gb_per_s"] * 1e6
    all_weights = llm.dense_bytes(weights) + llm.expert_bytes(weights)
    return GpuStep(
        fixed_ms=sheet["per_step_overhead_ms"],
        dense=SmoothRoofline(
            weights_ms=all_weights / (bytes_per_ms * sheet["mbu_weights"]),
            dense_share=llm.dense_share(weights),
            token_ms=2 * llm.active_linear_params / flops_per_ms,
            p_norm=sheet["p_norm"],
        ),
        pair_ms=llm.attention_flops_per_pair / flops_per_ms,
        kv_token_ms=llm.kv_bytes_per_token(stored.kv_cache_dtype) / (bytes_per_ms * sheet["mbu_kv"]),
        mixed_kv_multiplier=sheet["mixed_kv_multiplier"],
        sequence_ms=2 * llm.head_params / flops_per_ms,  # only the last position of a chunk needs logits
        prefill_tile_tokens=sheet["prefill_tile_tokens"],
        tiles=gemm_tiles(sheet),
    )
