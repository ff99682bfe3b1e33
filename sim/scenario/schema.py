"""The sections of a scenario. What YAML may say is exactly what stands here.

Units are in the names, unknown keys are errors, and no value has a magic meaning.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from e80sim.choices import KeyOf, Later
from hwmodels.hardware import Hardware
from hwmodels.llm import load_llm
from hwmodels.node_hardware import NodeHardware
from sim.network.catalogue import network_facts
from sim.network.keep_alive import Connections, Tls
from sim.network.places import Place, RegionName
from sim.network.regions import require_pair
from sim.scenario.section import Name, Section, Text, no_items
from sim.scenario.sweep import SweepSection
from traffic.lengths import Length
from traffic.request import BATCH_PRIORITY, INTERACTIVE_PRIORITY, LEAST_PRIORITY
from traffic.spec import MAX_S, MAX_TOKENS, MIN_S, MOST_STEPS
from traffic.traces.file import RecordingFile, TraceFile
from traffic.workload import Workload

if TYPE_CHECKING:
    from sim.faults.kinds import AnyFault
    from sim.faults.scaling import AnyScaling
    from sim.node.queue_orders import QueueOrder
    from sim.scenario.compute import ComputeSection
    from sim.scenario.flow_control import FlowControlSection
    from sim.scenario.limits import Limits
    from sim.scenario.prices import PricesSection
    from sim.scenario.retries import HedgeSection, Retry
    from traffic.agents import Step
    from traffic.callers import Callers
    from traffic.clients import Clients
    from traffic.traces.recording import Recording
    from traffic.walks import FreshStream, Planned, Walks
else:
    AnyFault = Annotated[Any, Later("sim.faults.kinds", "AnyFault")]
    AnyScaling = Annotated[Any, Later("sim.faults.scaling", "AnyScaling")]
    ComputeSection = Annotated[Any, Later("sim.scenario.compute", "ComputeSection")]
    FlowControlSection = Annotated[Any, Later("sim.scenario.flow_control", "FlowControlSection")]
    Limits = Annotated[Any, Later("sim.scenario.limits", "Limits")]
    PricesSection = Annotated[Any, Later("sim.scenario.prices", "PricesSection")]
    HedgeSection = Annotated[Any, Later("sim.scenario.retries", "HedgeSection")]
    Retry = Annotated[Any, Later("sim.scenario.retries", "Retry")]
    Step = Annotated[Any, Later("traffic.agents", "Step")]
    Callers = Annotated[Any, Later("traffic.callers", "Callers")]
    Clients = Annotated[Any, Later("traffic.clients", "Clients")]

PS_IN_MS = 1e-9
"""A picosecond: no time of a record is shorter, but 0."""
MIN_INTERVAL_MS = 0.1
"""Each reading is an event: ten thousand in a second are enough."""
MOST_NODES = 10_000
MAX_MS = 86_400_000
"""A day: longer than anybody computes on one request, or waits for it."""


def _queue_orders() -> "Mapping[str, QueueOrder]":
    from sim.node.queue_orders import QUEUE_ORDERS  # noqa: PLC0415 -- as _routing_policies

    return QUEUE_ORDERS


def _admissions() -> Mapping[str, object]:
    from sim.node.whole_batches import ADMISSIONS  # noqa: PLC0415 -- as _routing_policies

    return ADMISSIONS


def _prefills() -> Mapping[str, object]:
    from sim.node.prefills import PREFILLS  # noqa: PLC0415 -- as _routing_policies

    return PREFILLS


class Batching(Section):
    """vLLM's settings; what is left out comes from the hardware."""

    max_num_seqs: int | None = Field(None, ge=1, le=1_000_000, description="sequences in the batch at most")
    max_num_batched_tokens: int | None = Field(
        None, ge=1, le=1_048_576, description="tokens of one step at most, prompt chunks and decodes together"
    )
    max_model_len: int | None = Field(
        None,
        ge=2,
        le=MAX_TOKENS,
        description="prompt and output of one sequence on a node at most, `context_tokens` or more; absent: "
        "that of the catalogue's entry, else `context_tokens`",
    )
    block_size: int | None = Field(
        None,
        ge=1,
        le=MAX_TOKENS,
        description="tokens of one KV block; absent: 16 on GPUs as in vLLM, 1 on an ASIC",
    )
    queue: Annotated[str, KeyOf(_queue_orders)] = Field(
        "fcfs", description="who of those that wait at a node goes next"
    )
    admission: Annotated[str, KeyOf(_admissions)] = Field(
        "continuous",
        description="`continuous`: whoever waits may enter at any step; `static`: `max_num_seqs` enter "
        "together, nobody joins them, and all leave with the last; `dynamic`: as many enter as there are "
        "when the first has waited `max_queue_delay_ms`, and nobody joins them",
    )
    prefill: Annotated[str, KeyOf(_prefills)] = Field(
        "chunked",
        description="`chunked`: those who decode go first, and prompts fill the rest of the token budget; "
        "`whole`: prompts go first, whole and in steps of their own",
    )
    max_queue_delay_ms: float | None = Field(
        None, ge=0, le=MAX_MS, description="of `dynamic` admission, which needs it"
    )
    enable_prefix_caching: bool = Field(
        False,
        description="what prompts have in common is computed once and kept in KV blocks that nobody uses, "
        "the least recently used given up first",
    )
    async_scheduling: bool | None = Field(
        None,
        description="the engine forms the next step while the present one is under way, so whoever comes "
        "waits for the end of the step after that; absent: as the catalogue's entry does, where batches are "
        "`continuous` and prompts `chunked`",
    )
    max_num_active_seqs: int | None = Field(
        None, ge=1, le=1_000_000, description="as many of `max_num_seqs` run at once; absent: all"
    )
    watermark: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="this share of the KV blocks stays free when a request enters beside others, for those "
        "that run to grow into",
    )
    max_num_queued_reqs: int | None = Field(
        None,
        ge=0,
        le=1_000_000_000,
        description="a node with so many requests, waiting or running, refuses more (503); absent: none",
    )
    max_num_queued_tokens: int | None = Field(
        None,
        ge=0,
        le=1_000_000_000_000,
        description="a node refuses more (503) while the prompts of those without a first token have so many "
        "tokens; absent: none",
    )
    preempt: bool = Field(
        False,
        description="with `queue: priority`: who cannot enter pushes out running ones of a higher "
        "number, which compute anew later",
    )

    @model_validator(mode="after")
    def _delays_a_batch_that_may_be_smaller(self) -> Self:
        if self.admission == "dynamic" and self.max_queue_delay_ms is None:
            raise ValueError("`dynamic` admission needs `max_queue_delay_ms`: how long the first may wait")
        if self.admission in {"continuous", "static"} and self.max_queue_delay_ms is not None:
            raise ValueError(
                f"`max_queue_delay_ms` means nothing to `{self.admission}` admission: state "
                f"`admission: dynamic`, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _forms_steps_one_by_one(self) -> Self:
        if self.async_scheduling and not self._may_schedule_ahead:
            stated = "prefill: whole" if self.prefill == "whole" else f"admission: {self.admission}"
            raise ValueError(
                f"`async_scheduling` forms steps of `continuous` batches whose prompts are `chunked`, and "
                f"`{stated}` is stated: leave one of the two out"
            )
        return self

    @property
    def _may_schedule_ahead(self) -> bool:
        return self.prefill == "chunked" and self.admission == "continuous"

    def schedules_ahead(self, hardware: NodeHardware) -> bool:
        """As stated, else as the hardware's engine does, if the other settings are ones that it has."""
        if self.async_scheduling is not None:
            return self.async_scheduling
        return hardware.async_scheduling and hardware.ranks == 1 and self._may_schedule_ahead

    @model_validator(mode="after")
    def _batches_fill(self) -> Self:
        if self.admission == "static" and self.max_num_queued_tokens is not None:
            raise ValueError(
                "`max_num_queued_tokens` refuses those whom a `static` batch waits for, and it may never "
                "start: leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _who_pushes_out_joins(self) -> Self:
        if self.preempt and self.admission != "continuous":
            raise ValueError(
                f"`preempt` lets a request into a batch that runs, and with `{self.admission}` admission "
                f"nobody joins one: leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _who_pushes_out_is_first(self) -> Self:
        if self.preempt and not _queue_orders()[self.queue]().ranked:
            raise ValueError(
                f"`preempt` pushes out by priority, and queue `{self.queue}` does not go by it: state "
                f"`queue: priority`, or leave `preempt` out"
            )
        return self


def _routing_policies() -> Mapping[str, object]:
    from sim.platform.routing import ROUTING  # noqa: PLC0415 -- with SimPy, 4 % of the time to load a scenario

    return ROUTING


def _check_routing(model: "Model") -> None:
    from sim.platform.holders import Holders  # noqa: PLC0415 -- as _routing_policies
    from sim.platform.loads import Shares  # noqa: PLC0415
    from sim.platform.routing import goes_by, signals_of  # noqa: PLC0415

    policy, signals = model.routing, model.load_signals
    if goes_by(policy, Shares):
        if not model.node_weights:
            raise ValueError(f"routing `{policy}` needs `node_weights`: what share each node gets")
    elif model.node_weights is not None:
        raise ValueError(
            f"`node_weights` mean nothing to routing `{policy}`: state `routing: weighted`, or leave them out"
        )
    if goes_by(policy, Holders):
        if not model.batching.enable_prefix_caching:
            raise ValueError(
                f"routing `{policy}` looks for what nodes have cached, and they cache no prefixes: state "
                f"`batching.enable_prefix_caching: true`"
            )
    elif model.affinity is not None:
        raise ValueError(
            f"`affinity` means nothing to routing `{policy}`: state `routing: prefix_affinity`, or leave it "
            f"out"
        )
    if signals is None:
        return
    found = signals_of(policy)
    if not found:
        raise ValueError(
            f"routing `{policy}` looks at no load, so `load_signals` mean nothing to it: leave them out"
        )
    if signals.interval_ms is None and any(signal.grows_by_itself for signal in found):
        raise ValueError(
            f"what routing `{policy}` goes by changes with every step, so it is read from time to time: "
            f"`load_signals` needs `interval_ms`"
        )


class Affinity(Section):
    """When a node is too busy for the prefix that it has cached: where both are exceeded."""

    most_ahead: int = Field(
        64, ge=0, le=1_000_000, description="requests inside it more than inside the least loaded node"
    )
    most_ratio: float = Field(1.5, ge=1, le=1_000_000, description="times as many as inside that one")


class LoadSignals(Section):
    """How old what routers know of the load of nodes is."""

    interval_ms: float | None = Field(
        None,
        ge=MIN_INTERVAL_MS,
        le=MAX_MS,
        description="nodes are read at the multiples of it, such as 50 for routers that poll `/metrics`; "
        "absent: whenever a request enters or leaves one",
    )
    delay_ms: float = Field(0.0, ge=0, le=MAX_MS, description="until a reading has reached the router")


class Disaggregated(Section):
    """Some nodes make first tokens, the others what follows."""

    prefill_nodes: int = Field(
        ge=1, lt=MOST_NODES, description="so many of the model's `nodes`, the first ones; the others decode"
    )


NodeIndex = Annotated[
    int,
    BeforeValidator(lambda key: int(key) if isinstance(key, str) and key.isdecimal() else key),
    Field(ge=0, lt=MOST_NODES),
]


class Model(Section):
    id: str = Field(min_length=1, max_length=200, description="the model's name on the wire")
    llm: str = Field(description="the catalogue's facts of the LLM, such as llama3.1-8b")
    hardware: Hardware
    nodes: int = Field(1, ge=1, le=MOST_NODES)
    context_tokens: int = Field(ge=2, le=MAX_TOKENS, description="prompt and output of one request at most")
    batching: Batching = Batching.model_construct()
    routing: Annotated[str, KeyOf(_routing_policies)] = Field(
        "least_outstanding", description="which node takes a request: docs/routing.md"
    )
    node_weights: dict[NodeIndex, Annotated[float, Field(ge=0, le=1_000_000)]] | None = Field(
        None,
        min_length=1,
        description="by the node's number, from 0 on, for `routing: weighted`; 1 of nodes that are not named",
    )
    load_signals: LoadSignals | None = Field(
        None, description="for routing by load; absent: routers see it as it is at that moment"
    )
    disaggregated: Disaggregated | None = Field(
        None, description="prefill and decode on nodes of their own; absent: every node does both"
    )
    affinity: Affinity | None = Field(
        None, description="of `routing: prefix_affinity`; absent: the defaults of `Affinity`"
    )
    limits: Limits | None = Field(None, description="absent: no limits")
    prices: PricesSection | None = Field(
        None, description="what tokens are billed at, for `sweep`; absent: no bill"
    )
    scaling: AnyScaling | None = Field(
        None,
        description="`nodes` take requests at first, and a policy makes them more or fewer "
        "(docs/elasticity.md); absent: they stay",
    )
    flow_control: FlowControlSection | None = Field(
        None, description="a queue at the gateway; absent: requests wait at the nodes alone"
    )

    @model_validator(mode="after")
    def _both_kinds_of_node(self) -> Self:
        if self.disaggregated is None:
            return self
        if self.disaggregated.prefill_nodes >= self.nodes:
            raise ValueError(
                f"disaggregated.prefill_nodes ({self.disaggregated.prefill_nodes}) of {self.nodes} nodes "
                f"leave none to decode: raise `nodes`, or lower it"
            )
        if self.batching.admission != "continuous":
            raise ValueError(
                f"nodes that only decode take requests in at any step, and with `{self.batching.admission}` "
                f"admission nobody joins a batch: leave `admission` or `disaggregated` out"
            )
        return self

    @model_validator(mode="after")
    def _scaled_within_bounds(self) -> Self:
        scaling = self.scaling
        if scaling is None:
            return self
        if not scaling.min_nodes <= self.nodes <= scaling.max_nodes:
            raise ValueError(
                f"nodes ({self.nodes}) is not within scaling.min_nodes ({scaling.min_nodes}) and "
                f"scaling.max_nodes ({scaling.max_nodes})"
            )
        if self.disaggregated is not None:
            raise ValueError(
                "nodes that divide prefill and decode stay as many as they are: leave `scaling` or "
                "`disaggregated` out"
            )
        return self

    @model_validator(mode="after")
    def _routed_by_what_is_stated(self) -> Self:
        plain = self.node_weights is None and self.load_signals is None and self.affinity is None
        if not plain or self.routing in {"weighted", "prefix_affinity"}:
            _check_routing(self)
        return self

    @property
    def block_size(self) -> int:
        return self.batching.block_size or self.hardware.default_block_size

    def max_model_len(self, hardware: NodeHardware) -> int:
        """Prompt and output of one sequence at most, as such a node starts."""
        return self.batching.max_model_len or hardware.max_model_len or self.context_tokens

    def build_hardware(self) -> NodeHardware:
        """Raises ValueError where the LLM, the hardware and the batching do not go together."""
        stated = self.batching.max_num_batched_tokens
        hardware = self._built(stated)
        longest = self.max_model_len(hardware)
        raises = self.hardware.runs_vllm and self.batching.prefill == "whole" and stated is None
        # Without chunks vLLM's default is the longest sequence, where that is more.
        return self._built(longest) if raises and hardware.max_num_batched_tokens < longest else hardware

    def _built(self, max_num_batched_tokens: int | None) -> NodeHardware:
        return self.hardware.build(
            load_llm(self.llm),
            max_num_seqs=self.batching.max_num_seqs,
            max_num_batched_tokens=max_num_batched_tokens,
        )


class GatewaySection(Section):
    overhead_ms: float = Field(0.0, ge=0, le=MAX_MS, description="service time of one request")
    concurrency: int | None = Field(
        None, ge=1, le=1_000_000, description="requests in service at once; absent: any number"
    )


class NetworkSection(Section):
    site: RegionName = Field(
        "aws:us-east-1", description="the cloud region that the platform's datacenter is next to"
    )
    tls: Annotated[Tls, BeforeValidator(lambda v: str(v) if isinstance(v, float) else v)] = "1.3"
    dns_lookup_ms: float | None = Field(
        None, ge=0, le=60_000, description="per new connection; absent: by the kind of place"
    )
    idle_timeout_s: float = Field(
        60.0, ge=0, le=MAX_S, description="an idle connection is kept so long (assumed)"
    )
    values: dict[str, float] = Field(
        default_factory=dict,
        description="instead of the network catalogue's values, by name: `fabric.rtt_floor_ms: 0.02`, or "
        "`aws:us-east-1 to azure:eastus.rtt_floor_ms: 3` of a pair of regions",
    )
    places: dict[Name, Place] = Field(min_length=1)

    @field_validator("values")
    @classmethod
    def _known_and_possible(cls, values: dict[str, float]) -> dict[str, float]:
        for pair in network_facts().with_stated(values).pairs:
            require_pair(pair)
        return values


MEAN_OVER = 256
"""Walks of an agent whose mean number of calls is taken for that of all."""


class AppSection(Section):
    """Customers' code between a user and the model: so many calls, or an agent that goes step by step."""

    place: Name = Field(description="where it runs")
    model: Name
    calls: int = Field(1, ge=1, le=1000, description="model calls for one user request (k)")
    mode: Literal["sequential", "fan_out"] = Field(
        "sequential", description="one after the other, or all at once"
    )
    history: bool = Field(
        False,
        description="each call of a user request begins with all before it, prompts and answers; `lengths` "
        "says what is new in it",
    )
    steps: dict[Name, Step] | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="of an agent, by name: docs/callers.md; `calls`, `mode` and `history` mean nothing to it",
    )
    start: Name | None = Field(None, description="of an agent, its first step; absent: that stated first")
    most_steps: int | None = Field(
        None,
        ge=1,
        le=MOST_STEPS,
        description="of an agent, which then answers with what it has; needed where its steps can go round "
        "in a circle",
    )
    connections: Connections = Field(
        "pooled",
        description="those of its calls to the model: kept while idle, or closed after each call; those "
        "of a source are its users'",
    )
    cpu_ms: float = Field(0.0, ge=0, le=MAX_MS, description="work before the first call")
    cpu_per_call_ms: float = Field(
        0.0, ge=0, le=MAX_MS, description="work after each answer; once when fanned out"
    )
    compute: ComputeSection | None = Field(
        None,
        description="what it runs on, which its work then shares: `cpu_ms` and `cpu_per_call_ms` are those "
        "of a whole core; absent: room for all, and everybody's work at once",
    )

    @model_validator(mode="after")
    def _history_needs_an_order(self) -> Self:
        if self.history and self.mode == "fan_out":
            raise ValueError(
                "calls that are made all at once have no history: state `mode: sequential`, or leave "
                "`history` out"
            )
        return self

    @model_validator(mode="after")
    def _calls_or_steps(self) -> Self:
        others = {"calls", "mode", "history"} if self.steps else {"start", "most_steps"}
        stated = sorted(others & {name for name in self.model_fields_set if getattr(self, name) is not None})
        if stated:
            what = "an agent, whose `steps` say what it does" if self.steps else "an app without `steps`"
            raise ValueError(f"`{stated[0]}` means nothing to {what}: leave it out")
        return self

    @property
    def first_step(self) -> str:
        assert self.steps is not None, "an agent"
        return self.start or next(iter(self.steps))

    def walks(self, outputs: Iterator[int], fresh: "FreshStream", at_once: int) -> "Walks":
        """Of an agent: `outputs` are the lengths of answers that no step states."""
        from sim.edge.sandboxes import sandbox_times  # noqa: PLC0415 -- only agents need them
        from traffic.walks import Walks  # noqa: PLC0415

        assert self.steps is not None, "an agent"
        most_steps = self.most_steps or MOST_STEPS
        return Walks(self.steps, self.first_step, most_steps, sandbox_times(), outputs, fresh, at_once)

    @cached_property
    def mean_calls(self) -> float:
        """Model calls for one user request, about where it is an agent."""
        if self.steps is None:
            return float(self.calls)
        from numpy.random import default_rng  # noqa: PLC0415 -- as in `walks`

        walks = self.walks(repeat(1), lambda purpose: default_rng(list(purpose.encode())), MEAN_OVER)
        return sum(_asks(walks.draw()) for _ in range(MEAN_OVER)) / MEAN_OVER


def _asks(walk: "Iterable[Planned]") -> int:
    return sum((step.kind == "ask") + sum(map(_asks, step.branches)) for step in walk)


class Source(Workload):
    """Traffic of one kind from one place, to a model or to an app."""

    place: Name = Field(description="where its callers are")
    model: Name | None = None
    app: Name | None = None
    callers: Callers | None = Field(
        None,
        description="what each arrival does: docs/callers.md; absent: it sends one request and waits for "
        "nothing (open loop)",
    )
    tenant: Name = "tenant"
    max_concurrency: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="requests under way at most, of all its callers together, as load tools have it; the "
        "others wait at the client, first come, first; absent: any number",
    )
    clients: Clients | None = Field(
        None,
        description="callers with a project and a key each, so that limits count for each of them: "
        "`<tenant>-0`, `<tenant>-1` ..., the busiest first; absent: the tenant has one project and one key",
    )
    max_output_tokens: int | None = Field(
        None, ge=1, le=MAX_TOKENS, description="the cap its requests state; absent: none stated"
    )
    stream: bool = True
    batch: bool = Field(
        False,
        description="its requests are those of batch jobs: they spend nothing of the interactive limits",
    )
    priority: int | None = Field(
        None,
        ge=-LEAST_PRIORITY,
        le=LEAST_PRIORITY,
        description=f"the lower goes first where a model's `batching.queue` looks at it; absent: "
        f"{INTERACTIVE_PRIORITY}, or {BATCH_PRIORITY} of a `batch`",
    )
    tier: Name | None = Field(
        None,
        description="of its projects, where a model's `limits` or the `slo` have `tiers`, or limits are "
        "shared by tier",
    )
    fairness_id: Name | None = Field(
        None, description="whose turn it takes in a model's `flow_control`; absent: that of each project"
    )
    ttft_objective_ms: float | None = Field(
        None,
        ge=PS_IN_MS,
        le=MAX_MS,
        description="what `flow_control` in the order `slo_deadline` goes by; absent: `slo.ttft_ms`",
    )
    timeout_s: float | None = Field(
        None,
        ge=MIN_S,
        le=MAX_S,
        description="callers give up after this, all attempts together; of an `app` its calls to the "
        "model; absent: never",
    )
    retry: Retry | None = Field(
        None, description="what clients do when a request fails: docs/retries.md; absent: nothing"
    )
    hedge: HedgeSection | None = Field(
        None, description="a copy of a request that is slow, to see which answers first; absent: none"
    )
    connections: Connections = "pooled"
    users: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="how many callers, each with connections of its own; chat i is one of caller i modulo "
        "`users`",
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.model is None) == (self.app is None):
            raise ValueError("a source names either `model` or `app`")
        return self

    @model_validator(mode="after")
    def _callers_that_wait_draw_their_own(self) -> Self:
        if self.callers is None or isinstance(self.callers, RecordingFile):
            return self
        for name, followed in (("lengths", self.lengths), ("prefix", self.prefix)):
            if followed is not None and followed.follows_arrivals:
                raise ValueError(
                    f"`{name}` of kind 'trace' are those of one request for each arrival, and callers of "
                    f"kind '{self.callers.kind}' ask several times: state them otherwise, or leave "
                    f"`callers` out"
                )
        if self.callers.model_only and self.app is not None:
            raise ValueError(
                "chats are held with a model, and this source names an app: state `model`, or callers of "
                "kind 'closed_loop'"
            )
        return self

    @model_validator(mode="after")
    def _recorded_sessions_say_it_all(self) -> Self:
        if isinstance(self.arrivals, RecordingFile) and self.callers is not None:
            raise ValueError(
                f"arrivals of kind 'recording' are sessions whose turns wait, and callers of kind "
                f"'{self.callers.kind}' are others: leave one of the two out"
            )
        if self._recorded is None:
            return self
        for name, followed in (("lengths", self.lengths), ("prefix", self.prefix)):
            if followed is not None and not followed.follows_arrivals:
                raise ValueError(
                    f"the turns of recorded sessions have the {name} of the recording: state "
                    f"`{name}: {{kind: trace}}`"
                )
        if self.app is not None:
            raise ValueError(
                "recorded sessions are held with a model, and this source names an app: state `model`"
            )
        return self

    @model_validator(mode="after")
    def _who_waits_at_the_client_waits_for_nothing_else(self) -> Self:
        if self.max_concurrency is None:
            return self
        if self.callers_kind is not None:
            raise ValueError(
                f"`max_concurrency` is of callers who wait for no answer, and those of kind "
                f"'{self.callers_kind}' do: leave one of the two out"
            )
        if self.app is not None:
            raise ValueError(
                "`max_concurrency` is of requests to a model, and this source names an app: state `model`"
            )
        return self

    @model_validator(mode="after")
    def _a_number_of_closed_loop_users(self) -> Self:
        if self.callers is None or not self.callers.never_leave:
            return self
        if self.arrivals.callers is None:
            raise ValueError(
                f"closed-loop users never leave, and arrivals of kind '{self.arrivals.kind}' bring ever more "
                f"of them: state arrivals of kind 'ramp' or 'steps', which say how many come"
            )
        if "users" in self.model_fields_set:
            raise ValueError(
                f"closed-loop users have connections of their own, {self.arrivals.callers:,} as `arrivals` "
                f"say: leave `users` out"
            )
        return self

    @property
    def replayed(self) -> TraceFile | None:
        return self._recorded or self.arrivals.replayed

    @property
    def _recorded(self) -> RecordingFile | None:
        """The file of the sessions that it replays, if it does."""
        holders: tuple[object, ...] = (self.arrivals, self.callers)
        return next((holder for holder in holders if isinstance(holder, RecordingFile)), None)

    @property
    def recording(self) -> "Recording | None":
        """Read on first use; raises TraceError."""
        return None if self._recorded is None else self._recorded.recording

    @property
    def callers_kind(self) -> str | None:
        """Of callers that wait for their answers, however they are stated; None where nobody does."""
        if self._recorded is not None:
            return "recorded"
        return None if self.callers is None else self.callers.kind

    @property
    def requests_per_arrival(self) -> float:
        """On average, of arrivals that come again and again; those of an app count as one."""
        if self._recorded is not None:
            return self._recorded.turns_per_session
        return 1.0 if self.callers is None else self.callers.turns_of_each

    @property
    def people(self) -> int:
        """How many have connections of their own."""
        return self.arrivals.callers or 1 if self.callers and self.callers.never_leave else self.users

    @property
    def priority_of_requests(self) -> int:
        if self.priority is None:
            return BATCH_PRIORITY if self.batch else INTERACTIVE_PRIORITY
        return self.priority


