"""The records of a run, variant by variant, and in each of them source by source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.arrays import distinct
from reports.busy import Ahead, Busy
from reports.columns import Columns, by_variant
from reports.group import Group
from reports.metrics import Window
from reports.rates import pools
from reports.stages import visits_of
from reports.tables import RunTables


@dataclass(frozen=True, slots=True)
class VariantRecords:
    requests: Columns
    nodes: Columns
    replications: Sequence[int]
    groups: Sequence[Group]
    """One per traffic source."""
    gaps: Columns | None
    """None when nobody counted them."""
    prefixes: Columns | None
    """None when no model caches prefixes."""
    stages: Columns | None
    """None where the nodes of no model divide the work."""
    sessions: Columns | None
    """None where no callers wait for their answers."""
    asks: Columns | None
    """None where no source has clients that retry or hedge: a request is an ask."""
    busy: Busy
    """When nodes were at work."""
    faults: Columns | None
    """None where nothing was to break."""
    lifetimes: Columns | None
    """None where no model's nodes come and go, in any variant."""


def variant_records(tables: RunTables, facts: Mapping[str, Any], window: Window) -> dict[str, VariantRecords]:
    """By name, the baseline first; without variants that an interrupted run did not come to."""
    names = [entry["name"] for entry in facts["variants"]]
    all_requests, all_nodes = by_variant(tables.requests, names), by_variant(tables.nodes, names)
    all_users = by_variant(tables.user_requests, names) if tables.user_requests is not None else {}
    all_gaps = by_variant(tables.gaps, names) if tables.gaps is not None else {}
    all_prefixes = by_variant(tables.prefixes, names) if tables.prefixes is not None else {}
    all_stages = by_variant(tables.stages, names) if tables.stages is not None else {}
    all_lifetimes = by_variant(tables.lifetimes, names) if tables.lifetimes is not None else {}
    all_faults = by_variant(tables.faults, names) if tables.faults is not None else {}
    all_sessions = by_variant(tables.sessions, names) if tables.sessions is not None else {}
    all_steps = by_variant(tables.agent_steps, names) if tables.agent_steps is not None else {}
    all_asks = by_variant(tables.asks, names) if tables.asks is not None else {}
    found = {}
    for name in names:
        requests, nodes = all_requests[name], all_nodes[name]
        replications = _replications(requests, nodes)
        if replications:
            stages, faults = all_stages.get(name), all_faults.get(name)
            users, steps = all_users.get(name), all_steps.get(name)
            asks = all_asks.get(name)
            groups = _groups(requests, users, asks, steps, facts, name, window, replications)
            found[name] = VariantRecords(
                requests,
                nodes,
                replications,
                groups,
                all_gaps.get(name),
                all_prefixes.get(name),
                stages,
                all_sessions.get(name),
                asks,
                Busy(
                    visits_of(requests, stages),
                    Ahead((window, window.second_half), replications, pools(nodes)),
                ),
                faults if faults is not None and len(faults) else None,
                all_lifetimes.get(name),
            )
    return found


def of_variant(facts: Mapping[str, Any], name: str, variant: str) -> Any:  # noqa: ANN401 -- plain JSON
    """What the scenario says of `name` in this variant; without a word on it, what holds for the baseline."""
    return facts.get(f"{name}_by_variant", {}).get(variant, facts[name])


def _replications(requests: Columns, nodes: Columns) -> list[int]:
    """Nodes leave a row even in a replication without a request."""
    found = set[int](distinct(nodes["replication"]).tolist())
    for part in requests.parts("replication"):
        found.update(distinct(part["replication"]).tolist())
    return sorted(found)


def _groups(
    requests: Columns,
    users: Columns | None,
    asks: Columns | None,
    steps: Columns | None,
    facts: Mapping[str, Any],
    variant: str,
    window: Window,
    replications: Sequence[int],
) -> list[Group]:
    sources, slo = of_variant(facts, "sources", variant), of_variant(facts, "slo", variant)
    tiers = facts.get("slo_tiers_by_variant", {}).get(variant, {})
    groups = []
    for source in sources:
        name = source["name"]
        has_app, has_client = source["app"] is not None, source.get("client") is not None
        groups.append(
            Group.of(
                source,
                requests.take(requests.labelled("source", name)),
                users.take(users.labelled("source", name)) if has_app and users is not None else None,
                asks.take(asks.labelled("source", name)) if has_client and asks is not None else None,
                window,
                replications,
                tiers.get(source.get("tier"), slo),
                steps if source["mode"] == "agent" else None,
            )
        )
    return groups
