"""What the two GPU kinds have in common: memory, scheduler defaults, power and price."""

from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from e80sim.choices import KeyOf
from e80sim.mistakes import UserError
from hwmodels.dense import NO_TILES, GemmTiles
from hwmodels.entry import USUAL_KV, Entry
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import KV_CACHE_DTYPES, PRECISIONS, Llm
from hwmodels.node_hardware import NodeHardware
from hwmodels.sheet import Sheet
from hwmodels.spec import MOST, MOST_SEQUENCES, MOST_TOKENS, HardwareSpec


class GpuSpec(HardwareSpec):
    no_values: ClassVar[frozenset[str]] = HardwareSpec.no_values | {"weights", "kv_cache_dtype"}
    runs_vllm: ClassVar[bool] = True
    weights: Annotated[str, KeyOf(PRECISIONS)] | None = Field(
        default=None, description="precision of the weights; absent: the entry's, else the LLM's usual one"
    )
    kv_cache_dtype: Annotated[str, KeyOf(KV_CACHE_DTYPES)] | None = Field(
        default=None,
        description="precision of the KV cache, by vLLM's name; absent: the entry's, else bfloat16",
    )
    prefill_tile_tokens: int | None = Field(
        default=None,
        ge=0,
        le=MOST_SEQUENCES,
        description="attention reads the past of a chunk in tiles of at least so many rows",
    )
    mixed_kv_multiplier: float | None = Field(
        default=None, ge=1, le=1000, description="price of a KV token in a step that also holds prompt tokens"
    )
    gemm_tile_tokens: int | None = Field(
        default=None,
        ge=0,
        le=MOST_SEQUENCES,
        description="matrix products take whole tiles of so many tokens; absent or 0: no tiles",
    )
    gemm_tile_above_tokens: int | None = Field(
        default=None, ge=0, le=MOST_SEQUENCES, description="in steps of more than so many tokens; absent: 256"
    )
    p_norm: float | None = Field(
        default=None, ge=1, le=10, description="exponent of the smooth maximum, 1 adds"
    )
    memory_gb: float | None = Field(default=None, gt=0, le=MOST, description="device memory, in 1e9 bytes")
    gpu_memory_utilization: float | None = Field(
        default=None, gt=0, le=1, description="the part of the memory that the engine takes"
    )
    activation_reserve_gb: float | None = Field(
        default=None, ge=0, le=MOST, description="kept free of weights and KV: activations, graphs, workspace"
    )
    kv_pool_tokens: int | None = Field(
        default=None, ge=1, le=MOST_TOKENS, description="instead of working it out from the memory"
    )
    idle_w: float | None = Field(default=None, ge=0, le=MOST, description="power without work")
    busy_w: float | None = Field(default=None, ge=0, le=MOST, description="power at full load")
    usd_per_hour: float | None = Field(default=None, ge=0, le=MOST, description="price of a node")
    usd_per_1m_tokens: float | None = Field(
        default=None, ge=0, le=MOST, description="price of a million tokens"
    )

    def stored(self, llm: Llm, entry: Entry) -> "Stored":
        """What the scenario states, else the entry, else what is usual.

        ValueError where the LLM does not come in it.
        """
        as_bought = entry.settings
        return Stored(
            llm.precision(self.weights or as_bought.weights),
            self.kv_cache_dtype or as_bought.kv_cache_dtype or USUAL_KV,
        )


def gemm_tiles(sheet: Sheet) -> GemmTiles:
    tokens = sheet.get("gemm_tile_tokens")
    if not tokens:
        return NO_TILES
    above = sheet.get("gemm_tile_above_tokens")
    return GemmTiles(int(tokens)) if above is None else GemmTiles(int(tokens), int(above))


class Stored(NamedTuple):
    """The precision of what lies in a GPU's memory."""

    weights: str
    kv_cache_dtype: str


def gpu_node(
    sheet: Sheet,
    step: GpuStep,
    llm: Llm,
    stored: Stored,
    max_num_seqs: int | None,
    max_num_batched_tokens: int | None,
) -> NodeHardware:
    """Limits left out are the engine's defaults; ValueError where the LLM does not fit in the memory."""
    budget = (
        int(sheet["max_num_batched_tokens"]) if max_num_batched_tokens is None else max_num_batched_tokens
    )
    # vLLM lowers a default that a stated budget cannot hold, and refuses a stated number: `start_up.py`.
    seqs = min(int(sheet["max_num_seqs"]), budget) if max_num_seqs is None else max_num_seqs
    stated_pool, longest = sheet.get("kv_pool_tokens"), sheet.get("max_model_len")
    return NodeHardware(
        step_time=step.law(llm, budget),
        request_overhead_ps=0,
        overhead_holds_slot=False,
        kv_pool_tokens=_kv_pool_tokens(sheet, llm, stored) if stated_pool is None else int(stated_pool),
        max_num_seqs=seqs,
        max_num_batched_tokens=budget,
        idle_w=sheet.get("idle_w"),
        busy_w=sheet.get("busy_w"),
        usd_per_hour=sheet.get("usd_per_hour"),
        usd_per_1m_tokens=sheet.get("usd_per_1m_tokens"),
        values=sheet.read,
        notes=sheet.notes,
        kv_bytes_per_token=llm.kv_bytes_per_token(stored.kv_cache_dtype),
        max_model_len=None if longest is None else int(longest),
    )


def _kv_pool_tokens(sheet: Sheet, llm: Llm, stored: Stored) -> int:
    """What weights and activations leave of the engine's memory, in tokens over all layers."""
    memory, utilization = sheet["memory_gb"], sheet["gpu_memory_utilization"]
    reserve, resident = sheet["activation_reserve_gb"], llm.resident_bytes(stored.weights)
    tokens = (memory * utilization - reserve) * 1e9 - resident
    tokens /= llm.kv_bytes_per_token(stored.kv_cache_dtype)
    if tokens < 1:
        raise UserError(
            f"{llm.name} in {stored.weights} does not fit: its weights take {resident / 1e9:.1f} GB and"
            f" activations {reserve:g} GB, but {utilization:g} of {memory:g} GB is"
            f" {memory * utilization:.1f} GB"
        )
    return int(tokens)
