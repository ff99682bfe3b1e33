"""One traffic source in one variant: its latencies, where they come from, and who met the objectives."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from reports import metrics
from reports.agents import agent_json
from reports.attainment import NOT_JUDGED, Attainment
from reports.columns import Columns, Floats, Ints
from reports.critical_path import agent_phases_ps, felt_phases_ps
from reports.metrics import PROBABILITIES, Window
from reports.objectives import Judged, Slo, judge_requests, judge_users, stated, unjudged
from reports.quantile_intervals import quantile_answers
from reports.rates import Asks, counts_json, outcomes_json
from reports.record import PS_PER_S
from reports.retries import answers
from reports.sample_size import requests_needed
from reports.statistics import Answer, Samples, mean, of_ordered
from reports.words import duration, share

NOTEWORTHY = 0.01
CDF_BODY = np.linspace(0.0, 0.95, 39)
CDF_TAIL = 1 - np.geomspace(0.04, 0.0001, 22)
CURVES = ("ttft", "e2e", "felt")
"""Metrics whose whole distribution is drawn."""


@dataclass(frozen=True)
class Group:
    """Made by `of`. `calls` and `users` are those offered in the window."""

    source: Mapping[str, Any]
    everything: Columns
    """All its requests."""
    calls: Columns
    """What was asked of the model: requests, or asks where they may take several."""
    done: Columns
    """Requests that answered calls, whenever these were made, each as meant when the call was."""
    users: Columns | None
    """The user requests of a source with an app."""
    window: Window
    replications: Sequence[int]
    slo: Slo
    everyone: Columns
    """What was asked of the model, in the window or not."""
    steps: Columns | None = None
    """Of the agent that it asks, those of other sources among them."""

    @classmethod
    def of(
        cls,
        source: Mapping[str, Any],
        requests: Columns,
        users: Columns | None,
        asks: Columns | None,
        window: Window,
        replications: Sequence[int],
        slo: Slo,
        steps: Columns | None = None,
    ) -> "Group":
        """`asks` are those of a source whose clients may send several requests for one."""
        everyone = requests if asks is None else asks
        done = requests.take(requests.outcome("completed")) if asks is None else answers(asks, requests)
        calls = everyone.take(window.offered(everyone))
        if users is None:
            return cls(source, requests, calls, done, None, window, replications, slo, everyone)
        asked = users.take(window.offered(users))
        return cls(source, requests, calls, done, asked, window, replications, slo, everyone, steps)

    @property
    def asks(self) -> Columns:
        return self.calls if self.users is None else self.users

    @cached_property
    def completed(self) -> Columns:
        return self.done.take(self.window.offered(self.done))

    @cached_property
    def completed_asks(self) -> Columns:
        return self.completed if self.users is None else self.users.take(self.users.outcome("completed"))

    @cached_property
    def samples(self) -> Mapping[str, Samples]:
        """Seconds, by metric; of a long table made anew at each look."""
        looked_up = _Samples(self)
        if self.completed.stored:
            return looked_up
        found = {name: looked_up[name] for name in metrics.REQUEST_METRICS}
        return found | {"felt": found["e2e"] if self.users is None else looked_up["felt"]}

    @cached_property
    def share_met(self) -> Answer:
        """How large a share of the asks was good."""
        return self.attainment.answer()

    def sampled(self, columns: Columns, values: Floats) -> Samples:
        """Of a duration."""
        return Samples.of(values, columns["replication"], self.replications, least=0.0)

    @property
    def judged(self) -> Judged:
        """The asks: user requests, or requests where there is no app. Of a long table anew at each look."""
        return self._judge() if self.asks.stored else self._judged

    @cached_property
    def _judged(self) -> Judged:
        return self._judge()

    def _judge(self) -> Judged:
        if self.users is None:
            return judge_requests(self.calls, self.slo)
        return judge_users(self.users, self.everyone, self.slo)

    @property
    def attainment(self) -> Attainment:
        """Of a long table made anew at each look."""
        return attainment_of([self]) if self.asks.stored else self._attainment

    @cached_property
    def _attainment(self) -> Attainment:
        return attainment_of([self])

    def notes(self, variant: str) -> list[str]:
        """What the latencies leave out, where that is more than 1 %."""
        offered = len(self.calls)
        left = int(self.calls.outcome("unfinished").sum())
        failed = sum(int(self.calls.outcome(name).sum()) for name in ("timeout", "node_lost", "path_lost"))
        about = f"{self.source['name']} in {variant}"
        if offered and not len(self.completed):
            return [f"No request of {about} completed: there are no latencies to show."]
        found = []
        if left > NOTEWORTHY * offered:
            found.append(
                f"{share(left / offered)} of the requests of {about} had not ended when the run did, after "
                "its drain; the latencies are of those that completed, and so too low."
            )
        if failed > NOTEWORTHY * offered:
            found.append(
                f"{share(failed / offered)} of the requests of {about} failed; the latencies leave them out."
            )
        if "max_concurrency" in self.source:
            found += self._waited_at_the_client(about)
        if objectives := unjudged(self.calls, self.slo):
            found.append(f"Not judged for {about}, since no request has the number: {', '.join(objectives)}.")
        return found

    def _waited_at_the_client(self, about: str) -> list[str]:
        """Load tools do not count that time, and here latencies do."""
        sent, done = self.completed["sent_ps"], self.completed
        waits_s = (sent - done["intended_ps"]) / PS_PER_S
        waited = waits_s[waits_s > 0]
        if not len(waited):
            return []
        held, most = len(waited) / len(done), self.source["max_concurrency"]
        told = (
            f"{share(held)} of the requests of {about} waited at their client, {duration(waited.mean())} on "
            f"average, until one of {most:,} was answered; latencies count that time, and load tools count "
            f"from the sending."
        )
        return [told]


class _Samples(Mapping[str, Samples]):
    def __init__(self, group: Group) -> None:
        self._group = group

    def __getitem__(self, name: str) -> Samples:
        group = self._group
        if name == "felt" and group.users is not None:
            asks = group.completed_asks
            return group.sampled(asks, metrics.FELT.seconds(asks))
        of = metrics.REQUEST_METRICS["e2e" if name == "felt" else name]
        return group.sampled(group.completed, of(group.completed))

    def __iter__(self) -> Iterator[str]:
        return iter((*metrics.REQUEST_METRICS, "felt"))

    def __len__(self) -> int:
        return len(metrics.REQUEST_METRICS) + 1


def asks_of(groups: Sequence[Group]) -> Asks:
    """All groups' asks in one order."""
    if len(groups) == 1:
        (group,) = groups
        return Asks(group.asks.but("good", group.judged.good), group.share_met, _not_judged(groups))
    at, replication, judged = _in_order(groups)
    everyone = {"intended_ps": at, "replication": replication, "good": judged.good}
    return Asks(Columns(everyone, {}), attainment_of(groups).answer(), _not_judged(groups))


