"""Panels of p50, p95 and p99 over time, one for each source, in the figure of how a run went over time."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from reports.explained.over_time import QUANTILES, LatencyCourse
from reports.explained.whole_run import Explained
from reports.html.figure import DASHES, LegendEntry, Plot
from reports.html.markup import Html
from reports.html.tables import body, number_cell, row, table
from reports.words import as_chosen, duration, rounded

MOST_SOURCES = 3
"""With a panel: those with the most requests."""
MOST_CHARACTERS = 30
"""Of its name."""
MOST_ROWS = 120
"""Of the data table."""
DASH = {"p50": 0, "p95": 1, "p99": 2}
ROLE = {"p50": "series_2", "p95": "series_4", "p99": "series_1"}

Courses = Mapping[str, LatencyCourse]
"""By source, of one variant and model."""


def courses_of(found: Explained | None, variant: str, model: str) -> dict[str, LatencyCourse]:
    return {
        source: one.course
        for (of, source), one in (found or {}).items()
        if of == variant and one.course is not None and one.course.model == model
    }


def panels_of(views: Sequence[Courses]) -> list[str]:
    """The sources that have a panel."""
    requests: dict[str, int] = {}
    for view in views:
        for source, course in view.items():
            requests[source] = requests.get(source, 0) + course.requests
    return sorted(requests, key=lambda source: -requests[source])[:MOST_SOURCES]


def panel_title(source: str) -> str:
    """As much of the name as a telephone has room for."""
    shown = source if len(source) <= MOST_CHARACTERS else f"{source[: MOST_CHARACTERS - 1]}…"
    return escape(f"latency of {shown} (s)", quote=False)


def latency_traces(
    choice: str, courses: Courses, sources: Sequence[str], first: int, *, visible: bool
) -> Iterator[Plot]:
    """`first` is the number of the first of their panels."""
    for panel, source in enumerate(sources, first):
        for name in QUANTILES if source in courses else ():
            course = courses[source]
            middles = [(a + b) / 2 for a, b in zip(course.edges_s, course.edges_s[1:], strict=False)]
            yield {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [rounded(at) for at in middles],
                "y": [None if value is None else rounded(value) for value in course.values_s[name]],
                "line": {"color": f"@{ROLE[name]}", "width": 1.8, "dash": DASHES[DASH[name]]},
                "marker": {"color": f"@{ROLE[name]}", "size": 4},
                "hovertemplate": f"%{{y:,.4~g}} s at %{{x:,.4~g}} s<br>{name}<extra></extra>",
                "xaxis": "x",
                "yaxis": f"y{panel + 1}",
                "name": name,
                "visible": visible,
                "meta": {"choice": choice, "series": name},
            }


def latency_legend() -> list[LegendEntry]:
    return [LegendEntry(name, ROLE[name], dash=DASH[name], series=name) for name in QUANTILES]


def latency_table(views: Mapping[str, Courses], sources: Sequence[str]) -> Html:
    """Of each view and source as many stretches as fit."""
    shown = [(label, source) for label, courses in views.items() for source in sources if source in courses]
    bodies = []
    for label, source in shown:
        course = views[label][source]
        stretches = len(course.edges_s) - 1
        every = -(-stretches * len(shown) // MOST_ROWS)
        lines = [
            row(as_chosen(course.edges_s[i]), *(_cell(course.values_s[name][i]) for name in QUANTILES))
            for i in range(0, stretches, every)
        ]
        bodies.append(body(lines, f"{source} · {label}", 1 + len(QUANTILES)))
    return table("Latency of those meant from a time on", ["From (s)", *QUANTILES], bodies)


def _cell(value: float | None) -> Html:
    return number_cell("" if value is None else duration(value))
