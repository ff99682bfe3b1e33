"""Which requests the latencies of two runs are of: each of those that it completed, and not of the same."""

from typing import Any

from reports.columns import Floats, Mask
from reports.differences import difference_of_means
from reports.group import Group
from reports.metrics import FELT
from reports.record import PS_PER_S
from reports.statistics import Answer, Samples

NOTEWORTHY = 0.001
"""Of the requests: where fewer were completed by one run alone, hardly a mean or a p95 moves for it."""


def selection(base: Group, other: Group, *, paired: bool) -> dict[str, Any] | None:
    """How many each completed, of how many; paired also how many both, and what differs over those.

    None where both completed the same, but for some that hardly count.
    """
    asks = base.asks, other.asks
    done = [one.outcome("completed") for one in asks]
    completed, offered = [int(one.sum()) for one in done], [len(one) for one in asks]
    if not all(offered):
        return None
    found: dict[str, Any] = {"completed": completed, "offered": offered}
    if not paired:
        apart = abs(completed[0] / offered[0] - completed[1] / offered[1])
        return found if apart > NOTEWORTHY else None
    both = done[0] & done[1]
    alone = int((done[0] ^ done[1]).sum())
    if alone <= NOTEWORTHY * offered[0]:
        return None
    return found | {"both": int(both.sum()), "over_both": _over(base, other, both).as_json()}


def _over(base: Group, other: Group, both: Mask) -> Answer:
    """Mean latency of the requests that both completed, `other` less `base`."""
    return difference_of_means(_latency(base, both), _latency(other, both))[0]


def _latency(group: Group, which: Mask) -> Samples:
    asks = group.asks.take(which)
    seconds: Floats = FELT.ps(asks) / PS_PER_S
    return Samples.of(seconds, asks["replication"], group.replications)
