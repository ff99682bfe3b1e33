"""The warm-up of a whole study: one window for all variants keeps them comparable.

It is two autocorrelation times, or MSER-5's cut where that stands out. In ten replications of a busy queue a
start-up is lost in noise: MSER-5 alone finds none, or cuts a chance rush away and biases the rest. How long a
queue remembers is seen far better, and in the beginning it remembers that it was empty.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reports.arrays import distinct
from reports.columns import Columns, Floats, Ints, by_variant
from reports.effective import time_beyond
from reports.metrics import E2E
from reports.mser import truncation
from reports.record import PS_PER_S
from reports.statistics import CORRELATED_BEYOND, quantiles
from reports.tables import RunTables
from reports.words import in_seconds

PS_PER_MS = 10**9
MEMORIES = 2
"""Autocorrelation times that a warm-up takes at least."""
ERRORS = 4
"""Standard errors that a start-up stands out by. The best of many cuts is two or three off by chance."""


class WarmUp(NamedTuple):
    seconds: float
    notes: tuple[str, ...]
    """What a reader must know of the choice."""


def choose_warm_up(tables: RunTables, variants: Sequence[str], horizon_s: float) -> WarmUp:
    """The longest that any variant asks for; those that ask for more than half of the run are named."""
    found = {name: _warm_up_s(columns) for name, columns in by_variant(tables.requests, variants).items()}
    too_short = [name for name, seconds in found.items() if seconds is None or seconds > horizon_s / 2]
    longest = max((s for name, s in found.items() if s is not None and name not in too_short), default=0.0)
    return WarmUp(longest, (_choice(found, longest), *(_too_short(name) for name in too_short)))


def pooled_series(values: Floats, replication: Ints, at_ps: Ints) -> tuple[Floats, Ints]:
    """(means, times) of as many requests next to each other in time as there are replications.

    Averaging over replications is what makes a start-up stand out from noise (Welch's plot).
    """
    together = len(distinct(replication))
    order = np.argsort(at_ps, kind="stable")
    groups = len(order) // together if together else 0
    order = order[: groups * together]
    means = values[order].reshape(groups, together).mean(axis=1) if groups else np.empty(0)
    return means, at_ps[order][::together] if groups else np.empty(0, np.int64)


def _warm_up_s(requests: Columns) -> float | None:
    """None where there is no steady state to be seen. Rounded up to whole milliseconds."""
    done = requests.take(requests.outcome("completed"))
    values, replication, at_ps = E2E.ps(done) / PS_PER_S, done["replication"], done["intended_ps"]
    means, means_at_ps = pooled_series(values, replication, at_ps)
    dropped = truncation(means)
    if dropped is None:
        return None
    memory = remembered(values, replication, at_ps)
    dropped = max(memory, dropped if stands_out(means, dropped, 1 + memory / MEMORIES) else 0)
    if dropped > len(means) // 2:
        return None
    return 0.0 if dropped == 0 else math.ceil(int(means_at_ps[dropped]) / PS_PER_MS) / 1000


def remembered(values: Floats, replication: Ints, at_ps: Ints) -> int:
    """How many requests of a replication the start may show in: none where they are independent.

    From empty, the mean wait of M/D/1, M/M/1 and on-off/M/1 at load 0.8 to 0.9 has come within a tenth of its
    limit after two autocorrelation times; in a run of ten more, less than 1 % of the mean is missing.
    """
    order = np.lexsort((at_ps, replication))
    ordered, starts = values[order], np.flatnonzero(np.diff(replication[order], prepend=-1))
    level = float(quantiles(ordered, [CORRELATED_BEYOND])[0])
    time = time_beyond(np.split(ordered, starts[1:]), level)
    return math.ceil(MEMORIES * (time - 1))


def stands_out(means: Floats, dropped: int, time: float) -> bool:
    """Whether the first `dropped` differ by more than chance; `time` is the autocorrelation time."""
    if not dropped:
        return False
    kept = means[dropped:]
    error = float(kept.std()) * math.sqrt(time / dropped)
    return abs(float(means[:dropped].mean() - kept.mean())) > ERRORS * error


def _choice(found: Mapping[str, float | None], chosen: float) -> str:
    each = ", ".join(
        f"{name} {in_seconds(after_s)}" for name, after_s in found.items() if after_s is not None
    )
    of_each = f" ({each})" if len(found) > 1 and each else ""
    lasts = in_seconds(chosen)
    return f"The warm-up of {lasts}{of_each} is two autocorrelation times, or MSER-5's cut if longer."


def _too_short(variant: str) -> str:
    return (
        f"There is no steady state to be seen in {variant}: the start-up takes more than half of the run, or "
        "it is overloaded. Its latencies depend on how long the run is."
    )
