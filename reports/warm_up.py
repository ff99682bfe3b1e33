"""The warm-up of a whole study, by MSER-5: one window for all variants keeps them comparable."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reports.columns import Columns, Floats, Ints, by_variant
from reports.metrics import E2E
from reports.mser import truncation
from reports.record import PS_PER_S
from reports.tables import RunTables

PS_PER_MS = 10**9


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
    together = len(np.unique(replication))
    order = np.argsort(at_ps, kind="stable")
    groups = len(order) // together if together else 0
    order = order[: groups * together]
    means = values[order].reshape(groups, together).mean(axis=1) if groups else np.empty(0)
    return means, at_ps[order][::together] if groups else np.empty(0, np.int64)


def _warm_up_s(requests: Columns) -> float | None:
    """None where there is no steady state to be seen. Rounded up to whole milliseconds."""
    done = requests.take(requests.outcome("completed"))
    means, at_ps = pooled_series(E2E.ps(done) / PS_PER_S, done["replication"], done["intended_ps"])
    dropped = truncation(means)
    if dropped is None:
        return None
    return 0.0 if dropped == 0 else math.ceil(int(at_ps[dropped]) / PS_PER_MS) / 1000


def _choice(found: Mapping[str, float | None], chosen: float) -> str:
    each = ", ".join(f"{name} {seconds:g} s" for name, seconds in found.items() if seconds is not None)
    return f"MSER-5 chose the warm-up of {chosen:g} s" + (f" ({each})." if len(found) > 1 and each else ".")


def _too_short(variant: str) -> str:
    return (
        f"MSER-5 finds no steady state in {variant}: the start-up takes more than half of the run, or it is "
        "overloaded. Its latencies depend on how long the run is."
    )