def attainment_of(groups: Sequence[Group]) -> Attainment:
    """Of all their asks together; the groups are of one variant."""
    if len(groups) == 1:
        replication, judged = groups[0].asks["replication"], groups[0].judged
    else:
        _, replication, judged = _in_order(groups)
    return Attainment.of(judged, replication, groups[0].replications, _not_judged(groups))


def _not_judged(groups: Sequence[Group]) -> str:
    """Why none of their answers can be judged; empty where one can, or where there are none."""
    if not any(len(group.completed_asks) for group in groups):
        return ""
    if any((group.asks.outcome("completed") & group.judged.judged).any() for group in groups):
        return ""
    limits = stated(groups[0].slo)
    return f"{NOT_JUDGED}: no answer has a number that the objectives limit ({limits})."


def _in_order(groups: Sequence[Group]) -> tuple[Ints, Ints, Judged]:
    """Times, replications and judgements of all asks, by replication and time."""
    at = np.concatenate([group.asks["intended_ps"] for group in groups])
    replication = np.concatenate([group.asks["replication"] for group in groups])
    parts = zip(*(group.judged for group in groups), strict=True)
    order = np.lexsort((at, replication))
    return at[order], replication[order], Judged(*(np.concatenate(part)[order] for part in parts))


def group_json(group: Group) -> dict[str, Any]:
    source = group.source
    keys = ("name", "tenant", "place", "model", "app", "app_place", "calls")
    found: dict[str, Any] = {"source" if key == "name" else key: source[key] for key in keys}
    if source.get("tier") is not None:
        found["tier"] = source["tier"]
    found["counts"] = counts_json(group.everything, group.window)
    if source.get("client") is not None:
        found["client"], found["asks"] = source["client"], outcomes_json(group.calls)
    found["attainment"] = group.share_met.as_json()
    found["metrics"], cdf = _metrics_json(group)
    found["phases"] = _phases_json(group)
    if group.users is not None:
        found["felt_phases"] = _felt_phases_json(group)
    if group.steps is not None:
        found["agent"] = agent_json(group, group.steps)
    found["cdf"] = cdf
    return found


def _metrics_json(group: Group) -> tuple[dict[str, Any], dict[str, Any]]:
    """Estimates by metric, and of some the curve too: all from one look at the samples, put in order once."""
    stats: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for name, samples in group.samples.items():
        if name == "felt" and group.users is None:
            stats[name], curves[name] = stats["e2e"], curves["e2e"]
            continue
        stats[name] = stats_json(samples)
        if name in CURVES:
            curves[name] = _cdf_json(samples)
    return stats, {name: curves[name] for name in CURVES}


def stats_json(samples: Samples) -> dict[str, Any]:
    answers = quantile_answers(samples, list(PROBABILITIES.values()))
    named = dict(zip(PROBABILITIES, answers, strict=True))
    return {name: answer.as_json() for name, answer in {"mean": mean(samples), **named}.items()}


def _phases_json(group: Group) -> dict[str, Any]:
    done = group.completed
    return _means_json(group, done, ((phase.name, phase.seconds(done)) for phase in metrics.PHASES))


def _felt_phases_json(group: Group) -> dict[str, Any]:
    asks = group.completed_asks
    if group.steps is not None:
        found = agent_phases_ps(asks, group.done, group.steps)
    else:
        found = felt_phases_ps(asks, group.done, fan_out=group.source["mode"] == "fan_out")
    return _means_json(group, asks, ((name, ps / PS_PER_S) for name, ps in found.items()))


def _means_json(group: Group, columns: Columns, phases: Iterable[tuple[str, Floats]]) -> dict[str, Any]:
    """Of seconds, one phase at a time: those of a long table are made when their turn comes."""
    return {
        name: mean(group.sampled(columns, seconds)).as_json()
        for name, seconds in phases
        if name != "client_wait" or seconds.any()
    }


def _cdf_json(samples: Samples) -> dict[str, list[float]]:
    """Quantile points, out to where ten requests lie beyond."""
    count = len(samples.values)
    if not count:
        return {"x_s": [], "p": []}
    points = [float(p) for p in (*CDF_BODY, *CDF_TAIL) if p <= 0.5 or count >= requests_needed(float(p))]
    return {"x_s": of_ordered(samples.ordered, points).tolist(), "p": [round(point, 6) for point in points]}
