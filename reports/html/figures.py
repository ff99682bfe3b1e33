"""All figures of a report by name, for whoever draws them elsewhere."""

from collections.abc import Callable, Iterator, Sequence

from reports.html.calls import felt_by_calls
from reports.html.cdf import distribution
from reports.html.figure import Figure
from reports.html.forest import forest
from reports.html.outcomes import attainment, not_served
from reports.html.over_time import over_time
from reports.html.phases import where_the_time_goes
from reports.html.prefixes import prefix_figure
from reports.html.retries import asks_and_attempts
from reports.html.sessions import turns_of, users_of
from reports.rows import Row, Summary, rows_of

DrawFigure = Callable[[Summary, Sequence[Row]], Figure | None]
"""None where there is nothing to show."""

FIGURES: list[DrawFigure] = [
    lambda _summary, rows: where_the_time_goes(rows, {}),
    lambda _summary, rows: felt_by_calls(rows),
    lambda _summary, rows: distribution(rows, {}),
    lambda _summary, rows: not_served(rows),
    attainment,
    lambda summary, rows: forest(summary, rows, {}),
    lambda summary, _rows: asks_and_attempts(summary, {}),
    lambda summary, _rows: over_time(summary, {}),
    lambda summary, _rows: turns_of(summary),
    lambda summary, _rows: users_of(summary),
    lambda summary, _rows: prefix_figure(summary),
]
"""In the order of the page. Without definitions: who draws elsewhere has no page for terms to link to."""


def figures_of(summary: Summary) -> Iterator[Figure]:
    """Those that have something to show, in the order of the page."""
    rows = rows_of(summary)
    drawn = (figure(summary, rows) for figure in FIGURES)
    return (figure for figure in drawn if figure is not None)
