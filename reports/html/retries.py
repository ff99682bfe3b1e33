"""Asks and the requests that clients made of them, over time: where the two lines part, clients retry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reports.estimate import read_estimate
from reports.html.figure import DASHES, Choice, Figure, LegendEntry, Plot, axis, layout
from reports.html.markup import Html, join, tag
from reports.html.stretch import zoomable
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Summary, variant_titles
from reports.words import Scale, as_chosen, count, in_seconds, number, rounded, share

PER_ASK = Scale("", 1.0)
HEIGHT = 300
STORM = "Retry storm"
SHADE = "30"
"""Opacity, as the last two digits of #rrggbbaa."""


class RateLine(NamedTuple):
    key: str
    label: str
    role: str
    dash: int


LINES = (
    RateLine("asks_per_s", "Asks", "series_5", 2),
    RateLine("attempts_per_s", "Requests", "series_1", 0),
    RateLine("answered_per_s", "Asks answered", "series_2", 1),
)


class Retried(NamedTuple):
    """One variant with clients that retry or hedge."""

    key: str
    label: str
    found: Mapping[str, Any]

    def mean(self, line: RateLine) -> Sequence[float]:
        values: Sequence[float] = self.found["series"][line.key]["mean"]
        return values

    @property
    def storms(self) -> list[Mapping[str, float]]:
        """Of its sources, those that had one."""
        return [source["storm"] for source in self.found["sources"] if source["storm"] is not None]


def retries(summary: Summary, definitions: Definitions) -> Html | None:
    figure = asks_and_attempts(summary, definitions)
    return None if figure is None else join(_counts(summary, definitions), figure.html(definitions))


def asks_and_attempts(summary: Summary, definitions: Definitions) -> Figure | None:
    """None where no client retries or hedges."""
    views, edges = list(_retried(summary)), summary.get("series_edges_s") or []
    if not views or len(edges) < 2:
        return None
    width = in_seconds(edges[1] - edges[0])
    shaded = " Retry storms are shaded." if any(view.storms for view in views) else ""
    return Figure(
        "asks-and-attempts",
        "Asks and requests over time",
        f"Averages over {width} each, of sources whose clients retry or hedge. Where requests lie above "
        f"asks, clients send again.{shaded}",
        " ".join(_said(view) for view in views),
        {
            "data": [
                trace for view in views for trace in _traces(view, edges, visible=view.key == views[0].key)
            ],
            "layout": zoomable(
                layout(
                    HEIGHT,
                    xaxis=axis("time (s)", range=[0, summary["horizon_s"]]),
                    yaxis=axis("per second", rangemode="tozero"),
                )
            ),
        },
        _over_time(views, edges, definitions),
        tuple(LegendEntry(line.label, line.role, dash=line.dash, series=line.key) for line in LINES),
        tuple(Choice(view.key, view.label) for view in views),
        tuple(line.key for line in LINES),
        over_time=True,
    )


def _retried(summary: Summary) -> Iterator[Retried]:
    titles = variant_titles(summary)
    for name, variant in summary["variants"].items():
        if variant.get("retries"):
            yield Retried(f"retried-{name}", titles.get(name, name), variant["retries"])


def _traces(view: Retried, edges: Sequence[float], *, visible: bool) -> Iterator[Plot]:
    start, step = (edges[0] + edges[1]) / 2, edges[1] - edges[0]
    shared: Plot = {"type": "scatter", "mode": "lines", "visible": visible}
    top = max(max(view.mean(line)) for line in LINES)
    for storm in view.storms:
        began, ended = storm["began_s"], storm["ended_s"]
        yield shared | {
            "name": STORM,
            "x": [rounded(began), rounded(began), rounded(ended), rounded(ended)],
            "y": [0, rounded(top), rounded(top), 0],
            "fill": "toself",
            "fillcolor": f"@series_1/{SHADE}",
            "line": {"width": 0, "color": "@series_1"},
            "hoverinfo": "skip",
            "meta": {"choice": view.key},
        }
    for line in LINES:
        yield shared | {
            "name": line.label,
            "x0": rounded(start),
            "dx": step,
            "y": [rounded(value) for value in view.mean(line)],
            "line": {"color": f"@{line.role}", "width": 1.8, "dash": DASHES[line.dash]},
            "hovertemplate": f"%{{y:,.4~g}}/s at %{{x:,.4~g}} s<br>{line.label}<extra></extra>",
            "meta": {"choice": view.key, "series": line.key},
        }


def _said(view: Retried) -> str:
    asks, attempts, answered = (max(view.mean(line)) for line in LINES)
    storm = "".join(f", with a retry storm from {_span(storm)}" for storm in view.storms)
    return (
        f"{view.label}: at most {number(asks)} asks and {number(attempts)} requests in a second, "
        f"{number(answered)} answered{storm}."
    )


def _span(storm: Mapping[str, float]) -> str:
    return f"{as_chosen(storm['began_s'])} to {in_seconds(storm['ended_s'])}"


def _counts(summary: Summary, definitions: Definitions) -> Html:
    notes, bodies = Footnotes("retries"), []
    amplification = term("amplification", "Requests for each ask", definitions)
    columns = ["", "Asks", "Requests", "Copies", amplification, "Asks answered", STORM]
    for _, label, found in _retried(summary):
        per_ask = notes.cell(read_estimate(found["amplification"]), PER_ASK)
        several = len(found["sources"]) > 1
        lines = [_line(label, found, per_ask, "" if several else _told(found["sources"][0]))]
        for one in found["sources"] if several else ():
            each = number_cell(number(one["attempts"] / one["asks"]) if one["asks"] else "")
            lines.append(_line(f"{label} · {one['source']}", one, each, _told(one)))
        bodies.append(body(lines))
    caption = "Asks and requests, all replications together"
    return tag("div", table(caption, columns, bodies, after=notes.html()))


def _told(source: Mapping[str, Any]) -> str:
    storm = source["storm"]
    return "none" if storm is None else f"{_span(storm)}, {number(storm['per_ask'])} for each"


def _line(label: str, counts: Mapping[str, Any], per_ask: Html, storm: str) -> Html:
    answered = counts["answered"] / counts["asks"] if counts["asks"] else 0.0
    numbers = (number_cell(count(counts[name])) for name in ("asks", "attempts", "hedges"))
    return row(label, *numbers, per_ask, number_cell(share(answered)), storm)


def _over_time(views: Sequence[Retried], edges: Sequence[float], definitions: Definitions) -> Html:
    """Two dozen rows for each view at most."""
    bins = len(edges) - 1
    step = -(-bins // max(6, min(24, 240 // len(views))))
    columns = ["From (s)", *(term(line.key, f"{line.label}/s", definitions) for line in LINES)]
    bodies = []
    for view in views:
        lines = [
            row(
                as_chosen(edges[first]),
                *(number_cell(number(_mean(view.mean(line)[first : first + step]))) for line in LINES),
            )
            for first in range(0, bins, step)
        ]
        bodies.append(body(lines, view.label if len(views) > 1 else None, len(columns)))
    return table("The same over time", columns, bodies)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
