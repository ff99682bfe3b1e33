"""What prefix caches found, and whether more blocks or another order of eviction would find more."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from reports.html.figure import Figure, LegendEntry
from reports.html.markup import Html, join, tag
from reports.html.palette import series_role
from reports.html.tables import Definitions, body, number_cell, row, table
from reports.html.tracks import Panel, TrackRow, TracksView, bar, extent_of, stacked, tracks_views
from reports.html.tracks_plot import tracks_plot
from reports.rows import Summary, labelled
from reports.words import count, share


class _Cache(NamedTuple):
    """Shares of the prompt tokens that were looked up."""

    label: str
    lookups: int
    found: float
    optimum: float
    ceiling: float

    @classmethod
    def of(cls, label: str, counts: Mapping[str, Any]) -> "_Cache":
        whole = counts["tokens"] or 1
        shares = (counts[f"{name}_tokens"] / whole for name in ("found", "optimum", "ceiling"))
        return cls(label, counts["lookups"], *shares)

    def sentence(self) -> str:
        by_order, by_size = self.optimum - self.found, self.ceiling - self.optimum
        return (
            f"{self.label}: {share(self.found)} of the prompt tokens were found. The best order of eviction "
            f"would have found at most {share(by_order)} more in as many blocks, and a cache without end "
            f"{share(by_size)} on top."
        )


def prefixes(summary: Summary, definitions: Definitions) -> Html | None:
    """None where no model caches prefixes."""
    figure, caches = prefix_figure(summary), list(_models(summary))
    if figure is None:
        return None
    return join([tag("p", cache.sentence()) for cache in caches], figure.html(definitions))


def prefix_figure(summary: Summary) -> Figure | None:
    caches = list(_models(summary))
    if not caches:
        return None
    parts = {
        "found in the cache": [cache.found for cache in caches],
        "lost by the order of eviction": [cache.optimum - cache.found for cache in caches],
        "lost by the size of the cache": [cache.ceiling - cache.optimum for cache in caches],
    }
    rows = [
        TrackRow(
            cache.label,
            list(
                stacked(
                    bar(100 * values[index], series_role(i), name, share(values[index]), hatched=i > 1)
                    for i, (name, values) in enumerate(parts.items())
                )
            ),
            share(cache.ceiling),
        )
        for index, cache in enumerate(caches)
    ]
    view = TracksView(
        "", "", [Panel("", "share of prompt tokens looked up", rows, extent_of([100.0], unit="%"))]
    )
    return Figure(
        "prefixes",
        "Prompt tokens that were asked before",
        "Share of the prompt tokens looked up at admission, from the start of the run on. A whole bar is "
        "what a cache without end finds, its first two parts what the best order of eviction (Belady's) "
        "finds in as many blocks, if those who run needed none.",
        "Stacked bars: "
        + "; ".join(
            f"{cache.label} found {share(cache.found)} of at most {share(cache.ceiling)}" for cache in caches
        )
        + ".",
        tracks_plot([view]),
        _groups(summary),
        tuple(LegendEntry(name, series_role(i), hatched=i > 1) for i, name in enumerate(parts)),
        drawing=tracks_views("prefixes", [view]),
    )


def _models(summary: Summary) -> Iterator[_Cache]:
    for label, model in labelled(summary, "prefixes", "model"):
        yield _Cache.of(label, model)


def _groups(summary: Summary) -> Html:
    lines = []
    for label, model in labelled(summary, "prefixes", "model"):
        lines.append(_line(_Cache.of(label, model)))
        lines += [
            _line(_Cache.of(f"{label} · {group['prefix'] or 'all others'}", group))
            for group in model["groups"]
        ]
    columns = ["Prompts that begin with", "Lookups", "Found", "Best order", "Cache without end"]
    caption = "Shares of prompt tokens, by what their prompts begin with; all replications together"
    return table(caption, columns, [body(lines)])


def _line(cache: _Cache) -> Html:
    shares = (number_cell(share(value)) for value in (cache.found, cache.optimum, cache.ceiling))
    return row(cache.label, number_cell(count(cache.lookups)), *shares)
