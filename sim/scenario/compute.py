"""`apps.NAME.compute`: the share of a processor and the memory that an app has, as in its `8080.yaml`.

Absent, an app has all that it needs at once: its work takes as long as stated, whoever else is served.
"""

from fractions import Fraction
from typing import Self

from pydantic import Field, model_validator

from sim.edge.compute import ComputeShape
from sim.scenario.section import Section
from sim.time.units import ps_of_ms, ps_of_s
from traffic.spec import MAX_S

MAX_MS = MAX_S * 1000

UNBOUNDED = 1_000_000
"""Requests at once, where nothing bounds them."""


class ComputeSection(Section):
    cpu_mhz: float = Field(
        ge=1, le=1_000_000, description="of each instance, in equal parts to the requests at work in it"
    )
    reference_mhz: float = Field(
        3000.0, ge=1, le=100_000, description="what `cpu_mhz` counts as a whole core (assumed)"
    )
    memory_size_mb: float | None = Field(None, gt=0, le=1_048_576, description="of each instance")
    memory_at_rest_mb: float | None = Field(
        None, ge=0, le=1_048_576, description="that an instance takes without any request"
    )
    memory_per_request_mb: float | None = Field(
        None, gt=0, le=1_048_576, description="that each request adds"
    )
    concurrency: int | None = Field(
        None,
        ge=1,
        le=UNBOUNDED,
        description="requests at once in an instance; absent: as many as its memory holds, else any",
    )
    instances: int = Field(1, ge=1, le=1000, description="that run at most")
    warm_instances: int | None = Field(
        None, ge=0, le=1000, description="that run from the start and never stop; absent: all of them"
    )
    cold_start_ms: float | None = Field(
        None, ge=0, le=MAX_MS, description="from the start of another instance until it serves"
    )
    idle_timeout_s: float = Field(
        300.0, ge=0, le=MAX_S, description="without a request, after which an instance stops that is not warm"
    )

    @model_validator(mode="after")
    def _memory_is_stated_whole(self) -> Self:
        stated = [self.memory_size_mb, self.memory_at_rest_mb, self.memory_per_request_mb]
        if any(part is None for part in stated) and any(part is not None for part in stated):
            raise ValueError(
                "`memory_size_mb`, `memory_at_rest_mb` and `memory_per_request_mb` tell together how many "
                "requests an instance holds: state all three, or none"
            )
        if self._memory_holds() < 1:
            raise ValueError(
                f"memory_size_mb ({self.memory_size_mb:g}) does not hold one request: an instance takes "
                f"{self.memory_at_rest_mb:g} MB at rest and {self.memory_per_request_mb:g} for each"
            )
        return self

    @model_validator(mode="after")
    def _cold_starts_are_stated(self) -> Self:
        warm = self.warm
        if warm > self.instances:
            raise ValueError(f"warm_instances ({warm}) is above instances ({self.instances})")
        if warm < self.instances and self.cold_start_ms is None:
            raise ValueError(
                f"{self.instances - warm} of the instances start when needed: state `cold_start_ms`"
            )
        if 0 < warm < self.instances and self.at_once == UNBOUNDED:
            raise ValueError(
                "nothing fills an instance, so no other would ever start: state `concurrency`, or the memory"
            )
        return self

    @property
    def warm(self) -> int:
        return self.instances if self.warm_instances is None else self.warm_instances

    @property
    def at_once(self) -> int:
        return min(self.concurrency or UNBOUNDED, self._memory_holds())

    def _memory_holds(self) -> int:
        if (
            self.memory_size_mb is None
            or self.memory_at_rest_mb is None
            or self.memory_per_request_mb is None
        ):
            return UNBOUNDED
        room = Fraction(self.memory_size_mb) - Fraction(self.memory_at_rest_mb)
        return max(0, min(UNBOUNDED, room // Fraction(self.memory_per_request_mb)))

    def shape(self) -> ComputeShape:
        return ComputeShape(
            Fraction(self.cpu_mhz) / Fraction(self.reference_mhz),
            self.instances,
            self.warm,
            self.at_once,
            ps_of_ms(self.cold_start_ms or 0.0),
            ps_of_s(self.idle_timeout_s),
        )
