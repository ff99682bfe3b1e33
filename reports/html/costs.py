"""Energy and money: per request and per million output tokens, beside the figures that they rest on."""

from collections.abc import Mapping
from typing import Any

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, row, table, term
from reports.rows import Summary, variant_titles
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
LEAD = "Power is taken as linear between idle and busy. A price by the hour counts whether nodes work or not."


def costs(summary: Summary, definitions: Definitions) -> Html | None:
    """None where the run's facts hold neither power nor prices."""
    entries = [
        (_label(summary, name, entry["model"]), entry)
        for name, variant in summary["variants"].items()
        for entry in variant.get("costs", [])
    ]
    if not entries:
        return None
    return join(tag("p", LEAD), _results(entries, definitions), _basis(entries))


def _label(summary: Summary, variant: str, model: str) -> str:
    titles = variant_titles(summary)
    return " · ".join([titles.get(variant, variant)] * (len(titles) > 1) + [model])


def _results(entries: list[tuple[str, Mapping[str, Any]]], definitions: Definitions) -> Html:
    notes = Footnotes("costs")
    lines = [
        row(label, *(_cell(notes, entry[key], scale) for key, (_, scale) in COLUMNS.items()))
        for label, entry in entries
    ]
    columns = ["", *(term(key, title, definitions) for key, (title, _) in COLUMNS.items())]
    return table("Energy and cost of what the nodes did", columns, [body(lines)], after=notes.html())


def _cell(notes: Footnotes, found: Mapping[str, Any], scale: Scale) -> Html:
    if "at_least" in found:
        return notes.between(found["at_least"], found["at_most"], scale, found["refused"])
    return notes.cell(read_estimate(found), scale)


def _basis(entries: list[tuple[str, Mapping[str, Any]]]) -> Html:
    lines = [
        row(label, *(_fact(entry["facts"].get(key), FACTS[key][1]) for key in FACTS))
        for label, entry in entries
    ]
    columns: list[Node] = ["", *(title for title, _ in FACTS.values())]
    sources = {
        f"{FACTS[key][0]} {as_chosen(fact['value'])}: {fact['source']}"
        for _, entry in entries
        for key, fact in entry["facts"].items()
    }
    listed = tag("ul", [tag("li", source) for source in sorted(sources)]) if sources else None
    return join(
        table("What it rests on: value and confidence", columns, [body(lines)]),
        tag("details", tag("summary", "Where these values come from"), listed) if listed else None,
    )


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
