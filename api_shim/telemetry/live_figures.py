"""What `/live` shows: the figures of a report while the requests still come.

All of it is read off counters that exist anyway, when somebody looks: nobody looks, nothing is done.
"""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import ceil
from typing import NamedTuple, Protocol

from api_shim.clocks.clock import Clock
from api_shim.clocks.histogram import Histogram
from api_shim.telemetry.metrics import Metrics
from reports.statistics import name_of, requests_needed
from sim.run.world import World
from sim.time.units import s_of_ps

PROBABILITIES = (0.5, 0.95, 0.99)
LATENCIES = {
    "TTFT": "time_to_first_token_seconds",
    "TPOT": "request_time_per_output_token_seconds",
    "E2E": "e2e_request_latency_seconds",
}
MOST_LOOKS = 120
LOOK_EVERY_S = 0.5
"""On the wall: two people who look count as one."""
RATE_OVER_S = 10.0
"""Rates are means over so long a time on the wall, or since somebody began to look."""


class Served(Protocol):
    """The server whose figures these are."""

    world: World
    clock: Clock
    metrics: Metrics
    served: int
    unanswered: int

    @property
    def models(self) -> Mapping[str, "Named"]: ...
    @property
    def under_way(self) -> int: ...


class Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...


class Look(NamedTuple):
    """Counts since the start, and what is there at this moment, of all models."""

    at_s: float
    """On the wall."""
    simulated_s: float
    offered: int
    carried: int
    refused: int
    """Or lost, or left by their callers."""
    queue: int
    batch: int


class Quantile(NamedTuple):
    name: str
    upper_s: float | None
    """The upper end of the bucket in which it lies, in seconds; None where too few requests are there yet."""
    run_s: int | None
    """Simulated seconds that a run takes until it is there, at the rate so far; None where nothing came."""


class ModelFigures(NamedTuple):
    id: str
    requests: int
    """Answered."""
    quantiles: dict[str, list[Quantile]]
    """By latency."""
    queue: int
    batch: int
    kv_share: float
    refused: dict[str, int]
    """By cause."""


class LiveFigures(NamedTuple):
    now: Look
    per_s: dict[str, float | None]
    """Offered, carried and refused, per simulated second, over the last seconds; None on the first look."""
    course: dict[str, list[float]]
    """From look to look: the same rates, and queue and batch."""
    models: list[ModelFigures]


class LiveCourse:
    """The looks so far, while somebody looks."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._looks: deque[Look] = deque(maxlen=MOST_LOOKS)

    def figures(self) -> LiveFigures:
        """Looks at the model, hence where the loop runs and not aside."""
        server = self._server
        now_ps = server.clock.reach()
        simulated_s = s_of_ps(now_ps)
        models = [_model(server, model, now_ps, simulated_s) for model in server.models.values()]
        now = Look(
            server.clock.unix_s(),
            simulated_s,
            server.served + server.unanswered + server.under_way,
            server.served,
            server.unanswered,
            sum(model.queue for model in models),
            sum(model.batch for model in models),
        )
        self._note(now)
        return LiveFigures(now, self._per_s(now), self._course(), models)

    def _note(self, look: Look) -> None:
        if self._looks and look.at_s - self._looks[-1].at_s > RATE_OVER_S:
            self._looks.clear()  # nobody looked: what went on meanwhile is no course
        if not self._looks or look.at_s - self._looks[-1].at_s >= LOOK_EVERY_S:
            self._looks.append(look)

    def _per_s(self, now: Look) -> dict[str, float | None]:
        before = next((look for look in self._looks if now.at_s - look.at_s <= RATE_OVER_S), now)
        return {name: _rate(count, before, now) for name, count in COUNTS.items()}

    def _course(self) -> dict[str, list[float]]:
        steps = [(a, b) for a, b in pairwise(self._looks) if b.simulated_s > a.simulated_s]
        rates = {name: [_rate(count, a, b) or 0.0 for a, b in steps] for name, count in COUNTS.items()}
        return rates | {
            "queue": [float(look.queue) for look in self._looks],
            "batch": [float(look.batch) for look in self._looks],
        }


COUNTS: dict[str, Callable[[Look], int]] = {
    "offered": lambda look: look.offered,
    "carried": lambda look: look.carried,
    "refused": lambda look: look.refused,
}


def _rate(count: Callable[[Look], int], before: Look, now: Look) -> float | None:
    lasted_s = now.simulated_s - before.simulated_s
    return (count(now) - count(before)) / lasted_s if lasted_s > 0 else None


def _model(server: Served, model: Named, now_ps: int, simulated_s: float) -> ModelFigures:
    pool, tally = server.world.platform.pools[model.name], server.metrics.tallies[model.id]
    running = sum(node.kernel.running for node in pool.nodes)
    blocks = sum(node.kernel.blocks_in_use(now_ps) for node in pool.nodes)
    return ModelFigures(
        model.id,
        sum(tally.answered.values()),
        {name: quantiles(tally.histograms[key], simulated_s) for name, key in LATENCIES.items()},
        sum(max(0, node.outstanding - node.kernel.running) for node in pool.nodes),
        running,
        blocks / (server.world.kv_blocks[model.name] * pool.size),
        dict(tally.refused),
    )


def quantiles(seen: Histogram, simulated_s: float) -> list[Quantile]:
    """A quantile is told once there are as many requests as a report asks for."""
    return [_quantile(seen, probability, simulated_s) for probability in PROBABILITIES]


def _quantile(seen: Histogram, probability: float, simulated_s: float) -> Quantile:
    needed, name = requests_needed(probability), name_of(probability)
    if seen.total < needed:
        run_s = ceil(needed * simulated_s / seen.total) if seen.total else None
        return Quantile(name, None, run_s)
    found = seen.quantile(probability)
    assert found is not None
    return Quantile(name, s_of_ps(found), None)
