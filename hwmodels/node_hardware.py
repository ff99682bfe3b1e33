"""What a node needs to know of its accelerator: all three kinds of hardware come down to this."""

from dataclasses import dataclass

from hwmodels.step_time import AffineStepTime
from hwmodels.value import Value

PS_PER_MS = 10**9


def ps(milliseconds: float) -> int:
    return round(milliseconds * PS_PER_MS)


@dataclass(frozen=True, slots=True)
class NodeHardware:
    step_time: AffineStepTime
    request_overhead_ps: int
    """Passes before a request reaches the engine: the front end of a GPU's, fixed work of an ASIC."""
    overhead_holds_slot: bool
    """A request occupies one of the `max_num_seqs` slots while its overhead passes."""
    kv_pool_tokens: int
    max_num_seqs: int
    max_num_batched_tokens: int
    idle_w: float | None
    busy_w: float | None
    usd_per_hour: float | None
    usd_per_1m_tokens: float | None
    values: tuple[Value, ...]
    """Every value that was read to make this, those the scenario stated included."""
    notes: tuple[str, ...]
    """What a report must say about it."""
    kv_bytes_per_token: int | None = None
    """As its KV cache stores them; absent: as the LLM's usual one does."""
    ranks: int = 1
    """That keep step, each with the limits and the KV pool above."""
    gpus: int = 1
    """That it consists of: power and price above are those of all of them, `values` those of one."""
    async_scheduling: bool = False
    """Its engine forms a step while the one before it is under way, where nothing else is stated."""
    launch_ps: int = 0
    """Passes before a step starts that follows no other."""
    max_model_len: int | None = None
    """Prompt and output of one sequence at most, where the catalogue's entry says so."""
