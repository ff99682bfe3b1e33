"""What each tier of users got of the objectives that are its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.group import Group, attainment_of
from reports.objectives import Slo, stated

OTHERS = ""
"""Sources of no tier with objectives of its own, which the plain ones judge."""


def tiers_json(groups: Sequence[Group], tiers: Mapping[str, Slo]) -> list[dict[str, Any]]:
    """A row per tier with objectives, in their order, then one for the other sources; none without tiers."""
    if not tiers:
        return []
    by_tier: dict[str, list[Group]] = {name: [] for name in tiers}
    for group in groups:
        tier = str(group.source.get("tier", OTHERS))
        by_tier.setdefault(tier if tier in tiers else OTHERS, []).append(group)
    return [_tier_json(name, found) for name, found in by_tier.items() if found]


def _tier_json(name: str, groups: Sequence[Group]) -> dict[str, Any]:
    return {
        "tier": name,
        "objectives": stated(groups[0].slo) or "none",
        "sources": [group.source["name"] for group in groups],
        "asked": sum(len(group.asks) for group in groups),
        "completed": sum(len(group.completed_asks) for group in groups),
        "attainment": attainment_of(groups).answer().as_json(),
    }
