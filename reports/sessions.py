"""Callers that wait for answers: how conversations went turn by turn, and what so many users get done."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from reports import metrics
from reports.arrays import distinct
from reports.columns import Columns, Floats, Mask
from reports.group import Group, stats_json
from reports.record import PS_PER_S
from reports.statistics import Samples, mean, ratio_of

TURNS_TOLD = 12
"""One by one; the later ones together."""
MOST_LEVELS = 12
"""Numbers of closed-loop users that are told apart; a smoother ramp is cut into so many parts."""


def sessions_json(groups: Sequence[Group], sessions: Columns | None) -> list[dict[str, Any]]:
    """A row per source whose callers wait for their answers."""
    if sessions is None:
        return []
    return [
        _source_json(group, sessions.take(sessions.labelled("source", group.source["name"])))
        for group in groups
        if group.source.get("callers")
    ]


def _source_json(group: Group, mine: Columns) -> dict[str, Any]:
    found = {"source": group.source["name"], "callers": group.source["callers"]}
    if group.source["callers"] == "closed_loop":
        return {**found, "levels": list(_levels(group, mine))}
    began = mine["began_ps"]
    mine = mine.take((began >= group.window.start_ps) & (began < group.window.end_ps))
    endings = {name: int((mine["ending"] == code).sum()) for code, name in enumerate(mine.names["ending"])}
    done = mine.take(mine.labelled("ending", "completed"))
    lasted_s = (done["ended_ps"] - done["began_ps"]) / PS_PER_S
    return {
        **found,
        "began": len(mine),
        "endings": {name: number for name, number in sorted(endings.items()) if number},
        "turns": mean(_samples(group, mine, mine["turns"].astype(np.float64))).as_json(),
        "duration": stats_json(_samples(group, done, lasted_s)),
        "by_turn": list(_by_turn(group)),
    }


def _samples(group: Group, columns: Columns, values: Floats) -> Samples:
    return Samples.of(values, columns["replication"], group.replications, least=0.0)


# Turn by turn


def _by_turn(group: Group) -> Iterator[dict[str, Any]]:
    last = int(group.calls["turn"].max(initial=0))
    for turn in range(min(last + 1, TURNS_TOLD)):
        yield {"turn": turn, **_turns_json(group, turn, turn)}
    if last >= TURNS_TOLD:
        yield {"turn": None, **_turns_json(group, TURNS_TOLD, last)}


def _turns_json(group: Group, first: int, last: int) -> dict[str, Any]:
    def among(calls: Columns) -> Mask:
        found: Mask = (calls["turn"] >= first) & (calls["turn"] <= last)
        return found

    done = group.completed.take(among(group.completed))
    tokens = {name: done[name].astype(np.float64) for name in ("prompt_tokens", "cached_tokens")}
    return {
        "asked": int(among(group.calls).sum()),
        "completed": len(done),
        "ttft": stats_json(_samples(group, done, metrics.ttft_s(done))),
        "e2e": stats_json(_samples(group, done, metrics.e2e_s(done))),
        **{name: mean(_samples(group, done, values)).as_json() for name, values in tokens.items()},
    }


# Level by level


def _levels(group: Group, mine: Columns) -> Iterator[dict[str, Any]]:
    """Stretches of the window, with the users who were there and what they were answered in the meantime."""
    asks = group.asks
    completed, ended = asks.outcome("completed"), asks["ended_ps"]
    for start_ps, end_ps in _stretches(group, mine):
        there = completed & (ended >= start_ps) & (ended < end_ps)
        if not there.any():
            continue
        answered = asks.take(there)
        row = np.searchsorted(group.replications, answered["replication"])
        number = np.bincount(row, minlength=len(group.replications)).astype(np.float64)
        span_s = np.full(len(group.replications), (end_ps - start_ps) / PS_PER_S)
        waited_s = metrics.FELT.ps(answered) / PS_PER_S
        yield {
            "from_s": start_ps / PS_PER_S,
            "to_s": end_ps / PS_PER_S,
            "users": _users(group, mine, start_ps, end_ps),
            "answered_per_s": ratio_of(number, span_s).as_json(),
            "felt": stats_json(_samples(group, answered, waited_s)),
        }


def _stretches(group: Group, mine: Columns) -> Iterator[tuple[int, int]]:
    window = group.window
    joined = distinct(mine["began_ps"])
    inside = joined[(joined > window.start_ps) & (joined < window.end_ps)].tolist()
    edges = [window.start_ps, *inside, window.end_ps]
    if len(edges) - 1 > MOST_LEVELS:
        ramp_ends = edges[-2]
        span = ramp_ends - window.start_ps
        edges = [window.start_ps + span * i // (MOST_LEVELS - 1) for i in range(MOST_LEVELS)]
        edges.append(window.end_ps)
    yield from pairwise(edges)


def _users(group: Group, mine: Columns, start_ps: int, end_ps: int) -> float:
    """Who were there, on average over the stretch; replications are alike in this."""
    there_ps = np.clip(end_ps - np.maximum(mine["began_ps"], start_ps), 0, None)
    return round(float(there_ps.sum()) / (end_ps - start_ps) / len(group.replications), 3)
