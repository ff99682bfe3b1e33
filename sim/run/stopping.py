"""Sequential stopping: rounds of replications until every answer is as precise as the scenario asks.

How many a round has follows from the spread seen so far, never from how fast a machine or how many processes
there are, so a run stops at the same replication everywhere.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from reports.metrics import PROBABILITIES, Window
from reports.quantile_intervals import quantile_answers
from reports.statistics import Answer, Estimate, Samples, mean
from reports.tables import concat
from reports.variant_records import variant_records
from reports.words import as_chosen, share
from sim.run.measured_window import warm_up_of
from sim.run.replications import NothingDoneError, Results, run_all
from sim.run.report_context import facts
from sim.scenario.load import Plan
from sim.scenario.schema import PrecisionSection
from sim.time.units import PS_PER_S
from sim.workers.executor import Tell

STEP = 5
"""A round has at least so many replications."""
GROWTH = 2
"""And at most so many times those that there are: an early guess of the spread may be far off."""


class Reached(NamedTuple):
    """The least precise answer of a run."""

    where: str
    relative: float
    """Half-width of its interval over its value; infinite where there is no interval."""


def run_until_precise(
    plan: Plan, *, jobs: int, engine: str, tell: Tell, folder: Path | None = None
) -> tuple[Results, tuple[str, ...]]:
    """The results of all rounds, and what a reader must know about their precision.

    `folder` is where rows go that are too many for memory: results with long tables rest on it.

    Raises:
        NothingDoneError: interrupted too early.

    """
    wanted = plan.base.run.precision
    results = run_all(plan, jobs=jobs, engine=engine, tell=tell, folder=folder)
    while wanted is not None and not results.interrupted:
        worst = precision_of(plan, results)
        if worst.relative <= target(wanted.relative) or results.replications >= wanted.max_replications:
            return results, (_note(wanted, worst, results.replications),)
        upto = next_total(results.replications, worst.relative, wanted)
        results = _more(plan, results, upto, jobs, engine, tell, folder)
    return results, ()


def target(relative: float) -> float:
    """Of the estimate, so that the error relative to the truth is at most `relative`: g / (1 + g).

    |X - m| <= h |X| bounds |X - m| / |m| by h / (1 - h) (Law, Simulation Modeling and Analysis, ch. 9).
    """
    return relative / (1 + relative)


def next_total(done: int, relative: float, wanted: PrecisionSection) -> int:
    """Replications in all after the next round: a half-width falls with the root of their number."""
    ratio = relative / target(wanted.relative)
    needed = math.ceil(done * min(ratio * ratio, GROWTH))
    return min(wanted.max_replications, max(needed, done + STEP))


def precision_of(plan: Plan, results: Results) -> Reached:
    """Of the metric that the scenario names, over all variants and sources."""
    wanted = plan.base.run.precision
    assert wanted is not None
    window = Window.of(warm_up_of(plan, results).seconds, results.measured_ps / PS_PER_S)
    records = variant_records(results.tables, facts(plan, results.variants), window)
    found = [
        Reached(
            f"{group.source['name']} in {variant}",
            relative_half_width(_answer(group.samples[wanted.metric], wanted.statistic)),
        )
        for variant, of_variant in records.items()
        for group in of_variant.groups
    ]
    return max(found, key=lambda reached: reached.relative)


def relative_half_width(answer: Answer) -> float:
    if not isinstance(answer, Estimate) or answer.low is None or answer.high is None or not answer.value:
        return math.inf
    # The longer side, where the other is cut off at a bound.
    return max(answer.high - answer.value, answer.value - answer.low) / abs(answer.value)


def _answer(samples: Samples, statistic: str) -> Answer:
    return mean(samples) if statistic == "mean" else quantile_answers(samples, [PROBABILITIES[statistic]])[0]


def _more(
    plan: Plan, results: Results, upto: int, jobs: int, engine: str, tell: Tell, folder: Path | None
) -> Results:
    """`results` and those of the replications from there to `upto`."""
    coming = range(results.replications, upto)
    try:
        added = run_all(plan, jobs=jobs, engine=engine, tell=tell, replications=coming, folder=folder)
    except NothingDoneError:
        return replace(results, interrupted=True)
    if added.measured_ps < results.measured_ps:
        return replace(results, interrupted=True)  # not one complete round of variants
    return replace(
        results,
        tables=concat([results.tables, added.tables]),
        replications=results.replications + added.replications,
        interrupted=added.interrupted,
        streams={name: results.streams[name] + added.streams[name] for name in results.variants},
    )


def _note(wanted: PrecisionSection, worst: Reached, replications: int) -> str:
    asked = f"{wanted.metric} {wanted.statistic} within {as_chosen(wanted.relative)} of its value"
    if worst.relative <= target(wanted.relative):
        return f"Precision reached after {replications} replications: {asked} for every variant and source."
    known = "no interval yet" if worst.relative == math.inf else f"an interval of ±{share(worst.relative)}"
    return (
        f"Precision not reached within {replications} replications: {asked} was asked, and "
        f"{worst.where} has {known}."
    )
