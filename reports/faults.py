"""What broke in a run, and what it cost whom: asks that meet a fault against those that do not.

An ask meets a fault if it is in the system at some instant at which that is broken. It comes after the fault
if it does not, and is meant within as long a time after the repair as the fault lasted: there the backlog
shows. All others are what is usual. Slow is whatever completed and took longer than 95 % of those.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reports.arrays import distinct, quantile
from reports.columns import Columns, Ints, Mask
from reports.group import Group
from reports.metrics import Window
from reports.record import PS_PER_S
from reports.words import amount, duration, share

SLOW_QUANTILE = 0.95
ENOUGH = 20
"""Usual asks, before the slowest 5 % of them say anything."""
MOST_SPANS = 40
"""Of one variant that are listed and drawn; of more, the first of the first replication."""
Json = dict[str, Any]


def faults_json(
    faults: Columns, groups: Sequence[Group], window: Window, replications: Sequence[int]
) -> Json:
    """Seconds; asks are those meant in the window, all replications together."""
    faults = faults.take(faults["began_ps"] < window.end_ps)
    spans, left_out = _spans(faults)
    names = [faults.names["fault"][code] for code in distinct(faults["fault"])]
    return {
        "happened": [_happened(faults, name, window, replications) for name in names],
        "spans": spans,
        "spans_left_out": left_out,
        "cost": [row for name in names for row in _costs(faults, name, groups, window)],
    }


def _spans(faults: Columns) -> tuple[list[Json], int]:
    """Equal ones of several replications are one."""
    found = dict.fromkeys(_each(faults))
    if len(found) > MOST_SPANS:
        first = faults.take(faults["replication"] == faults["replication"].min())
        found = dict.fromkeys(_each(first))
    kept = list(found)[:MOST_SPANS]
    keys = ("fault", "kind", "target", "began_s", "ended_s")
    return [dict(zip(keys, span, strict=True)) for span in kept], len(found) - len(kept)


def _each(faults: Columns) -> Iterator[tuple[str, str, str, float, float | None]]:
    labels = [
        [faults.names[name][code] for code in faults[name].tolist()] for name in ("fault", "kind", "target")
    ]
    stamps = (faults["began_ps"].tolist(), faults["ended_ps"].tolist())
    for fault, kind, target, began, ended in zip(*labels, *stamps, strict=True):
        yield fault, kind, target, began / PS_PER_S, None if ended < 0 else ended / PS_PER_S


def _happened(faults: Columns, name: str, window: Window, replications: Sequence[int]) -> Json:
    """How often, how long and with how many requests inside, in the mean of a replication."""
    mine = faults.take(faults.labelled("fault", name))
    begins, ends = _until(mine, window)
    runs = len(replications)
    return {
        "fault": name,
        "kind": faults.names["kind"][int(mine["kind"][0])],
        "times": len(mine) / runs,
        "broken_s": float(((ends - begins) / PS_PER_S).sum()) / runs,
        "failed": int(mine["failed"].sum()) / runs,
        "moved": int(mine["moved"].sum()) / runs,
    }


def _until(faults: Columns, window: Window) -> tuple[Ints, Ints]:
    begins = faults["began_ps"].clip(max=window.end_ps)
    ends = np.where(faults["ended_ps"] < 0, window.end_ps, faults["ended_ps"]).clip(max=window.end_ps)
    return begins, ends


def _costs(faults: Columns, name: str, groups: Sequence[Group], window: Window) -> Iterator[Json]:
    mine = faults.take(faults.labelled("fault", name))
    for group in groups:
        asks = group.asks
        meets, after = _placed(mine, asks, window)
        parts = {"during": meets, "after": after, "usual": ~meets & ~after}
        done = asks.outcome("completed")
        lasted = (asks["ended_ps"] - asks["intended_ps"]) / PS_PER_S
        usual = lasted[parts["usual"] & done]
        slow = quantile(usual, SLOW_QUANTILE) if len(usual) >= ENOUGH else None
        yield {
            "fault": name,
            "source": group.source["name"],
            "tenant": group.source["tenant"],
            "slow_s": slow,
            **{part: _part(lasted[mask], done[mask], slow) for part, mask in parts.items()},
        }


def _part(lasted: Any, done: Mask, slow_s: float | None) -> Json:  # noqa: ANN401 -- floats
    completed = lasted[done]
    return {
        "asks": len(done),
        "failed": int((~done).sum()),
        "slow": None if slow_s is None else int((completed > slow_s).sum()),
        "mean_s": float(completed.mean()) if len(completed) else None,
    }


def _placed(faults: Columns, asks: Columns, window: Window) -> tuple[Mask, Mask]:
    """(meet it, come after it)"""
    meets, after = (np.zeros(len(asks), np.bool_) for _ in range(2))
    begins, ends = _until(faults, window)
    for replication in distinct(faults["replication"]):
        rows = faults["replication"] == replication
        mine = asks["replication"] == replication
        begin, end = asks["intended_ps"][mine], asks["ended_ps"][mine]
        end = np.where(end < 0, window.end_ps, end)
        one, two = begins[rows], ends[rows]
        meets[mine] = _overlap(*_union(one, two), begin, end)
        after[mine] = _overlap(*_union(two, 2 * two - one), begin, begin)
    return meets, after & ~meets


def _union(begins: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """The same instants as stretches that do not touch, in order."""
    order = np.argsort(begins, kind="stable")
    begins, reach = begins[order], np.maximum.accumulate(ends[order])
    first = np.concatenate([[True], begins[1:] > reach[:-1]])
    last = np.concatenate([first[1:], [True]])
    return begins[first], reach[last]


def _overlap(begins: Ints, ends: Ints, begin: Ints, end: Ints) -> Mask:
    """Whether [begin, end] has an instant of one of the stretches [begins, ends)."""
    following = np.searchsorted(ends, begin, side="right")
    inside = following < len(ends)
    found: Mask = inside & (begins[np.minimum(following, len(ends) - 1)] <= end)
    return found


def sentences(faults: Mapping[str, Any]) -> Iterator[str]:
    """For a terminal: what happened, and what it cost each source."""
    for happened in faults["happened"]:
        name = happened["fault"]
        inside = [f"{amount(happened[key])} {key}" for key in ("failed", "moved") if happened[key]]
        with_it = f"; of the requests inside {' and '.join(inside)}" if inside else ""
        often = f"{amount(happened['times'])} times, {duration(happened['broken_s'])} in all"
        yield f"Fault {name}, {often}{with_it}."
        for cost in faults["cost"]:
            if cost["fault"] == name and cost["during"]["asks"]:
                parts = (f"{title} {_told(cost[key])}" for key, title in PARTS.items() if cost[key]["asks"])
                yield f"  {cost['source']}: {'; '.join(parts)}."


PARTS = {"during": "during it", "after": "as long after it", "usual": "otherwise"}
"""Of the asks of a source, by the key in the summary."""


def _told(part: Mapping[str, Any]) -> str:
    asks, slow = part["asks"], part["slow"]
    failed = f"{share(part['failed'] / asks)} of {asks:,} asks failed"
    return failed if slow is None else f"{failed}, {share(slow / asks)} were slow"
