"""An accelerator with the LLM in its silicon: a step is the same for any batch, so load shows as queueing."""

from typing import ClassVar, Literal

from pydantic import Field

from e80sim.mistakes import UserError
from hwmodels.llm import Llm
from hwmodels.node_hardware import NodeHardware, ps
from hwmodels.sheet import Sheet
from hwmodels.spec import MOST, MOST_MS, MOST_SEQUENCES, MOST_TOKENS, HardwareSpec
from hwmodels.step_time import AffineStepTime


class HardwiredAsic(HardwareSpec):
    """A lone request of P prompt and n output tokens takes `overhead + fixed + prefill(P) + (n-1)*step`.

    Without `pipeline_depth` (exclusive) prompt tokens pass one after the other: prefill(P) is one step of
    `prefill_ms_per_token * P`, and sequences beyond the first take turns. With it (pipelined) every step
    lasts `decode_step_ms` and carries up to `pipeline_depth` tokens, be they prompt or output.
    The overhead and the fixed part pass before the first step: as part of a step they would stall the
    neighbours.
    """

    kind: Literal["hardwired_asic"] = "hardwired_asic"
    default_block_size: ClassVar[int] = 1
    preset: str = Field(default="generic_asic", description="catalogue entry (or path of one) to start from")
    decode_step_ms: float | None = Field(
        default=None, gt=0, le=MOST_MS, description="one output token of one sequence"
    )
    decode_ms_per_kv_token: float | None = Field(
        default=None,
        ge=0,
        le=MOST_MS,
        description="added to a step per token that its decoding sequences hold in the cache",
    )
    prefill_ms_per_token: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="exclusive mode: per prompt token"
    )
    prefill_fixed_ms: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="per request, before its first step"
    )
    request_overhead_ms: float | None = Field(
        default=None, ge=0, le=MOST_MS, description="host work per request, before its first step"
    )
    overhead_holds_slot: bool | None = Field(
        default=None, description="whether a request occupies its slot while the overhead passes"
    )
    pipeline_depth: int | None = Field(
        default=None,
        ge=1,
        le=MOST_SEQUENCES,
        description="tokens in flight, hence per step; absent means exclusive",
    )
    max_concurrent_sequences: int | None = Field(default=None, ge=1, le=MOST_SEQUENCES, description="slots")
    kv_pool_tokens: int | None = Field(
        default=None, ge=1, le=MOST_TOKENS, description="tokens that all slots hold together"
    )
    idle_w: float | None = Field(default=None, ge=0, le=MOST, description="power without work")
    busy_w: float | None = Field(default=None, ge=0, le=MOST, description="power at full load")
    usd_per_hour: float | None = Field(default=None, ge=0, le=MOST, description="price of a node")
    usd_per_1m_tokens: float | None = Field(
        default=None, ge=0, le=MOST, description="price of a million tokens"
    )

    def build(
        self, llm: Llm, *, max_num_seqs: int | None = None, max_num_batched_tokens: int | None = None
    ) -> NodeHardware:
        """Limits left out are the chip's own; ValueError where one asks for more than the chip has."""
        sheet = self.sheet(llm)
        pool = int(sheet["kv_pool_tokens"])
        depth = sheet.get("pipeline_depth")
        if depth is None:
            law, budget = (
                _exclusive(sheet),
                pool if max_num_batched_tokens is None else max_num_batched_tokens,
            )
        else:
            law, budget = (
                _pipelined(sheet),
                _within("max_num_batched_tokens", max_num_batched_tokens, int(depth)),
            )
        return NodeHardware(
            step_time=law,
            request_overhead_ps=ps(sheet["request_overhead_ms"]) + ps(sheet["prefill_fixed_ms"]),
            overhead_holds_slot=bool(sheet["overhead_holds_slot"]),
            kv_pool_tokens=pool,
            max_num_seqs=_within("max_num_seqs", max_num_seqs, int(sheet["max_concurrent_sequences"])),
            max_num_batched_tokens=budget,
            idle_w=sheet.get("idle_w"),
            busy_w=sheet.get("busy_w"),
            usd_per_hour=sheet.get("usd_per_hour"),
            usd_per_1m_tokens=sheet.get("usd_per_1m_tokens"),
            values=sheet.read,
            notes=sheet.notes,
        )


def _exclusive(sheet: Sheet) -> AffineStepTime:
    kv_ps = ps(sheet["decode_ms_per_kv_token"])
    return AffineStepTime(
        dense_ps=(0,),
        token_ps=ps(sheet["prefill_ms_per_token"]),
        decode_ps=ps(sheet["decode_step_ms"]),
        kv_ps=kv_ps,
        mixed_kv_ps=kv_ps,
    )


def _pipelined(sheet: Sheet) -> AffineStepTime:
    if sheet.is_stated("prefill_ms_per_token"):
        raise UserError("prefill_ms_per_token has no effect with a pipeline_depth: leave one of them out")
    kv_ps = ps(sheet["decode_ms_per_kv_token"])
    return AffineStepTime(dense_ps=(ps(sheet["decode_step_ms"]),), kv_ps=kv_ps, mixed_kv_ps=kv_ps)


def _within(what: str, asked: int | None, limit: int) -> int:
    if asked is not None and asked > limit:
        raise UserError(f"{what} {asked} is more than the chip has: at most {limit}")
    return limit if asked is None else asked
