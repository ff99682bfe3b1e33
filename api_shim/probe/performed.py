"""A probe from its first request to what is known of it: under whichever loop, for whichever client."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api_shim.probe.engine import Probe
from api_shim.probe.ledger import Ledger
from api_shim.probe.plan import Plan

FORMAT = 1


@dataclass(frozen=True)
class Performed:
    """`about` is probe.json."""

    about: Mapping[str, Any]
    probe: Probe


def about(
    probe: Probe, plan: Plan, ledger: Ledger, design: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """What probe.json says; `facts` are of whoever ran it: version, seed, when."""
    answered = sum(row.error is None for row in probe.chats)
    return {
        "format": FORMAT,
        **facts,
        "base_url": plan.url,
        "model": plan.model,
        "design": dict(design),
        "plan": plan.as_json(ledger),
        "body": {"cap": probe.body[0], **probe.body[1]},
        "sent": len(probe.chats) + len(probe.trips),
        "answered": answered,
        "failed": len(probe.chats) - answered,
        "taken_tokens": ledger.taken._asdict(),
        "taken_usd": ledger.taken_usd,
        "stopped": None if probe.stopped is None else probe.stopped._asdict(),
        "limits": probe.limits,
        "notes": probe.notes,
    }