class Objectives(Section):
    """What a request must meet, all of it. Absent: not asked for."""

    ttft_ms: float | None = Field(None, ge=PS_IN_MS, le=MAX_MS)
    tpot_ms: float | None = Field(None, ge=PS_IN_MS, le=MAX_MS)
    tokens_per_s: float | None = Field(
        None,
        ge=1000 / MAX_MS,
        le=1000 / PS_IN_MS,
        description="that a user sees at least, after the first: instead of `tpot_ms`, 50 are 20 ms",
    )
    e2e_ms: float | None = Field(None, ge=PS_IN_MS, le=MAX_MS)
    felt_ms: float | None = Field(
        None, ge=PS_IN_MS, le=MAX_MS, description="of user requests, the app included"
    )

    @property
    def tpot_limit_ms(self) -> float | None:
        return self.tpot_ms if self.tokens_per_s is None else 1000 / self.tokens_per_s

    @model_validator(mode="after")
    def _one_pace(self) -> Self:
        if self.tpot_ms is not None and self.tokens_per_s is not None:
            raise ValueError(
                f"`tpot_ms` ({self.tpot_ms:g}) and `tokens_per_s` ({self.tokens_per_s:g}) say the same in "
                f"two ways: state one of them"
            )
        return self


class Slo(Objectives):
    tiers: dict[Name, Objectives] = Field(
        default_factory=dict, description="instead of these, for sources of a `tier`: docs/tiers.md"
    )


