"""The places side by side: what a user felt, where it went, and what another place changes. Times in ms."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from api_shim.rehearsal.measured import MeasuredPlace, MeasuredVisit

Json = dict[str, Any]


class PartGroup(NamedTuple):
    """What the table adds up, and the colour that it has in figures."""

    name: str
    title: str
    parts: tuple[str, ...]
    role: str
    meaning: str


GROUPS = (
    PartGroup(
        "user_path",
        "user's path",
        ("user_set_up", "user_out", "user_back"),
        "return",
        "between the user and the app: connection set-up, request out, answer back",
    ),
    PartGroup("app", "app", ("app",), "app_cpu", "the app's own work and waiting"),
    PartGroup(
        "model_path",
        "app to model",
        ("call_set_up", "call_out", "call_back"),
        "network_out",
        "between the app and the platform: the same, for every call that the app waited for",
    ),
    PartGroup(
        "queue",
        "queue",
        ("admission", "queue"),
        "queue",
        "the gateway, waiting for a node, and the node's fixed work before the first step",
    ),
    PartGroup("prefill", "prefill", ("prefill",), "prefill", "until the first token"),
    PartGroup("decode", "decode", ("decode",), "decode", "from the first token to the last"),
    PartGroup(
        "platform",
        "other",
        ("platform",),
        "overhead",
        "what the platform did beside the model: sandboxes, files, refusals",
    ),
)
GROUP_OF = {part: group for group in GROUPS for part in group.parts}


def comparison(places: Sequence[MeasuredPlace]) -> Json:
    """The first place is the one that the others are compared with."""
    first = places[0]
    return {"places": [_row(place, first) for place in places]}


def _row(place: MeasuredPlace, first: MeasuredPlace) -> Json:
    good = [visit for visit in place.visits if visit.good]
    felt = [visit.felt_ms for visit in good]
    return {
        "place": place.place,
        "label": place.label,
        "requests": len(place.visits),
        "answered": len(good),
        "felt_p50_ms": quantile(felt, 0.5),
        "felt_p95_ms": quantile(felt, 0.95),
        "first_byte_p50_ms": quantile([visit.first_byte_ms for visit in good], 0.5),
        "model_calls_mean": _mean([visit.model_calls for visit in good]),
        "connections": place.connections,
        "connections_mean": place.connections / max(1, len(place.visits)),
        "refused_calls": place.refused_calls,
        "where_ms": {group.name: _mean([_of(visit, group) for visit in good]) for group in GROUPS},
        "more_than_first_p50_ms": None if place is first else _difference(place, first),
        "warnings": place.warnings,
    }


def _of(visit: MeasuredVisit, group: PartGroup) -> float:
    return sum(visit.parts_ms.get(part, 0.0) for part in group.parts)


def _difference(place: MeasuredPlace, first: MeasuredPlace) -> float | None:
    """The median over requests of what this place adds, each against itself at the first place."""
    before = {visit.number: visit.felt_ms for visit in first.visits if visit.good}
    more = [
        visit.felt_ms - before[visit.number]
        for visit in place.visits
        if visit.good and visit.number in before
    ]
    return quantile(more, 0.5)


def quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def shown_visit(places: Sequence[MeasuredPlace]) -> int | None:
    """The request that stands for the others in a figure: of median length at the first place.

    None where no request was answered in every place.
    """
    answered = set.intersection(*({v.number for v in place.visits if v.good} for place in places))
    ordered = sorted((v.felt_ms, v.number) for v in places[0].visits if v.number in answered)
    return ordered[len(ordered) // 2][1] if ordered else None


def failures(place: MeasuredPlace) -> Mapping[str, int]:
    """How often which problem was met."""
    found: dict[str, int] = {}
    for visit in place.visits:
        if not visit.good:
            told = visit.problem or f"status {visit.status}"
            found[told] = found.get(told, 0) + 1
    return found
