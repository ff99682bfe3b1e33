"""The section `flow_control` of a model: who waits at the gateway while the nodes are busy, and how long."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from e80sim.choices import KeyOf
from sim.scenario.section import Section, no_items
from sim.time.units import ps_of_s
from traffic.request import LEAST_PRIORITY
from traffic.spec import MAX_S, MIN_S

if TYPE_CHECKING:
    from sim.platform.flow_control import BandSettings, FlowSettings

MOST_REQUESTS = 1_000_000


def _orders() -> Mapping[str, object]:
    from sim.platform.flow_control import ORDERS  # noqa: PLC0415 -- with SimPy, 4 % of the time to load a scenario

    return ORDERS


def _fairness() -> Mapping[str, object]:
    from sim.platform.flow_control import FAIRNESS  # noqa: PLC0415 -- as _orders

    return FAIRNESS


class PriorityBand(Section):
    """What is left out is as for all."""

    priority: int = Field(
        ge=-LEAST_PRIORITY, le=LEAST_PRIORITY, description="of its requests; the lower goes first"
    )
    order: Annotated[str, KeyOf(_orders)] | None = Field(None, description="absent: that of all")
    fairness: Annotated[str, KeyOf(_fairness)] | None = Field(None, description="absent: that of all")
    max_requests: int | None = Field(
        None,
        ge=0,
        le=MOST_REQUESTS,
        description="that wait in this band; absent: as many as in all bands together",
    )
    ttl_s: float | None = Field(None, ge=MIN_S, le=MAX_S, description="absent: that of all")


class FlowControlSection(Section):
    """As llm-d's flow control, whose detector counts requests (`concurrency-detector`)."""

    max_concurrency: int = Field(
        ge=1,
        le=1_000_000,
        description="requests inside the pool, times its nodes; beyond, they wait at the gateway",
    )
    max_requests: int = Field(
        1000, ge=0, le=MOST_REQUESTS, description="that wait; one more is refused (429)"
    )
    ttl_s: float | None = Field(
        None,
        ge=MIN_S,
        le=MAX_S,
        description="whoever has waited so long is refused (429); absent: as long as the caller waits",
    )
    order: Annotated[str, KeyOf(_orders)] = Field(
        "fcfs",
        description="within a flow: `fcfs`; `edf`: whoever is given up first, by its caller or for its "
        "`ttl_s`; `slo_deadline`: whose first token is due first by its objective",
    )
    fairness: Annotated[str, KeyOf(_fairness)] = Field(
        "global_strict",
        description="within a band: `global_strict`: one flow for all; `round_robin`: one for each fairness "
        "id, which take turns",
    )
    bands: list[PriorityBand] = Field(
        default_factory=no_items,
        max_length=100,
        description="of priorities that are not as all others; each priority is a band, and the lowest goes "
        "first",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen: set[int] = set()
        for band in self.bands:
            if band.priority in seen:
                raise ValueError(f"there are two bands of priority {band.priority}: state one")
            seen.add(band.priority)
        return self

    def settings(self) -> "FlowSettings":
        from sim.platform.flow_control import FlowSettings  # noqa: PLC0415 -- as _orders

        return FlowSettings(
            self.max_concurrency,
            self.max_requests,
            self._band(None),
            {band.priority: self._band(band) for band in self.bands},
        )

    def _band(self, own: PriorityBand | None) -> "BandSettings":
        from sim.platform.flow_control import FAIRNESS, ORDERS, BandSettings  # noqa: PLC0415 -- as _orders

        order, fairness, ttl_s = self.order, self.fairness, self.ttl_s
        if own is not None:
            order, fairness = own.order or order, own.fairness or fairness
            ttl_s = ttl_s if own.ttl_s is None else own.ttl_s
        return BandSettings(
            ORDERS[order],
            FAIRNESS[fairness],
            None if own is None else own.max_requests,
            None if ttl_s is None else ps_of_s(ttl_s),
        )