class PrecisionSection(Section):
    """Go on with replications until every variant and source is known so well."""

    metric: Literal["felt", "ttft", "e2e"] = "felt"
    statistic: Literal["mean", "p50", "p95", "p99"] = "mean"
    relative: float = Field(
        0.05, gt=0, le=0.5, description="half-width of the interval at most, as a share of the true value"
    )
    max_replications: int = Field(
        100, ge=2, le=10_000, description="the run ends here even if not so precise"
    )


Percentile = Annotated[float, Field(ge=0.001, le=99.999)]


class RunPlan(Section):
    horizon_s: float = Field(
        ge=MIN_S, le=MAX_S, description="sources send until here; chats that have begun go on"
    )
    warm_up_s: Annotated[float, Field(ge=0, le=MAX_S)] | Literal["auto"] = Field(
        0.0,
        description="requests meant before this are not counted; `auto`: where MSER-5 sees the start-up end, "
        "two autocorrelation times at least",
    )
    drain_s: float | None = Field(
        None,
        ge=0,
        le=MAX_S,
        description="time after the horizon for answers to arrive; absent: as long as the horizon",
    )
    replications: int = Field(10, ge=1, le=10_000, description="with `precision`: those of the first round")
    precision: PrecisionSection | None = Field(None, description="absent: just `replications`")
    seed: int = Field(1, ge=0, le=2**63 - 1)
    percentiles: list[Percentile] = Field(
        [50, 90, 95, 99],
        min_length=1,
        description="wanted of every source; where stated, a run too short for one of them is refused",
    )

    @property
    def stated_warm_up_s(self) -> float:
        """For what is counted while the run goes on, before the whole of it was seen."""
        return 0.0 if self.warm_up_s == "auto" else self.warm_up_s

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.warm_up_s != "auto" and self.warm_up_s >= self.horizon_s:
            raise ValueError(
                f"warm_up_s ({self.warm_up_s:g}) leaves nothing of horizon_s ({self.horizon_s:g}) to measure"
            )
        return self

    @model_validator(mode="after")
    def _rounds(self) -> Self:
        if self.precision is None:
            return self
        if self.replications < 2:
            raise ValueError(
                "precision is judged by the spread between replications: replications must be at least 2"
            )
        most = self.precision.max_replications
        if most < self.replications:
            raise ValueError(
                f"precision.max_replications ({most}) is below replications ({self.replications})"
            )
        return self


