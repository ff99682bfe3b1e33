"""How often intervals hold what they estimate: many studies of a queue whose truth is known."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from docs.coverage.queues import QUEUES, Queue
from reports.columns import Floats
from reports.quantile_intervals import quantile_answers
from reports.statistics import Answer, Estimate, Samples, mean
from sim.run.stopping import next_total, relative_half_width, target
from sim.scenario.schema import PrecisionSection

STATISTICS = {"mean": None, "p50": 0.5, "p95": 0.95, "p99": 0.99}
TELLS_REQUESTS = re.compile(r"needs about ([\d,]+) requests")
TRUTH_REPLICATIONS, TRUTH_REQUESTS = 20, 100_000


@dataclass(frozen=True, slots=True)
class Case:
    queue: str
    load: float
    replications: int
    requests: int
    """Of each replication."""
    precision: PrecisionSection | None = None
    """More replications come until its statistic is as precise; the others are not judged."""

    @property
    def judged(self) -> list[str]:
        return list(STATISTICS) if self.precision is None else [self.precision.statistic]


@dataclass(slots=True)
class Tally:
    """Of one statistic, over all studies."""

    truth: float
    errors: list[float] = field(default_factory=list)
    """Of the value, as shares of the truth; refused or not."""
    held: int = 0
    too_low: int = 0
    too_high: int = 0
    half_widths: list[float] = field(default_factory=list)
    needed: list[int] = field(default_factory=list)
    """Requests that refusals asked for."""

    @property
    def given(self) -> int:
        return self.held + self.too_low + self.too_high

    def add(self, answer: Answer) -> None:
        if not isinstance(answer, Estimate):
            return
        self.errors.append(answer.value / self.truth - 1)
        if answer.low is None or answer.high is None:
            told = TELLS_REQUESTS.search(answer.note or "")
            self.needed += [int(told[1].replace(",", ""))] if told else []
            return
        self.half_widths.append((answer.high - answer.low) / 2 / self.truth)
        self.too_low += answer.high < self.truth
        self.too_high += answer.low > self.truth
        self.held += answer.low <= self.truth <= answer.high


def truths_of(queue: Queue, load: float) -> dict[str, float]:
    """By formula, or for quantiles without one from a run of 2 million requests."""
    found = {"mean": queue.mean(load)}
    quantiles = {name: p for name, p in STATISTICS.items() if p is not None}
    if queue.beyond is not None:
        return found | {name: queue.quantile(load, p) for name, p in quantiles.items()}
    rng = np.random.default_rng(1)
    drawn = [queue.draw(rng, TRUTH_REQUESTS, load) for _ in range(TRUTH_REPLICATIONS)]
    answers = quantile_answers(samples_of(drawn), list(quantiles.values()))
    return found | {
        name: answer.value
        for name, answer in zip(quantiles, answers, strict=True)
        if isinstance(answer, Estimate)
    }


def tallies_of(case: Case, studies: int, seed: int) -> dict[str, Tally]:
    """By statistic; those whose truth is 0 are left out, since most do not wait."""
    queue = QUEUES[case.queue]
    truths = truths_of(queue, case.load)
    tallies = {name: Tally(truths[name]) for name in case.judged if truths[name] > 1e-6}
    rng = np.random.default_rng(seed)
    for _ in range(studies):
        for name, answer in _answers(case, lambda: queue.draw(rng, case.requests, case.load)).items():
            if name in tallies:
                tallies[name].add(answer)
    return tallies


def samples_of(replications: list[Floats]) -> Samples:
    owner = np.repeat(np.arange(len(replications)), [len(part) for part in replications])
    return Samples.of(np.concatenate(replications), owner, range(len(replications)))


def _answers(case: Case, draw: Callable[[], Floats]) -> dict[str, Answer]:
    drawn = [draw() for _ in range(case.replications)]
    answers = answers_of(samples_of(drawn), case.judged)
    wanted = case.precision
    while wanted is not None:
        relative = relative_half_width(answers[wanted.statistic])
        if relative <= target(wanted.relative) or len(drawn) >= wanted.max_replications:
            break
        drawn += [draw() for _ in range(next_total(len(drawn), relative, wanted) - len(drawn))]
        answers = answers_of(samples_of(drawn), case.judged)
    return answers


def answers_of(samples: Samples, judged: list[str]) -> dict[str, Answer]:
    quantiles = {name: p for name in judged if (p := STATISTICS[name]) is not None}
    found: dict[str, Answer] = {"mean": mean(samples)} if "mean" in judged else {}
    return found | dict(zip(quantiles, quantile_answers(samples, list(quantiles.values())), strict=True))
