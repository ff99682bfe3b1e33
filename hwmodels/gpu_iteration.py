"""A GPU by fitted coefficients: the most exact kind, for the LLMs that were timed."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from e80sim.mistakes import UserError
from hwmodels.dense import DenseTable, SmoothRoofline
from hwmodels.entry import DenseMs
from hwmodels.gpu_node import GpuSpec, gemm_tiles, gpu_node
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm
from hwmodels.node_hardware import NodeHardware
from hwmodels.sheet import Sheet
from hwmodels.spec import MOST_MS

ROOFLINE_TERMS = ("t_weights_ms", "moe_dense_share", "ms_per_token", "p_norm")
"""Without effect beside a dense table."""


class GpuIteration(GpuSpec):
    """Coefficients of `GpuStep`. With a sliding window, pairs and KV tokens are means over all layers."""

    kind: Literal["gpu_iteration"] = "gpu_iteration"
    no_values: ClassVar[frozenset[str]] = GpuSpec.no_values | {"dense_ms_by_tokens"}
    preset: str = Field(default="generic_vllm", description="catalogue entry (or path of one) to start from")
    t_fixed_ms: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="device time of a step whatever it holds"
    )
    t_host_ms: float | None = Field(default=None, ge=0, le=MOST_MS, description="host time between two steps")
    t_weights_ms: float | None = Field(default=None, ge=0, le=MOST_MS, description="to read all weights once")
    moe_dense_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="part of the weights that every step of an MoE reads; absent: by bytes",
    )
    ms_per_token: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="matrix products of one token"
    )
    dense_ms_by_tokens: DenseMs | None = Field(
        default=None,
        description="measured dense time of a step by its tokens, linear in between;"
        " instead of t_weights_ms, ms_per_token and p_norm",
    )
    dense_scale: float | None = Field(default=None, gt=0, le=1000, description="multiplies the dense table")
    ms_per_attn_pair: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="one new token looking at one token"
    )
    ms_per_kv_token: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="cache read of a decoding sequence"
    )
    ms_per_sequence: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="per sequence in the step"
    )

    t_prompts_ms: float | None = Field(
        default=None,
        ge=0,
        le=MOST_MS,
        description="of a step that holds prompt tokens: the least time of their kernels; absent: 0",
    )

    @model_validator(mode="after")
    def _a_table_stands_alone(self) -> Self:
        stated = [term for term in ROOFLINE_TERMS if getattr(self, term) is not None]
        if self.dense_ms_by_tokens is not None and stated:
            raise UserError(f"{stated[0]} has no effect with dense_ms_by_tokens: leave one of them out")
        return self

    def build(
        self, llm: Llm, *, max_num_seqs: int | None = None, max_num_batched_tokens: int | None = None
    ) -> NodeHardware:
        """Limits left out are the engine's defaults; ValueError where the LLM does not fit in the memory."""
        entry = self.entry()
        stored, width = self.stored(llm, entry), self.width(entry)
        rank = self.rank_of(llm, width)
        sheet = self.sheet(llm, *stored, entry=entry, tensor_parallel=width)
        budget = max_num_batched_tokens
        if budget is None:
            budget = int(sheet["max_num_batched_tokens"])
        step = self._step(sheet, llm, stored.weights, budget)
        step = self.on_ranks(step, sheet, llm, entry, stored, sheet.timed_on or width)
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

    def step(self, llm: Llm, max_num_batched_tokens: int) -> GpuStep:
        """The law on one GPU; UserError where the preset has none for this LLM."""
        entry = self.entry()
        stored = self.stored(llm, entry)
        sheet = self.sheet(llm, *stored, entry=entry)
        return self._step(sheet, llm, stored.weights, max_num_batched_tokens)

    def _step(self, sheet: Sheet, llm: Llm, weights: str, budget: int) -> GpuStep:
        return GpuStep(
            fixed_ms=sheet["t_fixed_ms"] + sheet["t_host_ms"],
            dense=self._dense(sheet, llm, weights, budget),
            pair_ms=sheet["ms_per_attn_pair"],
            kv_token_ms=sheet["ms_per_kv_token"],
            mixed_kv_multiplier=sheet["mixed_kv_multiplier"],
            sequence_ms=sheet["ms_per_sequence"],
            prefill_tile_tokens=sheet["prefill_tile_tokens"],
            prompts_ms=sheet.get("t_prompts_ms") or 0.0,
            tiles=gemm_tiles(sheet),
        )

    def _dense(self, sheet: Sheet, llm: Llm, weights: str, budget: int) -> SmoothRoofline | DenseTable:
        """The scenario's table, else that of the preset's fit, else the roofline."""
        table = self.dense_ms_by_tokens or sheet.dense_ms_by_tokens
        if table is None:
            return _roofline(sheet, llm, weights)
        stated = [term for term in ROOFLINE_TERMS if getattr(self, term) is not None]
        if stated:
            raise UserError(f"{stated[0]} has no effect on {self.preset}, whose dense times are a table")
        dense = DenseTable.of(table, sheet["dense_scale"])
        dense.check_reach(budget)
        return dense


def _roofline(sheet: Sheet, llm: Llm, weights: str) -> SmoothRoofline:
    dense_share = sheet.get("moe_dense_share") if llm.is_moe else None
    return SmoothRoofline(
        weights_ms=sheet["t_weights_ms"],
        dense_share=llm.dense_share(weights) if dense_share is None else dense_share,
        token_ms=sheet["ms_per_token"],
        p_norm=sheet["p_norm"],
    )