ProjectSlug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
"""As 8080's projects are called, too."""


class ApiKey(Section):
    """Who sends with this key, and from where."""

    project: ProjectSlug = Field("default", description="whose limits count, and whose things it sees")
    tier: Name | None = Field(None, description="of the project; absent: that of its source")
    place: Name | None = Field(None, description="absent: the place of its source, else that of the listener")
    source: Name | None = Field(
        None, description="the traffic source that it stands for: connections, tenant and lengths of answers"
    )


class ScriptedCall(Section):
    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    arguments: dict[str, Any] | Text = Field(
        default_factory=dict, description="a mapping, or the text that a custom tool takes"
    )


class ScriptedAnswer(Section):
    """What is said or called, and when. Where several fit, one with `after` goes first, then the first."""

    match: Text | None = Field(None, description="a part of the user's last message; absent: any")
    after: Text | None = Field(
        None, description="the tool whose result has just come; absent: calls answer no results"
    )
    content: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    tool_calls: list[ScriptedCall] = Field(
        default_factory=no_items, max_length=128, description="made where the client offers these tools"
    )

    @model_validator(mode="after")
    def _says_or_calls(self) -> Self:
        if (self.content is None) is not bool(self.tool_calls):
            raise ValueError("an answer has either `content` or `tool_calls`")
        return self


