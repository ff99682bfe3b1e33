"""Where a user's wait went: the phases of the calls on the critical path, and the app around them."""

import numpy as np

from reports.columns import Columns, Ints, rows_numbered
from reports.metrics import E2E, IN_APP, PHASES, USER_PHASES


def felt_phases_ps(users: Columns, calls: Columns, *, fan_out: bool) -> dict[str, Ints]:
    """Per completed user request, phase by phase; together exactly its felt latency.

    Sequential calls are all on the critical path; of calls made at once only the one that ended last is.
    """
    calls = calls.take(calls.outcome("completed"))
    owner = owners(users, calls)
    calls, owner = calls.take(owner >= 0), owner[owner >= 0]
    if fan_out:
        last = _last_ended(owner, calls["ended_ps"])
        calls, owner = calls.take(last), owner[last]
    set_up, network_out, back = (phase.ps(users) for phase in USER_PHASES)
    in_calls = _summed(owner, E2E.ps(calls), len(users))
    waited = users["waited_ps"]
    return {
        "user_set_up": set_up,
        "user_network_out": network_out,
        **({"app_wait": waited} if waited.any() else {}),
        "app_cpu": IN_APP.ps(users) - in_calls - waited,
        **{phase.name: _summed(owner, phase.ps(calls), len(users)) for phase in PHASES},
        "user_return": back,
    }


def agent_phases_ps(users: Columns, calls: Columns, steps: Columns) -> dict[str, Ints]:
    """As `felt_phases_ps`, of agents: the steps say what was on the critical path."""
    critical = steps.take(steps["critical"].astype(np.bool_) & (steps["ended_ps"] >= 0))
    owner = owners(users, critical, "number")
    critical, owner = critical.take(owner >= 0), owner[owner >= 0]
    asks = critical.labelled("kind", "ask")
    asked = np.isin(_keys(calls, "ask"), _keys(critical.take(asks), "ask"))
    found = felt_phases_ps(users, calls.take(asked), fan_out=False)
    lasted, network = critical["ended_ps"] - critical["began_ps"], np.maximum(critical["network_ps"], 0)
    tool, sandbox = critical.labelled("kind", "tool"), critical.labelled("kind", "sandbox")
    others = {
        "tool": _summed(owner[tool], lasted[tool], len(users)),
        "sandbox": _summed(owner[sandbox], (lasted - network)[sandbox], len(users)),
        "sandbox_network": _summed(owner[sandbox], network[sandbox], len(users)),
    }
    found["app_cpu"] = found["app_cpu"] - sum(others.values())
    return found | others


def _keys(columns: Columns, name: str) -> Ints:
    """One number for each pair of replication and `name`, which is below 2**40."""
    keys: Ints = columns["replication"] * 2**40 + columns[name]
    return keys


def owners(users: Columns, calls: Columns, by: str = "parent") -> Ints:
    """The row in `users` of each call's user request, -1 for none; `by` is the column with its number."""
    return rows_numbered(users, calls, by)


def _last_ended(owner: Ints, ended: Ints) -> Ints:
    """The row of the last call of each owner to end; among equals the last row."""
    order = np.lexsort((ended, owner))
    is_last = np.append(owner[order][1:] != owner[order][:-1], True) if len(order) else np.zeros(0, np.bool_)
    rows: Ints = order[is_last]
    return rows


def _summed(owner: Ints, values: Ints, count: int) -> Ints:
    """Sums of `values` by owner, in integers: floats would lose picoseconds."""
    total = np.zeros(count, np.int64)
    np.add.at(total, owner, values)
    return total
