"""What agents did for their users, step by step, and which steps the users waited for."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from reports.columns import Columns, Floats, Mask
from reports.critical_path import owners
from reports.record import PS_PER_S
from reports.statistics import Refused, ratio_of


class Asked(Protocol):
    """The user requests of one source that completed."""

    @property
    def completed_asks(self) -> Columns: ...
    @property
    def replications(self) -> Sequence[int]: ...


def agent_json(asked: Asked, steps: Columns) -> dict[str, Any]:
    """Of completed user requests meant in the window; steps in the order in which they first came."""
    users, replications = asked.completed_asks, asked.replications
    mine = steps.take(owners(users, steps, "number") >= 0)
    requests = _by_replication(users, np.ones(len(users)), replications)
    cut = mine.labelled("next", "most_steps")
    return {
        "requests": len(users),
        "cut_off": len(np.unique(np.stack([mine["replication"][cut], mine["number"][cut]]), axis=1).T),
        "steps": [
            _step_json(name, mine.take(mine["step"] == code), requests, replications)
            for code, name in enumerate(mine.names["step"])
            if (mine["step"] == code).any()
        ],
    }


def _step_json(name: str, mine: Columns, requests: Floats, replications: Sequence[int]) -> dict[str, Any]:
    kind = mine.names["kind"][int(mine["kind"][0])]
    lasted_s = (mine["ended_ps"] - mine["began_ps"]) / PS_PER_S
    times = _by_replication(mine, np.ones(len(mine)), replications)
    felt = _critical(mine) & (kind != "fan_out")  # whose branches have their own rows
    waited_s = _by_replication(mine, np.where(felt, lasted_s, 0.0), replications)
    return {
        "step": name,
        "kind": kind,
        "times": ratio_of(times, requests).as_json(),
        "lasts_s": ratio_of(_by_replication(mine, lasted_s, replications), times).as_json(),
        "waited_s": (
            Refused("Its branches are counted one by one.").as_json()
            if kind == "fan_out"
            else ratio_of(waited_s, requests).as_json()
        ),
    }


def _critical(steps: Columns) -> Mask:
    found: Mask = steps["critical"].astype(np.bool_)
    return found


def _by_replication(columns: Columns, values: Floats, replications: Sequence[int]) -> Floats:
    row = np.searchsorted(replications, columns["replication"])
    return np.bincount(row, values, len(replications)).astype(np.float64)
