"""The share of each source's asks that was refused or failed, with its interval; and who was served alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.arrays import among
from reports.attainment import Attainment
from reports.causes import FAILED
from reports.columns import Columns, Mask, rows_numbered
from reports.group import Group
from reports.metrics import REJECTED
from reports.objectives import Judged
from reports.record import OUTCOMES

TURNED_AWAY = (*REJECTED, *FAILED)
ALIKE = 0.9
"""Of the asks of both, from which on two variants are said to be asked the same."""
SELECTION = 0.01
"""Of the served, from which on it is told that variants served others."""


def not_served_json(groups: Mapping[str, Sequence[Group]]) -> dict[str, list[dict[str, Any]]]:
    """By variant, a row for each source; nothing where everybody was served everywhere."""
    everyone = [group for ones in groups.values() for group in ones]
    if not any(_turned_away(group.asks).any() for group in everyone):
        return {}
    return {
        variant: [{"source": group.source["name"], "share": _share(group)} for group in ones]
        for variant, ones in groups.items()
    }


def served_by_both(base: Group, other: Group) -> tuple[Mask, Mask] | None:
    """Rows of `completed_asks` of each whose ask the other completed, too.

    None where both served the same, and where they were asked different things.
    """
    if _all_served(base) and _all_served(other):
        return None
    asked = _paired(base.asks, other.asks)
    if any(not len(mask) or mask.mean() < ALIKE for mask in asked):
        return None
    served = _paired(base.completed_asks, other.completed_asks)
    apart = any(len(mask) and 1 - mask.mean() > SELECTION for mask in served)
    return served if apart else None


def _all_served(group: Group) -> bool:
    return len(group.completed_asks) == len(group.asks)


def _paired(base: Columns, other: Columns) -> tuple[Mask, Mask]:
    """Which rows of each are the same ask as one of the other: same replication, number and time."""
    base, other = _by_ask(base), _by_ask(other)
    row = rows_numbered(base, other, "number")
    same = row >= 0
    same[same] = base["intended_ps"][row[same]] == other["intended_ps"][same]
    of_base = np.zeros(len(base), np.bool_)
    of_base[row[same]] = True
    return of_base, same


def _by_ask(columns: Columns) -> Columns:
    """Attempts go by the number of their ask."""
    number = columns["ask"] if "ask" in columns.values else columns["number"]
    return columns.but("number", number)


def _turned_away(asks: Columns) -> Mask:
    found: Mask = among(asks["outcome"], [OUTCOMES.index(name) for name in TURNED_AWAY])
    return found


def _share(group: Group) -> dict[str, Any]:
    """Where few or none were turned away, asks right after another tell how asks cluster."""
    asks = group.asks
    turned_away = _turned_away(asks)
    gaps = np.diff(asks["intended_ps"], prepend=0).astype(np.float64)
    everyone = np.ones(len(asks), np.bool_)
    judged = Judged(everyone, turned_away, np.where(turned_away, 0.0, np.maximum(gaps, 0.0) + 1.0))
    return Attainment.of(judged, asks["replication"], group.replications).answer().as_json()
