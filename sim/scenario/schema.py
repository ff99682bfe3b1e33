"""The sections of a scenario. What YAML may say is exactly what stands here.

Units are in the names, unknown keys are errors, and no value has a magic meaning.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from hwmodels.hardware import Hardware
from hwmodels.llm import load_llm
from hwmodels.node_hardware import NodeHardware
from sim.network.keep_alive import Tls
from sim.network.places import Place, RegionName
from traffic.workload import Workload

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Batching(Section):
    """vLLM's settings; what is left out comes from the hardware."""

    max_num_seqs: int | None = Field(None, ge=1, description="sequences in the batch at most")
    max_num_batched_tokens: int | None = Field(
        None, ge=1, description="tokens of one step at most, prompt chunks and decodes together"
    )
    block_size: int | None = Field(
        None, ge=1, description="tokens of one KV block; absent: 16 on GPUs as in vLLM, 1 on an ASIC"
    )


class Limits(Section):
    requests_per_minute: int = Field(ge=1)
    tokens_per_minute: int = Field(ge=1)
    algorithm: Literal["token_bucket", "sliding_window", "fixed_window"] = "token_bucket"
    scope: Literal["project", "key"] = Field("project", description="who shares one limit")
    default_output_reservation_tokens: int = Field(
        512, ge=0, description="reserved for the output of a request that states no maximum (assumed)"
    )


class Model(Section):
    id: str = Field(description="the model's name on the wire")
    llm: str = Field(description="the catalogue's facts of the LLM, such as llama3.1-8b")
    hardware: Hardware
    nodes: int = Field(1, ge=1, le=10_000)
    context_tokens: int = Field(ge=2, description="prompt and output of one request at most")
    batching: Batching = Batching()
    routing: Literal["least_outstanding", "round_robin", "random"] = "least_outstanding"
    limits: Limits | None = Field(None, description="absent: no limits")

    @property
    def block_size(self) -> int:
        return self.batching.block_size or (1 if self.hardware.kind == "hardwired_asic" else 16)

    def build_hardware(self) -> NodeHardware:
        """Raises ValueError where the LLM, the hardware and the batching do not go together."""
        batching = self.batching
        return self.hardware.build(
            load_llm(self.llm),
            max_num_seqs=batching.max_num_seqs,
            max_num_batched_tokens=batching.max_num_batched_tokens,
        )


class Gateway(Section):
    overhead_ms: float = Field(0.0, ge=0, description="service time of one request")
    concurrency: int | None = Field(None, ge=1, description="requests in service at once; absent: any number")


class Network(Section):
    site: RegionName = Field(
        "aws:us-east-1", description="the cloud region that the platform's datacenter is next to"
    )
    tls: Annotated[Tls, BeforeValidator(lambda v: str(v) if isinstance(v, float) else v)] = "1.3"
    dns_lookup_ms: float | None = Field(
        None, ge=0, description="per new connection; absent: by the kind of place"
    )
    idle_timeout_s: float = Field(60.0, ge=0, description="an idle connection is kept so long (assumed)")
    places: dict[Name, Place] = Field(min_length=1)


class App(Section):
    """Customers' code between a user and the model."""

    place: Name = Field(description="where it runs")
    model: Name
    calls: int = Field(1, ge=1, le=1000, description="model calls for one user request (k)")
    mode: Literal["sequential", "fan_out"] = Field(
        "sequential", description="one after the other, or all at once"
    )
    cpu_ms: float = Field(0.0, ge=0, description="work before the first call")
    cpu_per_call_ms: float = Field(0.0, ge=0, description="work after each answer; once when fanned out")


class Source(Workload):
    """Open-loop traffic of one kind from one place, to a model or to an app."""

    place: Name = Field(description="where its callers are")
    model: Name | None = None
    app: Name | None = None
    tenant: Name = "tenant"
    max_output_tokens: int | None = Field(
        None, ge=1, description="the cap its requests state; absent: none stated"
    )
    stream: bool = True
    timeout_s: float | None = Field(None, gt=0, description="callers give up after this; absent: never")
    connections: Literal["pooled", "per_request"] = "pooled"
    users: int = Field(1, ge=1, description="how many callers, each with connections of its own")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.model is None) == (self.app is None):
            raise ValueError("a source names either `model` or `app`")
        return self


class Slo(Section):
    """Objectives that a request must meet, all of them. Absent: not asked for."""

    ttft_ms: float | None = Field(None, gt=0)
    tpot_ms: float | None = Field(None, gt=0)
    e2e_ms: float | None = Field(None, gt=0)
    felt_ms: float | None = Field(None, gt=0, description="of user requests, the app included")


class RunPlan(Section):
    horizon_s: float = Field(gt=0, le=4_000_000, description="sources send until here")
    warm_up_s: float = Field(0.0, ge=0, description="requests meant before this are not counted")
    drain_s: float | None = Field(
        None, ge=0, description="time after the horizon for answers to arrive; absent: as long as the horizon"
    )
    replications: int = Field(10, ge=1, le=10_000)
    seed: int = Field(1, ge=0)

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.warm_up_s >= self.horizon_s:
            raise ValueError(
                f"warm_up_s ({self.warm_up_s:g}) leaves nothing of horizon_s ({self.horizon_s:g}) to measure"
            )
        return self


class Variant(Section):
    title: str | None = None
    set: dict[str, Any] = Field(
        default_factory=dict, description="dotted path -> value, put over the scenario"
    )


class Scenario(Section):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str = ""
    question: str = ""
    models: dict[Name, Model] = Field(min_length=1)
    gateway: Gateway = Gateway()
    network: Network
    apps: dict[Name, App] = Field(default_factory=dict)
    traffic: dict[Name, Source] = Field(min_length=1)
    slo: Slo = Slo()
    run: RunPlan
    variants: dict[Name, Variant] = Field(
        default_factory=dict, description="the first is the baseline; absent: one variant, `base`"
    )
