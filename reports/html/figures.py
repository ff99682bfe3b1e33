"""All figures of a report by name, for whoever draws them elsewhere."""

from collections.abc import Iterator, Sequence

from reports.html.calls import felt_by_calls
from reports.html.cdf import distribution
from reports.html.figure import Figure
from reports.html.forest import comparable, forest
from reports.html.outcomes import attainment, not_served
from reports.html.over_time import over_time
from reports.html.phases import where_the_time_goes
from reports.html.rows import Row, Summary, rows_of, variant_titles
from reports.html.tables import Definitions


def figures_of(summary: Summary) -> Iterator[Figure]:
    """Those that have something to show, in the order of the page."""
    rows: list[Row] = rows_of(summary)
    drawn = [
        *time_figures(rows, {}),
        distribution(rows, {}),
        not_served(rows),
        attainment(summary, rows),
        forest(comparable(summary, rows), next(iter(variant_titles(summary).values())), {}),
        over_time(summary, {}),
    ]
    return (figure for figure in drawn if figure is not None)


def time_figures(rows: Sequence[Row], definitions: Definitions) -> tuple[Figure | None, Figure | None]:
    """Where the time goes, and what the number of calls does to it."""
    return where_the_time_goes(rows, definitions), felt_by_calls(rows)
