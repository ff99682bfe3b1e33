"""Energy and money: per request and per million output tokens, beside the figures that they rest on."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Column, Definitions, Footnotes, records, term
from reports.rows import Summary, labelled
from reports.words import Scale, as_chosen

COLUMNS = {
    "power_w": ("Power", Scale("W", 1.0)),
    "joules_per_request": ("Energy per request", Scale("J", 1.0)),
    "joules_per_1m_output_tokens": ("Energy per 1 M output tokens", Scale("kJ", 1e-3)),
    "usd_per_request": ("Cost per 1,000 requests", Scale("USD", 1e3)),
    "usd_per_1m_output_tokens": ("Cost per 1 M output tokens", Scale("USD", 1.0)),
}
FACTS = {
    "idle_w": ("Idle power", "W"),
    "busy_w": ("Busy power", "W"),
    "usd_per_hour": ("USD per node and hour", ""),
    "usd_per_1m_tokens": ("USD per 1 M tokens", ""),
}
Lines = Sequence[tuple[str, Mapping[str, Any]]]
"""Each model of each variant by its name."""
LEAD = "Power is taken as linear between idle and busy. A price by the hour counts whether nodes work or not."


def costs(summary: Summary, definitions: Definitions) -> Html | None:
    """None where the run's facts hold neither power nor prices."""
    entries = list(labelled(summary, "costs", "model"))
    if not entries:
        return None
    return join(tag("p", LEAD), _results(entries, definitions), _basis(entries))


def _results(entries: Lines, definitions: Definitions) -> Html:
    columns = [_result(key, term(key, title, definitions), scale) for key, (title, scale) in COLUMNS.items()]
    return records("costs", "Energy and cost of what the nodes did", columns, entries)


def _result(key: str, head: Node, scale: Scale) -> Column:
    return Column(head, lambda entry, notes: _cell(notes, entry[key], scale))


def _cell(notes: Footnotes, found: Mapping[str, Any], scale: Scale) -> Html:
    if "at_least" in found:
        return notes.between(found["at_least"], found["at_most"], scale, found["refused"])
    return notes.cell(read_estimate(found), scale)


def _basis(entries: Lines) -> Html:
    columns = [_stated(key, title, unit) for key, (title, unit) in FACTS.items()]
    sources = {
        f"{FACTS[key][0]} {as_chosen(fact['value'])}: {fact['source']}"
        for _, entry in entries
        for key, fact in entry["facts"].items()
    }
    listed = tag("ul", [tag("li", source) for source in sorted(sources)]) if sources else None
    return join(
        records("cost-facts", "What it rests on: value and confidence", columns, entries),
        tag("details", tag("summary", "Where these values come from"), listed) if listed else None,
    )


def _stated(key: str, title: str, unit: str) -> Column:
    return Column(title, lambda entry, _: _fact(entry["facts"].get(key), unit))


def _fact(fact: Mapping[str, Any] | None, unit: str) -> Node:
    if fact is None:
        return "not stated"
    return tag(
        "td",
        f"{as_chosen(fact['value'])} {unit}".strip(),
        " ",
        tag("small", fact["confidence"]),
        class_="number",
    )