class Template(Section):
    """A prompt that clients of `/v1/responses` name (`template`) instead of sending one (`input`)."""

    input: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] = Field(
        description="what the user says; `{{name}}` is where a request's `inputs.name` goes"
    )
    instructions: Annotated[str, StringConstraints(max_length=100_000)] | None = Field(
        None, description="the system's message, with places too, where the request has no own"
    )
    model: Name | None = Field(None, description="for requests that name no model; absent: they have to")


TemplateName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Serve(Section):
    """The live server; a simulated run does not look at it."""

    keys: dict[Annotated[str, StringConstraints(min_length=1, max_length=500)], ApiKey] = Field(
        default_factory=dict,
        description="API keys; absent: `sk-<source>` stands for that traffic source, and any other key is "
        "a project of its own",
    )
    place: Name | None = Field(
        None, description="of callers who do not say where they are; absent: the first place"
    )
    output: Length | None = Field(
        None, description="lengths of answers; absent: those of the first source that asks this model"
    )
    answers: list[ScriptedAnswer] = Field(
        default_factory=no_items,
        max_length=1000,
        description="what is said or called when; whatever fits none of them is answered by `--content`",
    )
    batch_requests_in_flight: int = Field(
        64,
        ge=1,
        le=10_000,
        description="so many of its requests each batch of `/v1/batches` keeps inside the platform at a time",
    )
    templates: dict[TemplateName, Template] = Field(
        default_factory=dict, description="prompts that clients of `/v1/responses` name"
    )


