"""The hypotheses of a run with what they cost to decide, and what an endpoint's answers say of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from api_shim.probe.against.decide import interval, level_of_each, verdict
from api_shim.probe.against.hypotheses import METRICS, Hypothesis, hypotheses_of
from api_shim.probe.against.power import needed
from api_shim.probe.against.traffic import Planned, planned, requests_of
from api_shim.probe.ledger import Ledger, Tokens
from api_shim.probe.record import ProbedRequest
from api_shim.probe.verdicts import REFUTED, SUPPORTED, UNDECIDED
from e80sim.mistakes import UserError
from reports.run_directory import Run

OTHER_LENGTH = 0.05
"""Answers that differ in length by more are of other requests than the run's."""
LATE_SHARE = 0.05
"""Requests that left late by half a gap or more: with more of them the load was another one."""


class Asked(NamedTuple):
    """A hypothesis, and how many requests of its source decide it; None: more than were tried."""

    hypothesis: Hypothesis
    needs: int | None


@dataclass(frozen=True)
class Prediction:
    """Of a variant of a run."""

    run: str
    variant: str
    asked: tuple[Asked, ...]
    left_out: tuple[str, ...]
    traffic: tuple[Planned, ...]
    """All that the run could send."""
    rate_per_s: float
    notes: tuple[str, ...]

    @property
    def level(self) -> float:
        return level_of_each(len(self.asked))

    def within(self, ledger: Ledger, most: int | None) -> tuple[Planned, ...]:
        """The least stretch of traffic that decides every hypothesis that can be decided within the limits.

        UserError where they allow nothing.
        """
        afforded = _afforded(self.traffic, ledger, most)
        if not afforded:
            raise UserError("not one request of the run is within --requests, --max-tokens-total and --spend")
        there = Counter(request.source for request in afforded)
        wanted: dict[str, int] = {}
        for source, needs in ((one.hypothesis.source, one.needs) for one in self.asked):
            if needs is not None and needs <= there[source]:
                wanted[source] = max(needs, wanted.get(source, 0))
        seen: Counter[str] = Counter()
        for place, request in enumerate(afforded, 1):
            seen[request.source] += 1
            if wanted and all(seen[source] >= needs for source, needs in wanted.items()):
                return afforded[:place]
        return afforded

    def undecidable(self, traffic: Sequence[Planned]) -> list[str]:
        """A sentence for each hypothesis that this traffic is not likely to decide."""
        counts = Counter(request.source for request in traffic)
        found = []
        for one in self.asked:
            there = counts[one.hypothesis.source]
            if one.needs is None:
                found.append(f"{one.hypothesis.name} cannot be decided: more than any number that was tried")
            elif there < one.needs:
                found.append(
                    f"{one.hypothesis.name} is not likely to be decided: it needs about {one.needs:,} "
                    f"requests of {one.hypothesis.source}, and this plan has {there:,}"
                )
        return found


def _afforded(traffic: Sequence[Planned], ledger: Ledger, most: int | None) -> tuple[Planned, ...]:
    """By what requests are likely to take: the ledger holds them to the limits itself."""
    taken = Tokens(0, 0)
    for place, request in enumerate(traffic):
        taken = taken + Tokens(request.prompt_tokens, request.output_tokens)
        beyond = (
            (most is not None and place >= most)
            or (ledger.most_tokens is not None and taken.total > ledger.most_tokens)
            or (
                ledger.most_usd is not None
                and ledger.prices is not None
                and ledger.prices.of(taken) > ledger.most_usd
            )
        )
        if beyond:
            return tuple(traffic[:place])
    return tuple(traffic)


def prediction(run: Run, path: Path, variant: str | None, model: str, tolerance: float) -> Prediction:
    """UserError where the run has nothing to say of the model."""
    if run.summary is None:
        raise UserError(f"{path} has no summary.json: `e80sim report` writes it")
    chosen, columns = requests_of(run, variant, model)
    traffic = planned(columns, float(run.manifest["warm_up_s"]))
    if len(traffic) < 2:
        raise UserError(f"{path} has one request of this model, which makes no load")
    rate = (len(traffic) - 1) / max(traffic[-1].at_s, 1e-9)
    sources = dict.fromkeys(request.source for request in traffic)
    groups = {
        group["source"]: group
        for group in run.summary["variants"][chosen]["groups"]
        if group["source"] in sources
    }
    found, left_out = hypotheses_of(groups, columns, rate, tolerance)
    if not found:
        raise UserError(f"{path} makes no hypothesis: {'; '.join(left_out) or 'it has no latencies'}")
    level = level_of_each(len(found))
    asked = tuple(Asked(one, needed(one, level)) for one in found)
    return Prediction(path.name, chosen, asked, tuple(left_out), tuple(traffic), rate, tuple(_notes(columns)))


