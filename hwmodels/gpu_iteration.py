"""A GPU by fitted coefficients: the most exact kind, for the LLMs that were timed."""

from typing import Literal

from pydantic import Field

from hwmodels.gpu_node import GpuSpec, gpu_node
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm
from hwmodels.node_hardware import NodeHardware
from hwmodels.sheet import Sheet


class GpuIteration(GpuSpec):
    """Coefficients of `GpuStep`. With a sliding window, pairs and KV tokens are means over all layers."""

    kind: Literal["gpu_iteration"] = "gpu_iteration"
    preset: str = Field(default="generic_vllm", description="catalogue entry (or path of one) to start from")
    t_fixed_ms: float | None = Field(
        default=None, ge=0, description="device time of a step whatever it holds"
    )
    t_host_ms: float | None = Field(default=None, ge=0, description="host time between two steps")
    t_weights_ms: float | None = Field(default=None, ge=0, description="to read all weights once")
    moe_dense_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="part of the weights that every step of an MoE reads; absent: by bytes",
    )
    ms_per_token: float | None = Field(default=None, ge=0, description="matrix products of one token")
    ms_per_attn_pair: float | None = Field(
        default=None, ge=0, description="one new token looking at one token"
    )
    ms_per_kv_token: float | None = Field(default=None, ge=0, description="cache read of a decoding sequence")
    ms_per_sequence: float | None = Field(default=None, ge=0, description="per sequence in the step")

    def build(
        self, llm: Llm, *, max_num_seqs: int | None = None, max_num_batched_tokens: int | None = None
    ) -> NodeHardware:
        """Limits left out are the engine's defaults; ValueError where the LLM does not fit in the memory."""
        weights = llm.precision(self.weights)
        sheet = self.sheet(llm, weights)
        step = _step(sheet, llm, weights)
        return gpu_node(sheet, step, llm, weights, max_num_seqs, max_num_batched_tokens)


def _step(sheet: Sheet, llm: Llm, weights: str) -> GpuStep:
    dense_share = sheet.get("moe_dense_share") if llm.is_moe else None
    return GpuStep(
        fixed_ms=sheet["t_fixed_ms"] + sheet["t_host_ms"],
        weights_ms=sheet["t_weights_ms"],
        dense_share=llm.dense_share(weights) if dense_share is None else dense_share,
        token_ms=sheet["ms_per_token"],
        p_norm=sheet["p_norm"],
        pair_ms=sheet["ms_per_attn_pair"],
        kv_token_ms=sheet["ms_per_kv_token"],
        mixed_kv_multiplier=sheet["mixed_kv_multiplier"],
        sequence_ms=sheet["ms_per_sequence"],
        prefill_tile_tokens=int(sheet["prefill_tile_tokens"]),
    )
