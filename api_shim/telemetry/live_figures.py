"""What `/live` shows: the figures of a report while the requests still come.

All of it is read off what is kept anyway, when somebody looks: nobody looks, nothing is done.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import ceil
from typing import NamedTuple, Protocol

import numpy as np

from api_shim.clocks.clock import Clock
from api_shim.clocks.pacing import Pacing
from api_shim.telemetry.metrics import Metrics
from api_shim.telemetry.source_tally import SourceKey, SourceTally
from reports.columns import Floats
from reports.quantile_intervals import quantile_answers
from reports.sample_size import requests_needed
from reports.statistics import Estimate, Samples, name_of
from sim.run.world import World
from sim.time.units import s_of_ps

PROBABILITIES = (0.5, 0.95, 0.99)
MOST_SOURCES = 12
"""Shown of one model."""
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
    pacing: Pacing
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
    found: Estimate | None
    """In seconds; None where too few requests are there yet."""
    run_s: int | None
    """Simulated seconds that a run takes until it is there, at the rate so far; None where nothing came."""


class SourceFigures(NamedTuple):
    """Of one source from one place to one model, or of all of them."""

    name: str
    answered: int
    refused: dict[str, int]
    """By cause."""
    latest: dict[str, Floats]
    """By latency: seconds of the requests answered last, in order."""
    seen: dict[str, int]
    """By latency: how many there were since the start."""

    def quantiles(self, simulated_s: float) -> dict[str, list[Quantile]]:
        """About a millisecond for each latency: nothing for the loop to wait for."""
        return {name: quantiles(values, self.seen[name], simulated_s) for name, values in self.latest.items()}


class ModelFigures(NamedTuple):
    id: str
    sources: list[SourceFigures]
    """All together first, where there are several; then each, most answers first."""
    left_out: int
    """Sources."""
    queue: int
    batch: int
    kv_share: float


class LiveFigures(NamedTuple):
    now: Look
    per_s: dict[str, float | None]
    """Offered, carried and refused, per simulated second, over the last seconds; None on the first look."""
    course: dict[str, list[float]]
    """From look to look: the same rates, and queue and batch."""
    models: list[ModelFigures]
    late_s: float | None
    """How late the server writes at p99, or less: on its wall clock."""
    not_paced: str | None
    """Why wall times cannot be believed."""


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
        models = [_model(server, model, now_ps) for model in server.models.values()]
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
        late_ps = server.pacing.lateness.quantile(0.99)
        late_s = None if late_ps is None else s_of_ps(late_ps)
        return LiveFigures(now, self._per_s(now), self._course(), models, late_s, server.pacing.why_not())

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


def _model(server: Served, model: Named, now_ps: int) -> ModelFigures:
    pool = server.world.platform.pools[model.name]
    running = sum(node.kernel.running for node in pool.nodes)
    blocks = sum(node.kernel.blocks_in_use(now_ps) for node in pool.nodes)
    sources, left_out = _sources(server.metrics, model.id)
    return ModelFigures(
        model.id,
        sources,
        left_out,
        sum(max(0, node.outstanding - node.kernel.running) for node in pool.nodes),
        running,
        blocks / (server.world.kv_blocks[model.name] * pool.size),
    )


def _sources(metrics: Metrics, model_id: str) -> tuple[list[SourceFigures], int]:
    mine = {key: tally for key, tally in metrics.sources.items() if key.model_id == model_id}
    order = sorted(mine, key=lambda key: (-mine[key].answered, key))
    places = Counter(key.source for key in mine)
    found = [_figures(_name(key, places), mine[key]) for key in order[:MOST_SOURCES]]
    if len(mine) > 1:
        found.insert(0, _figures("All sources", metrics.whole[model_id]))
    return found, max(0, len(mine) - MOST_SOURCES)


def _name(key: SourceKey, places: Mapping[str, int]) -> str:
    """As in the report: with its place where it asks from several."""
    return f"{key.source}, {key.place}" if places[key.source] > 1 else key.source


def _figures(name: str, tally: SourceTally) -> SourceFigures:
    latest = tally.latest
    return SourceFigures(
        name,
        tally.answered,
        dict(tally.refused),
        {latency: one.in_order() for latency, one in latest.items()},
        {latency: one.seen for latency, one in latest.items()},
    )


def quantiles(values: Floats, seen: int, simulated_s: float) -> list[Quantile]:
    """Each is told, with its interval, once there are as many requests as a report asks for."""
    samples = Samples.of(values, np.zeros(len(values), np.int64), [0], 0.0)
    answers = quantile_answers(samples, PROBABILITIES)
    return [
        Quantile(
            name_of(probability),
            answer if isinstance(answer, Estimate) else None,
            ceil(requests_needed(probability) * simulated_s / seen) if seen else None,
        )
        for probability, answer in zip(PROBABILITIES, answers, strict=True)
    ]