class SandboxSection(Section):
    """Where the live server runs other people's code; a simulated run does not look at it.

    Programs really run, and take the time that they take.
    """

    create_ms: float = Field(
        50.0,
        ge=0,
        le=MAX_MS,
        description="until a sandbox stands (assumed; bubblewrap takes about as long on two cores)",
    )
    exec_overhead_ms: float = Field(
        0.0, ge=0, le=MAX_MS, description="of each program, beside what it really takes (assumed)"
    )
    memory_mb: int = Field(512, ge=32, le=1_048_576, description="of a sandbox that states none")
    milli_cpus: int = Field(
        1000, ge=10, le=256_000, description="thousandths of a core, of a sandbox that states none"
    )
    most_memory_mb: int = Field(4096, ge=32, le=1_048_576, description="that may be stated")
    most_milli_cpus: int = Field(4000, ge=10, le=256_000, description="that may be stated")
    reference_mhz: float = Field(
        3000.0, ge=1, le=100_000, description="what `cpu_mhz` counts as a whole core (assumed)"
    )
    processes: int = Field(64, ge=4, le=10_000, description="at once, threads included")
    disk_mb: int = Field(256, ge=1, le=65_536, description="of its home directory, which is in memory")
    idle_s: float = Field(600.0, ge=MIN_S, le=MAX_S, description="real time without use after which it ends")
    lifetime_s: float = Field(3600.0, ge=MIN_S, le=MAX_S, description="real time after which it ends")
    most_per_project: int = Field(20, ge=1, le=200, description="of a project at once")

    @model_validator(mode="after")
    def _defaults_allowed(self) -> Self:
        for name in ("memory_mb", "milli_cpus"):
            if getattr(self, name) > getattr(self, f"most_{name}"):
                raise ValueError(f"{name} is above most_{name} ({getattr(self, f'most_{name}')})")
        return self


