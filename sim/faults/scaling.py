"""Policies by which a model's nodes become more or fewer: how many there should be, from what can be seen.

A policy is a class with `wanted`; the table is at the end. What it takes until a node is there, and how one
leaves, is `sim.faults.scaler`.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from e80sim.choices import OneOf, by_kind
from traffic.spec import MAX_S, Spec

MOST_NODES = 10_000
LEAST_INTERVAL_S = 0.01
"""Each look is an event, and counts all requests inside."""


class Fleet(NamedTuple):
    """What a policy may look at, at one instant."""

    now_s: float
    nodes: int
    """Those that take requests, and those that are starting."""
    taking: int
    waiting: int
    """Requests that no node has begun, at the gateway's queue, the pool's or a node's."""
    running: int
    """Sequences in the batches of those that take requests."""
    places: int
    """For sequences in the batch of one node."""


class Scaling(Spec, ABC):
    """What all policies state."""

    kind: str
    min_nodes: int = Field(
        1, ge=1, le=MOST_NODES, description="never fewer, those that are starting included"
    )
    max_nodes: int = Field(ge=1, le=MOST_NODES, description="never more")
    start_up_s: float = Field(
        ge=0, le=MAX_S, description="from the decision until a new node takes requests; it is paid for"
    )
    every_s: float = Field(10.0, ge=LEAST_INTERVAL_S, le=MAX_S, description="the policy looks so often")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_nodes > self.max_nodes:
            raise ValueError(f"min_nodes ({self.min_nodes}) is above max_nodes ({self.max_nodes})")
        return self

    @property
    def quiet_s(self) -> float:
        """After a change nothing changes for so long."""
        return 0.0

    @abstractmethod
    def wanted(self, fleet: Fleet) -> int:
        """How many nodes there should be; what is outside of the bounds is brought inside."""


class ThresholdScaling(Scaling):
    """One figure: above one bound nodes are added, at or below another they go."""

    cool_down_s: float = Field(60.0, ge=0, le=MAX_S, description="after a change nothing changes for so long")
    step: int = Field(1, ge=1, le=MOST_NODES, description="so many nodes at a time")

    @property
    def quiet_s(self) -> float:
        return self.cool_down_s

    def _stepped(self, fleet: Fleet, figure: float, out_above: float, in_below: float) -> int:
        if not fleet.taking or figure > out_above:
            return fleet.nodes + self.step
        return fleet.nodes - self.step if figure <= in_below else fleet.nodes


class QueueScaling(ThresholdScaling):
    """By the requests that wait, for each node that takes requests."""

    kind: Literal["queue"] = "queue"
    out_above: float = Field(ge=0, le=1_000_000, description="waiting requests for each node")
    in_below: float = Field(0.0, ge=0, le=1_000_000, description="at so many or fewer for each, nodes go")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.in_below > self.out_above:
            raise ValueError(f"in_below ({self.in_below:g}) is above out_above ({self.out_above:g})")
        return self

    def wanted(self, fleet: Fleet) -> int:
        return self._stepped(fleet, fleet.waiting / max(1, fleet.taking), self.out_above, self.in_below)


class UtilisationScaling(ThresholdScaling):
    """By the share of the places in batches that are taken."""

    kind: Literal["utilisation"] = "utilisation"
    out_above: float = Field(gt=0, lt=1, description="share of the places (`max_num_seqs`) of all nodes")
    in_below: float = Field(ge=0, lt=1, description="at such a share or a lower one, nodes go")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.in_below >= self.out_above:
            raise ValueError(f"in_below ({self.in_below:g}) is not below out_above ({self.out_above:g})")
        return self

    def wanted(self, fleet: Fleet) -> int:
        share = fleet.running / (fleet.places * max(1, fleet.taking))
        return self._stepped(fleet, share, self.out_above, self.in_below)


class ScheduleStep(Spec):
    at_s: float = Field(ge=0, le=MAX_S)
    nodes: int = Field(ge=1, le=MOST_NODES, description="from then on")


class ScheduleScaling(Scaling):
    """By the clock. `at_s` is when nodes are ordered: they take requests `start_up_s` later."""

    kind: Literal["schedule"] = "schedule"
    steps: list[ScheduleStep] = Field(min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _within(self) -> Self:
        for step in self.steps:
            if not self.min_nodes <= step.nodes <= self.max_nodes:
                words = f"{step.nodes} nodes from {step.at_s:g} s on are not within min_nodes"
                raise ValueError(f"{words} ({self.min_nodes}) and max_nodes ({self.max_nodes})")
        times = [step.at_s for step in self.steps]
        if times != sorted(set(times)):
            raise ValueError("steps come in the order of their `at_s`, each at a time of its own")
        return self

    def wanted(self, fleet: Fleet) -> int:
        due = [step.nodes for step in self.steps if step.at_s <= fleet.now_s]
        return due[-1] if due else fleet.nodes


SCALING: dict[str, type[Scaling]] = by_kind(QueueScaling, UtilisationScaling, ScheduleScaling)
"""By kind. A new one is a class with `wanted`, and a place here: docs/extending.md."""
AnyScaling = Annotated[Scaling, OneOf(SCALING)]
