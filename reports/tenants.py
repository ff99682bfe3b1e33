"""How evenly tenants are served: what each asked and attained, and Jain's index over all of them."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reports.attainment import NOT_JUDGED, Attainment
from reports.columns import Ints
from reports.group import Group
from reports.objectives import Judged
from reports.statistics import Samples, mean

MOST_SHOWN = 50
"""A live server may have a tenant for every key; the index is over all of them."""


class TenantAsks(NamedTuple):
    """What one tenant asked for in the window, over all its sources, by replication and time."""

    name: str
    replication: Ints
    judged: Judged
    completed: int


def tenants_json(groups: Sequence[Group], replications: Sequence[int]) -> dict[str, Any] | None:
    """None where there is one tenant alone."""
    if len(_names(groups)) < 2:
        return None
    tenants = sorted(_tenants(groups), key=lambda tenant: (-len(tenant.replication), tenant.name))
    return {
        "jain": mean(_jain_samples(tenants, replications)).as_json(),
        "count": len(tenants),
        "tenants": [_tenant_json(tenant, replications) for tenant in tenants[:MOST_SHOWN]],
    }


def jain(shares: Sequence[float]) -> float:
    """1 where all have the same, 1/n where one of n has everything; not a number where nobody has anything.

    Jain, Chiu & Hawe, A Quantitative Measure of Fairness, DEC TR-301 (1984).
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else math.nan


def _names(groups: Sequence[Group]) -> list[str]:
    """Of those who asked for anything."""
    names = dict.fromkeys(name for group in groups for name in group.asks.names["tenant"])
    return [name for name in names if any(group.asks.labelled("tenant", name).any() for group in groups)]


def _tenants(groups: Sequence[Group]) -> Iterator[TenantAsks]:
    for name in _names(groups):
        masks = [group.asks.labelled("tenant", name) for group in groups]
        pairs = list(zip(groups, masks, strict=True))
        asks = [group.asks.take(mask) for group, mask in pairs]
        at, replication = (
            np.concatenate([one[name] for one in asks]) for name in ("intended_ps", "replication")
        )
        completed = sum(int(one.outcome("completed").sum()) for one in asks)
        parts = zip(*(group.judged.take(mask) for group, mask in pairs), strict=True)
        order = np.lexsort((at, replication))
        judged = Judged(*(np.concatenate(part)[order] for part in parts))
        yield TenantAsks(name, replication[order], judged, completed)


def _jain_samples(tenants: Sequence[TenantAsks], replications: Sequence[int]) -> Samples:
    """The index of each replication, over the tenants of whose asks any could be judged there."""
    found = []
    for replication in replications:
        masks = (tenant.judged.judged & (tenant.replication == replication) for tenant in tenants)
        met = (tenant.judged.met[mask] for tenant, mask in zip(tenants, masks, strict=True))
        found.append(jain([float(of_one.mean()) for of_one in met if len(of_one)]))
    return Samples.of(np.array(found), np.array(replications), replications, least=0.0)


def _tenant_json(tenant: TenantAsks, replications: Sequence[int]) -> dict[str, Any]:
    nothing = f"{NOT_JUDGED}: no answer has a number that the objectives limit."
    why = "" if tenant.judged.judged.any() else nothing
    attainment = Attainment.of(tenant.judged, tenant.replication, replications, why)
    return {
        "tenant": tenant.name,
        "asked": len(tenant.replication),
        "completed": tenant.completed,
        "attainment": attainment.answer().as_json(),
    }
