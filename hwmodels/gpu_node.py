"""What the two GPU kinds have in common: memory, scheduler defaults, power and price."""

from dataclasses import replace
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from e80sim.choices import KeyOf
from e80sim.mistakes import UserError
from hwmodels.dense import NO_TILES, DenseTable, GemmTiles
from hwmodels.entry import LINK, USUAL_KV, Entry, names
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import KV_CACHE_DTYPES, PRECISIONS, Llm
from hwmodels.node_hardware import NodeHardware, ps
from hwmodels.parallel.communication import Communication
from hwmodels.parallel.experts import ExpertRanks, check_ranks, memory_of, split
from hwmodels.parallel.link import BANDWIDTH, LATENCY, Link, load_link
from hwmodels.parallel.rank import MOST_RANKS, rank_of
from hwmodels.shared_step import shared
from hwmodels.sheet import Sheet
from hwmodels.spec import MOST, MOST_MS, MOST_SEQUENCES, MOST_TOKENS, HardwareSpec


class GpuSpec(HardwareSpec):
    no_values: ClassVar[frozenset[str]] = HardwareSpec.no_values | {
        "weights",
        "kv_cache_dtype",
        "tensor_parallel",
        "data_parallel",
        "link",
    }
    runs_vllm: ClassVar[bool] = True
    weights: Annotated[str, KeyOf(PRECISIONS)] | None = Field(
        default=None, description="precision of the weights; absent: the entry's, else the LLM's usual one"
    )
    kv_cache_dtype: Annotated[str, KeyOf(KV_CACHE_DTYPES)] | None = Field(
        default=None,
        description="precision of the KV cache, by vLLM's name; absent: the entry's, else bfloat16",
    )
    tensor_parallel: int | None = Field(
        default=None,
        ge=1,
        le=MOST_RANKS,
        description="GPUs of a node, which share each layer and each sequence; absent: the entry's, else 1",
    )
    data_parallel: int | None = Field(
        default=None,
        ge=1,
        le=MOST_RANKS,
        description="GPUs of a node that keep step, with sequences of their own, and share the experts of an"
        " MoE; absent: 1",
    )
    link: str | None = Field(
        default=None,
        min_length=1,
        description="what connects them: a link of the catalogue, or the path of one; absent: the entry's",
    )
    link_bandwidth_gb_per_s: float | None = Field(
        default=None,
        ge=1e-3,
        le=MOST,
        description="of one GPU in one direction, as collectives reach it; a formula then replaces measured"
        " times",
    )
    link_latency_us: float | None = Field(
        default=None, ge=0, le=MOST, description="of one message; a formula then replaces measured times"
    )
    tensor_parallel_serial_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="of the dense time of one GPU, which more GPUs do not shorten; without effect where the"
        " steps of one of several GPUs were timed",
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
    memory_gb: float | None = Field(
        default=None, gt=0, le=MOST, description="device memory of a GPU, in 1e9 bytes"
    )
    gpu_memory_utilization: float | None = Field(
        default=None, gt=0, le=1, description="the part of the memory that the engine takes"
    )
    activation_reserve_gb: float | None = Field(
        default=None,
        ge=0,
        le=MOST,
        description="of a GPU, kept free of weights and KV: activations, graphs, workspace",
    )
    kv_pool_tokens: int | None = Field(
        default=None, ge=1, le=MOST_TOKENS, description="instead of working it out from the memory"
    )
    front_end_ms: float | None = Field(
        default=None,
        ge=0,
        le=MOST_MS,
        description="from a request's arrival at the node until its engine has it: HTTP, tokens, the way "
        "between processes; absent: 0",
    )
    launch_ms: float | None = Field(
        default=None,
        ge=0,
        le=MOST_MS,
        description="host time to form and start a step; only a step that follows no other waits for it; "
        "absent: 0",
    )
    idle_w: float | None = Field(default=None, ge=0, le=MOST, description="power of a GPU without work")
    busy_w: float | None = Field(default=None, ge=0, le=MOST, description="power of a GPU at full load")
    usd_per_hour: float | None = Field(default=None, ge=0, le=MOST, description="price of a GPU")
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

    def width(self, entry: Entry) -> int:
        """How many GPUs share each layer."""
        return self.tensor_parallel or entry.settings.tensor_parallel or 1

    def rank_of(self, llm: Llm, width: int) -> Llm:
        """What one GPU holds of it; ValueError where the node's GPUs cannot share it."""
        if self.ranks > 1:
            check_ranks(llm, self.ranks, width)
        return memory_of(rank_of(llm, width), self.ranks)

    def on_ranks(
        self, step: GpuStep, sheet: Sheet, llm: Llm, entry: Entry, stored: "Stored", timed_on: int
    ) -> GpuStep:
        """`step`, of one of `timed_on` GPUs, as one of the node's takes it, communication included."""
        width = self.width(entry)
        if self.ranks > 1:
            return self._keeping_step(step, sheet, llm, entry)
        if width == 1:
            return step
        if sheet.holds_communication:
            return self._without_link(step)
        if timed_on != width:
            step = shared(step, llm, rank_of(llm, width), *stored, sheet["tensor_parallel_serial_share"])
            sheet.notes += (f"The steps of each of {width} GPUs are worked out from those of {timed_on}.",)
        return replace(step, communication=Communication(llm, width, self._link(sheet, entry)))

    @property
    def ranks(self) -> int:
        return self.data_parallel or 1

    def _keeping_step(self, step: GpuStep, sheet: Sheet, llm: Llm, entry: Entry) -> GpuStep:
        if isinstance(step.dense, DenseTable):
            raise UserError(
                f"{self.preset} has a table of dense times, which do not tell attention from experts:"
                f" data_parallel needs a roofline"
            )
        attention, experts = split(step.dense, llm, self.ranks)
        shared = ExpertRanks(llm, self.ranks, self._link(sheet, entry), experts)
        sheet.notes += (f"The experts' routing over {self.ranks} ranks is taken for even.",)
        return replace(step, dense=attention, experts=shared)

    def _without_link(self, step: GpuStep) -> GpuStep:
        stated = [name for name in ("link", LATENCY, BANDWIDTH) if getattr(self, name) is not None]
        if stated:
            raise UserError(
                f"{stated[0]} has no effect on {self.preset}, whose steps hold what its GPUs tell each other"
            )
        return step

    def _link(self, sheet: Sheet, entry: Entry) -> Link:
        """With stated figures the formula, else what was measured; ValueError where nobody names a link."""
        stated = {name: sheet.get(name) for name in (LATENCY, BANDWIDTH)}
        latency, bandwidth = stated.values()
        if latency is not None and bandwidth is not None:
            return Link(latency, bandwidth)
        name = self.link or entry.link
        if name is None:
            raise UserError(
                f"{entry.name} does not say what connects its GPUs: state link ({', '.join(names(LINK))}), or"
                f" {LATENCY} and {BANDWIDTH}"
            )
        link, values, note = load_link(name)
        sheet.notes += () if note is None else (note,)
        if latency is None and bandwidth is None:
            return link
        sheet.add(value for value in values.values() if stated[value.name] is None)
        return Link(
            link.latency_us if latency is None else latency, link.gb_per_s if bandwidth is None else bandwidth
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
    *,
    tensor_parallel: int = 1,
    ranks: int = 1,
) -> NodeHardware:
    """Limits left out are the engine's defaults; ValueError where the LLM does not fit in the memory.

    `step` and `llm` are those of one GPU, and so are power, price and memory in the sheet.
    """
    gpus = tensor_parallel * ranks
    budget = (
        int(sheet["max_num_batched_tokens"]) if max_num_batched_tokens is None else max_num_batched_tokens
    )
    # vLLM lowers a default that a stated budget cannot hold, and refuses a stated number: `start_up.py`.
    seqs = min(int(sheet["max_num_seqs"]), budget) if max_num_seqs is None else max_num_seqs
    stated_pool, longest = sheet.get("kv_pool_tokens"), sheet.get("max_model_len")
    return NodeHardware(
        step_time=step.law(llm, budget),
        request_overhead_ps=ps(sheet.get("front_end_ms") or 0.0),
        overhead_holds_slot=False,
        async_scheduling=bool(sheet.get("async_scheduling")),
        launch_ps=ps(sheet.get("launch_ms") or 0.0),
        kv_pool_tokens=_kv_pool_tokens(sheet, llm, stored) if stated_pool is None else int(stated_pool),
        max_num_seqs=seqs,
        max_num_batched_tokens=budget,
        idle_w=_all(sheet.get("idle_w"), gpus),
        busy_w=_all(sheet.get("busy_w"), gpus),
        usd_per_hour=_all(sheet.get("usd_per_hour"), gpus),
        usd_per_1m_tokens=sheet.get("usd_per_1m_tokens"),
        values=sheet.read,
        notes=sheet.notes,
        kv_bytes_per_token=llm.kv_bytes_per_token(stored.kv_cache_dtype) * tensor_parallel,
        ranks=ranks,
        gpus=gpus,
        max_model_len=None if longest is None else int(longest),
    )


def _all(of_one: float | None, gpus: int) -> float | None:
    return None if of_one is None else of_one * gpus


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