class EdgeSection(Section):
    """Where the live server runs applications; a simulated run does not look at it.

    They really run, held to what their manifests state.
    """

    reference_mhz: float = Field(
        3000.0, ge=1, le=100_000, description="what `cpu_mhz` counts as a whole core (assumed)"
    )
    cpu_mhz: float = Field(
        3000.0, ge=1, le=1_000_000, description="of an application that states none (assumed)"
    )
    memory_size_mb: int = Field(
        1024, ge=1, le=1_048_576, description="of an application that states none (assumed)"
    )


class Variant(Section):
    title: Text | None = None
    set: dict[str, Any] = Field(
        default_factory=dict, description="dotted path -> value, put over the scenario"
    )


class Scenario(Section):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)]
    title: Text = ""
    question: Text = ""
    models: dict[Name, Model] = Field(min_length=1)
    gateway: GatewaySection = GatewaySection.model_construct()
    network: NetworkSection
    apps: dict[Name, AppSection] = Field(default_factory=dict)
    traffic: dict[Name, Source] = Field(min_length=1)
    faults: dict[Name, AnyFault] = Field(
        default_factory=dict, max_length=100, description="what breaks, and when: docs/faults.md"
    )
    slo: Slo = Slo.model_construct()
    objectives: Annotated[list[Text], Field(max_length=100)] = Field(
        default_factory=no_items,
        description="what `e80sim gate` holds the run to, such as ttft_p95_ms<=50: docs/gate.md",
    )
    serve: Serve = Serve.model_construct()
    sandboxes: SandboxSection = SandboxSection.model_construct()
    edge: EdgeSection = EdgeSection.model_construct()
    run: RunPlan
    variants: dict[Name, Variant] = Field(
        default_factory=dict, description="the first is the baseline; absent: one variant, `base`"
    )
    sweep: SweepSection = SweepSection.model_construct()

    def objectives_of(self, source: Source) -> Objectives:
        """Those of its tier, if that has any of its own."""
        return self.slo.tiers.get(source.tier or "", self.slo)
