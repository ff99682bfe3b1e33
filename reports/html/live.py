"""The section of a live run: simulated, wall and lag beside each other, and how late the server was."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Summary
from reports.words import as_chosen, count, duration, plural, share

METRICS = {"ttft": "Time to first token (TTFT), streamed", "e2e": "End-to-end time (E2E)"}
COLUMNS = {"simulated": "Simulated", "wall": "Wall", "lag": "Lag"}
QUANTILES = ("p50", "p95", "p99")
SHOWN_SHARES = (0.5, 0.9, 0.99, 0.999)


def live(summary: Summary, definitions: Definitions) -> Html:
    found = summary["live"]
    return join(_trust(found), _client(found), _columns(summary, definitions), _lateness(found["lateness"]))


def _trust(found: Mapping[str, Any]) -> Html:
    if not found.get("answered", found["lateness"]["n"]):
        said = "Nothing was answered."
    elif found["paced"]:
        said = "Paced: the server kept up, so wall times can be trusted."
    else:
        said = f"{found['why_not'][0].upper()}{found['why_not'][1:]}."
    speed = (
        ""
        if found["speed"] == 1
        else f" It ran at {as_chosen(found['speed'])} times the speed of the wall clock."
    )
    return tag("p", tag("strong", said), speed)


def _client(found: Mapping[str, Any]) -> Html:
    client = found["client"]
    if client is None:
        return tag(
            "p",
            "No client's file came with this run: only the server's own lateness is known of the wall clock.",
        )
    slip = read_estimate(client["slip"]["p99"])
    late = "" if slip.value is None else f" It sent {duration(slip.value)} later than intended at p99."
    return tag(
        "p",
        f"The client meant to send {plural(client['requests'], 'request')}: {count(client['answered'])} were "
        f"answered, {count(client['refused'])} refused, {count(client['lost'])} lost.{late} Wall times count "
        "from the intended send, in simulated seconds; lag is the difference of each request.",
    )


def _columns(summary: Summary, definitions: Definitions) -> Html | None:
    groups = summary["live"]["groups"]
    if not groups:
        return None
    notes = Footnotes("live")
    heads: list[Node] = ["", *(f"{title} {q}" for title in COLUMNS.values() for q in QUANTILES)]
    bodies = [
        body(
            [row(_label(summary, group), *_cells(group["metrics"][metric], notes)) for group in groups],
            term(metric, title, definitions),
            len(heads),
        )
        for metric, title in METRICS.items()
    ]
    return table("What was simulated, and what the client saw", heads, bodies, after=notes.html())


def _cells(metric: Mapping[str, Any], notes: Footnotes) -> Iterator[Html]:
    for name in COLUMNS:
        for quantile in QUANTILES:
            yield notes.cell(read_estimate(metric[name].get(quantile)))


def _label(summary: Summary, group: Mapping[str, Any]) -> str:
    place = summary["facts"].get("places", {}).get(group["place"], {}).get("label") or group["place"]
    return group["source"] if place is None or place in group["source"] else f"{group['source']} · {place}"


def _lateness(lateness: Mapping[str, Any]) -> Html | None:
    if not lateness["n"]:
        return None
    lines = [
        row(f"{share(part)} of them", number_cell(f"at most {duration(_reached(lateness, part))}"))
        for part in SHOWN_SHARES
    ]
    lines.append(row("all", number_cell(f"at most {duration(lateness['max_s'])}")))
    caption = f"How much later than simulated the server wrote, over {plural(lateness['n'], 'answer')}"
    return table(caption, ["", "Late by"], [body(lines)])


def _reached(lateness: Mapping[str, Any], part: float) -> float:
    """The upper end of the bin in which this share of all is reached."""
    seen = 0
    for upper_s, found in lateness["bins"]:
        seen += found
        if seen >= part * lateness["n"]:
            return min(float(upper_s), float(lateness["max_s"]))
    return float(lateness["max_s"])
