"""The objectives of a variant: whom they can judge, and who met them.

An objective on a number that a request does not have says nothing about it. A request that none of the
objectives can judge counts neither way; where they can judge no answer at all, there is no attainment.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from reports.columns import Columns, Floats, Mask
from reports.critical_path import owners
from reports.metrics import E2E, FELT, REQUEST_METRICS, TTFT
from reports.record import PS_PER_S
from reports.words import limit

Slo = Mapping[str, float | None]
"""Seconds by name of the objective; None where it is not asked for."""

TITLES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "e2e_s": "E2E", "felt_s": "user-felt latency"}
OF_REQUESTS = {"ttft_s": "ttft", "tpot_s": "tpot", "e2e_s": "e2e"}
"""Objectives on each model request, and the metric that they limit."""
LOOKED_AT = {
    "ttft_s": ("stream", *TTFT.stamps),
    "tpot_s": ("stream", "output_tokens", "samples", "first_seen_ps", *E2E.stamps),
    "e2e_s": E2E.stamps,
    "felt_s": FELT.stamps,
}
"""Columns that tell whether they are met."""
NEEDS = {"ttft_s": "none is streamed", "tpot_s": "none is streamed with a second token"}
"""Why no request may have the number."""


class Judged(NamedTuple):
    """Of each ask, a user request or a model request."""

    judged: Mask
    """Some objective can judge it, or none is stated."""
    met: Mask
    """It completed within every objective that can judge it."""
    severity: Floats
    """The worst of its numbers as a share of its limit, or the felt seconds where none is stated. Infinite
    where it did not complete. How near the good ones came to 1 tells what an attainment of 100 % is worth.
    """

    @property
    def good(self) -> Mask:
        """Of those that can be judged."""
        return self.judged & self.met

    def take(self, rows: Mask) -> "Judged":
        return Judged(self.judged[rows], self.met[rows], self.severity[rows])


def stated(slo: Slo) -> str:
    """TTFT ≤ 250 ms, TPOT ≤ 2 ms; empty without any."""
    return ", ".join(f"{TITLES[name]} ≤ {limit(bound)}" for name, bound in _limits(slo))


def judge_requests(requests: Columns, slo: Slo) -> Judged:
    """Where no app stands between: the felt latency is that of the request."""
    limits = dict(_limits(slo))
    numbers = {name for limit in limits or ["felt_s"] for name in LOOKED_AT[limit]}
    return Judged(*requests.all_of(lambda part: _judged(part, limits), "outcome", *sorted(numbers)))


def _judged(requests: Columns, limits: Mapping[str, float]) -> Judged:
    completed = requests.outcome("completed")
    judged = np.full(len(requests), not limits or "felt_s" in limits)
    met, worst = completed.copy(), np.zeros(len(requests))
    for name, bound in limits.items():
        values = _values(requests, name)
        judged |= _applies(requests, name)
        met &= ~(values > bound)
        worst = np.fmax(worst, values / bound)
    if not limits:
        worst = _values(requests, "felt_s")
    return Judged(judged, met, np.where(completed, worst, np.inf))


def judge_users(users: Columns, calls: Columns, slo: Slo) -> Judged:
    """Of user requests by their felt latency, and by each of their calls."""
    own = {name: bound for name, bound in slo.items() if name == "felt_s"}
    found = judge_requests(users, own)
    of_calls = {name: bound for name, bound in slo.items() if name != "felt_s"}
    limits = dict(_limits(of_calls))
    owner = owners(users, calls)
    each, owner = judge_requests(calls, of_calls).take(owner >= 0), owner[owner >= 0]
    judged, met, worst = found.judged, found.met, found.severity
    if limits:
        if not dict(_limits(own)):
            judged, worst = np.zeros(len(users), np.bool_), np.where(found.met, 0.0, np.inf)
        np.logical_or.at(judged, owner, each.judged)
        np.maximum.at(worst, owner, each.severity)
    np.logical_and.at(met, owner, each.met)
    return Judged(judged, met, worst)


def unjudged(requests: Columns, slo: Slo) -> list[str]:
    """Objectives that no completed request has the number for, in words; none where nothing completed."""
    done = requests.take(requests.outcome("completed"))
    if not len(done):
        return []
    names = (name for name, _ in _limits(slo) if name in NEEDS and not _any_applies(done, name))
    return [f"{TITLES[name]} ({NEEDS[name]})" for name in names]


def _limits(slo: Slo) -> Iterator[tuple[str, float]]:
    for name in TITLES:
        bound = slo.get(name)
        if bound is not None:
            yield name, bound


def _values(columns: Columns, name: str) -> Floats:
    """Seconds of completed ones, not a number where there is none."""
    return FELT.ps(columns) / PS_PER_S if name == "felt_s" else REQUEST_METRICS[OF_REQUESTS[name]](columns)


def _any_applies(requests: Columns, name: str) -> bool:
    looked_at = ("stream", "output_tokens", "samples", "outcome")
    return any(bool(_applies(part, name).any()) for part in requests.parts(*looked_at))


def _applies(requests: Columns, name: str) -> Mask:
    """Whether a request has the number. A failed one might have had it: nobody knows how long it would be."""
    if name not in NEEDS:
        return np.ones(len(requests), np.bool_)
    streamed: Mask = requests["stream"].astype(np.bool_)
    if name == "ttft_s":
        return streamed
    more = requests["output_tokens"] > requests["samples"]
    return streamed & (more | ~requests.outcome("completed"))