def _notes(columns: Any) -> list[str]:  # noqa: ANN401 -- of a run
    places = [name for name in columns.names["place"] if columns.labelled("place", name).any()]
    notes = [f"the run's callers are at {', '.join(places)}: this machine has to be as far away as they are"]
    if columns["cached_tokens"].max() > 0:
        notes.append("the run's prompts were partly cached, and those of a probe never are")
    refused = float(np.mean(~columns.outcome("completed")))
    if refused > 0:
        notes.append(
            f"{refused:.1%} of the run's requests were not completed, and are in none of its latencies"
        )
    return notes


class Decided(NamedTuple):
    hypothesis: Hypothesis
    verdict: str
    sentence: str
    value_ms: float | None
    low_ms: float | None
    high_ms: float | None
    requests: int


def decide(found: Prediction, chats: Sequence[ProbedRequest], rate_per_s: float) -> list[Decided]:
    """`chats` are those of the run's traffic, in any order; `rate_per_s` that of the run."""
    ordered = sorted(chats, key=lambda row: row.arrival_s)
    late = _late_share(ordered, rate_per_s)
    return [_decided(one.hypothesis, ordered, found.level, one.needs, late) for one in found.asked]


def _decided(
    asked: Hypothesis, chats: Sequence[ProbedRequest], level: float, needs: int | None, late: float
) -> Decided:
    mine = [row for row in chats if row.cell == asked.source and row.error is None]
    values = np.array([one for row in mine if (one := _value(row, asked.metric)) is not None])
    span = interval(values, asked.statistic, level) if len(values) else None
    told = verdict(span, asked.band)
    value = None if not len(values) else _statistic(values, asked.statistic)
    why = _why_not(asked, mine, late)
    if why:
        told = UNDECIDED
    elif span is None:
        why = f"{len(values)} requests are too few for its interval{_about(needs)}"
    elif told == UNDECIDED:
        why = f"the interval is partly outside{_about(needs)}"
    measured = "nothing was measured" if value is None else f"measured {value:.4g} ms"
    if span is not None:
        measured += f" ({span.low:.4g} to {span.high:.4g})"
    sentence = f"{asked.sentence}; {measured}{'; ' + why if why else ''}"
    ends = (None, None) if span is None else span
    return Decided(asked, told, sentence, value, ends[0], ends[1], len(values))


def _about(needs: int | None) -> str:
    return "" if needs is None else f"; about {needs:,} decide it if the run is right"


def _why_not(asked: Hypothesis, mine: Sequence[ProbedRequest], late: float) -> str:
    """Why what was measured is not what the run speaks of; empty where it is."""
    if late > LATE_SHARE:
        return f"{late:.0%} of the requests left late, so that the load was not the run's"
    if asked.metric == "e2e" and mine:
        asked_for = np.array([row.asked_output_tokens for row in mine])
        got = np.array([row.output_tokens for row in mine])
        if abs(got.sum() / asked_for.sum() - 1) > OTHER_LENGTH:
            return f"answers had {got.mean():.0f} tokens on the mean, and the run's {asked_for.mean():.0f}"
    return ""


def _late_share(chats: Sequence[ProbedRequest], rate_per_s: float) -> float:
    waits = [row.arrival_s - row.intended_s for row in chats if row.intended_s is not None]
    if not waits:
        return 0.0
    least = min(waits)
    return sum(wait - least > 0.5 / rate_per_s for wait in waits) / len(waits)


def _value(row: ProbedRequest, metric: str) -> float | None:
    value = {"ttft": row.ttft_ms, "tpot": row.tpot_ms, "e2e": row.e2e_ms}[metric]
    return None if value is None else float(value)


def _statistic(values: Any, statistic: str) -> float:  # noqa: ANN401 -- an array
    return float(values.mean() if statistic == "mean" else np.quantile(values, int(statistic[1:]) / 100))


def worst(found: Sequence[Decided]) -> str:
    """One that is refuted refutes the run, whatever else is undecided."""
    there = {one.verdict for one in found}
    return next(one for one in (REFUTED, UNDECIDED, SUPPORTED) if one in there)


def as_json(found: Prediction, decided: Sequence[Decided]) -> Mapping[str, Any]:
    return {
        "run": found.run,
        "variant": found.variant,
        "level_of_each": found.level,
        "verdict": worst(decided),
        "hypotheses": [
            {
                "name": one.hypothesis.name,
                "source": one.hypothesis.source,
                "metric": METRICS[one.hypothesis.metric],
                "statistic": one.hypothesis.statistic,
                "predicted_ms": one.hypothesis.value_ms,
                "low_ms": one.hypothesis.band.low,
                "high_ms": one.hypothesis.band.high,
                "measured_ms": one.value_ms,
                "measured_low_ms": one.low_ms,
                "measured_high_ms": one.high_ms,
                "requests": one.requests,
                "needs": needs,
                "verdict": one.verdict,
                "sentence": one.sentence,
            }
            for one, needs in zip(decided, (asked.needs for asked in found.asked), strict=True)
        ],
        "left_out": list(found.left_out),
        "notes": list(found.notes),
    }
