"""Did the platform keep up? Overloaded, backlogged or stable, with the numbers that say so.

The flow through the second half of the window decides on overload, the number in the system on a backlog.
Noise comes from the replications, or with fewer than five from the steps of the flow itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.columns import Columns, Floats, Ints, Mask
from reports.metrics import REJECTED, Window
from reports.record import PS_PER_S
from reports.statistics import LEVEL
from reports.student_t import t_quantile

SAMPLES = 101
"""Points of the window at which the flow is read, both edges and the quarters included."""
MIDDLE = SAMPLES // 2
FLOW_STEPS = 25
FEW_REPLICATIONS = 5
"""With fewer, Student's t over replications is too blunt to see a clear overload."""
HANDFUL = 5
"""Growth by fewer requests is never called a backlog."""
MATERIAL_REFUSALS = 0.05
"""Share of refused requests from which a verdict opens with it."""
MATERIAL_DEFICIT = 0.01
"""A smaller share cannot be told from a queue that is still settling."""

CAUSES = {
    "rejected_requests_limit": "rejected by the requests limit",
    "rejected_tokens_limit": "rejected by the tokens limit",
    "rejected_context": "rejected because they exceed the context",
    "cancelled": "cancelled by the caller",
    "timeout": "timed out",
    "node_lost": "lost with a node",
    "path_lost": "lost on the network",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    state: str
    why: str

    def as_json(self) -> dict[str, str]:
        return {"state": self.state, "why": self.why}


@dataclass(frozen=True, slots=True)
class Flow:
    """Of one variant, a row per replication, a column per sample point of the window.

    Counts run from the start of the record; only their differences mean anything.
    """

    asked: Floats
    """Requests that asked for service so far: neither rejected nor cancelled."""
    carried: Floats
    """Completed requests that ended so far."""
    stays: Floats
    """Request-seconds spent in the system so far."""
    half_s: float

    @property
    def deficits(self) -> Floats:
        """Asked less carried in the second half, per replication."""
        behind = self.asked - self.carried
        short: Floats = behind[:, -1] - behind[:, MIDDLE]
        return short

    def quarters(self) -> Floats:
        """Mean number in the system in each quarter of the window, per replication."""
        edges = self.stays[:, :: (SAMPLES - 1) // 4]
        means: Floats = np.diff(edges, axis=1) * 2 / self.half_s
        return means


def verdict(columns: Columns, window: Window, replications: Sequence[int]) -> Verdict:
    """`columns` are the model requests of one variant."""
    offered = columns.take(window.offered(columns))
    if not len(offered):
        return Verdict("stable", "No request was offered in the measured window.")
    flow = flow_of(columns, window, replications)
    asked, carried = (float((one[:, -1] - one[:, MIDDLE]).mean()) for one in (flow.asked, flow.carried))
    refused = float(_refused(offered).mean())
    let_in = " that were let in" if refused else ""
    rates = (
        f"carried {carried / flow.half_s:.4g} of {asked / flow.half_s:.4g} requests/s{let_in} "
        f"over the second half"
    )
    quarters = flow.quarters().mean(axis=0)
    growth = " to ".join(f"{number:.3g}" for number in quarters)
    fate = _fates(offered)
    if _overloaded(flow, asked):
        deficit, half = _deficit(flow)
        short = f"{deficit / flow.half_s:.3g} ± {half / flow.half_s:.2g} too few"
        why = f"It {rates}, {short}, with {growth} in the system by quarter.{fate}"
        return Verdict("overloaded", why)
    if _backlogged(flow):
        why = f"The number in the system still grew at the horizon: {growth} by quarter. It {rates}.{fate}"
        return Verdict("backlogged", why)
    # Limits that refuse keep a platform stable, which is no comfort to those refused: they come first.
    lead = f"{_percent(refused)} of what was asked was refused. " if refused >= MATERIAL_REFUSALS else ""
    why = f"{lead}It {rates}, with {quarters.mean():.3g} in the system on average.{fate}"
    return Verdict("stable", why)


def flow_of(columns: Columns, window: Window, replications: Sequence[int]) -> Flow:
    points = np.linspace(window.start_ps, window.end_ps, SAMPLES)
    served = ~_turned_away(columns)
    done = columns.outcome("completed")
    rows = []
    for one in replications:
        mine = columns["replication"] == one
        came = np.sort(columns["intended_ps"][mine & served])
        left = columns["ended_ps"][mine & served]
        finished = np.sort(columns["ended_ps"][mine & done])
        stays = _elapsed_s(came, points) - _elapsed_s(np.sort(left[left >= 0]), points)
        rows.append((np.searchsorted(came, points), np.searchsorted(finished, points), stays))
    asked, carried, stays = (np.array(part, np.float64) for part in zip(*rows, strict=True))
    return Flow(asked, carried, stays, window.length_s / 2)


def _elapsed_s(moments: Ints, points: Floats) -> Floats:
    """At each point, the seconds since every earlier moment, summed."""
    count = np.searchsorted(moments, points)
    before = np.concatenate([[0.0], np.cumsum(moments / PS_PER_S)])[count]
    elapsed: Floats = count * points / PS_PER_S - before
    return elapsed


def _refused(columns: Columns) -> Mask:
    refused: Mask = np.zeros(len(columns), np.bool_)
    for name in REJECTED:
        refused |= columns.outcome(name)
    return refused


def _turned_away(columns: Columns) -> Mask:
    return _refused(columns) | columns.outcome("cancelled")


def _overloaded(flow: Flow, asked: float) -> bool:
    deficit, half = _deficit(flow)
    noise = _natural(flow.quarters()[:, 1])
    return deficit > half and deficit > noise and deficit >= MATERIAL_DEFICIT * asked


def _backlogged(flow: Flow) -> bool:
    quarters = flow.quarters()
    levels = quarters.mean(axis=0)
    if len(quarters) < FEW_REPLICATIONS:
        grew = levels[3] - levels[0]
        steady = bool((np.diff(levels) > 0).all())
        return steady and levels[3] > 1.5 * levels[0] and grew > _natural(quarters[:, 0])
    last = quarters[:, 3] - quarters[:, 2]
    grew = float(last.mean())
    return grew > _half(last) and levels[3] > 1.1 * levels[2] and grew > _natural(quarters[:, 2])


def _natural(numbers: Floats) -> float:
    """Three standard deviations of a mean of Poisson numbers: what a system that keeps up shows anyway."""
    return max(HANDFUL, 3 * math.sqrt((float(numbers.mean()) + 1) / len(numbers)))


def _deficit(flow: Flow) -> tuple[float, float]:
    """Per replication, with the half-width of its interval."""
    deficits = flow.deficits
    if len(deficits) >= FEW_REPLICATIONS:
        return float(deficits.mean()), _half(deficits)
    behind = (flow.asked - flow.carried)[:, MIDDLE :: (SAMPLES - 1 - MIDDLE) // FLOW_STEPS]
    steps = np.diff(behind, axis=1)
    variance = FLOW_STEPS * float(steps.var(axis=1, ddof=1).mean()) / len(steps)
    freedom = len(steps) * (FLOW_STEPS - 1)
    return float(deficits.mean()), t_quantile(LEVEL, freedom) * math.sqrt(variance)


def _half(values: Floats) -> float:
    return t_quantile(LEVEL, len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


def _fates(offered: Columns) -> str:
    """What became of those that were turned away or lost, as sentences; empty when there were none."""
    parts = []
    for name, words in CAUSES.items():
        count = int(offered.outcome(name).sum())
        if count:
            parts.append(f"{_percent(count / len(offered))} were {words}".replace("were timed", "timed"))
    return f" {', '.join(parts)}." if parts else ""


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %") if share >= 0.0005 else "under 0.1 %"
