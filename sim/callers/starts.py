"""What each arrival of a source does, and when they come."""

from collections.abc import Callable

from sim.callers.sources import OpenSource
from sim.callers.traffic import SourceTraffic, Traffic
from sim.scenario.schema import Source
from traffic.blocks import of_ints


def add(traffic: Traffic, name: str, source: Source) -> None:
    """From here on the callers of the source come."""
    of_source = SourceTraffic(traffic, name, source)
    start = _start(of_source)
    arrivals = source.arrivals.blocks(traffic.stream(f"traffic/{name}/arrivals"), traffic.horizon_ps)
    OpenSource(traffic.env, of_ints(arrivals), start)


def _start(of: SourceTraffic) -> Callable[[], object]:
    """What each arrival does."""
    if of.source.callers_kind is not None:
        from sim.callers.waiting import start_of  # noqa: PLC0415 -- most requests wait for nothing

        return start_of(of)
    most = of.source.max_concurrency
    return of.starts_alone() if most is None else of.starts_in_line(most)
