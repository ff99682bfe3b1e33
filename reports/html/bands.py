"""What a p99 request has that a p50 has not: stacked bars of their phases, a panel for each row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reports.explained.bands import Band
from reports.explained.difference import difference
from reports.explained.whole_run import Explained
from reports.html.markup import Html, join, tag
from reports.html.palette import css
from reports.html.phases import PHASES
from reports.html.tracks import Mark, Panel, TrackRow, bar, extent_of, stacked, tracks
from reports.rows import Row, rows_by_source
from reports.words import Scale, count, duration, duration_scale

UNFOLDED = 4
"""Panels that are shown at once; the others are a click away."""


def bands(rows: Iterable[Row], found: Explained) -> Html | None:
    """None where no row has bands to compare."""
    shown = [
        (row, found[row.variant, row.source].bands) for row in rows if (row.variant, row.source) in found
    ]
    shown = [(row, one) for row, one in shown if len(one) > 1]
    if not shown:
        return None
    scales = _scales(shown)
    panels = [_panel(row, one, scales[row.source]) for row, one in shown]
    return join(
        tag("h3", "What a p99 request has that a p50 request has not"),
        tag("p", EXPLANATION),
        _legend(one for _, one in shown),
        tag("div", panels[:UNFOLDED], class_="bands"),
        folded(panels[UNFOLDED:], "bands"),
    )


EXPLANATION = (
    "Completed requests by latency: the means of those from 45 to 55 % are a p50 request, from 87.5 to "
    "92.5 % a p90 and from 98.5 to 99.5 % a p99 request. Variants of one source share a scale."
)


def folded(panels: Sequence[Html], kind: str) -> Html | None:
    if not panels:
        return None
    more = "One more" if len(panels) == 1 else f"The other {len(panels)}"
    return tag("details", tag("summary", more), tag("div", panels, class_=kind))


def _scales(shown: Iterable[tuple[Row, Mapping[str, Band]]]) -> dict[str, tuple[Scale, float]]:
    """Of each source the unit, and the longest bar in it."""
    by_row = {row.key: one for row, one in shown}
    found = {}
    for source, rows in rows_by_source([row for row, _ in shown]).items():
        longest = max(band.mean_s for row in rows for band in by_row[row.key].values())
        scale = duration_scale(longest)
        found[source] = scale, longest * scale.factor
    return found


def _panel(row: Row, found: Mapping[str, Band], scaled: tuple[Scale, float]) -> Html:
    scale, longest = scaled
    lines = [
        TrackRow(name, list(stacked(_pieces(band, scale))), duration(band.mean_s), count(band.requests))
        for name, band in found.items()
    ]
    panel = Panel(row.label, "mean, requests", lines, extent_of([longest], unit=scale.symbol))
    said = difference(found, lambda name: PHASES[name].label)
    return tag("div", tracks([panel], f"Phases of {row.label}"), tag("p", said) if said else None)


def _pieces(band: Band, scale: Scale) -> Iterator[Mark]:
    for name, phase in PHASES.items():
        if name in band.phases:
            seconds = band.phases[name]
            length, shown = seconds * scale.factor, "" if phase.hatched else duration(seconds)
            yield bar(length, phase.role, phase.label, shown, hatched=phase.hatched)


def _legend(found: Iterable[Mapping[str, Band]]) -> Html:
    used = {name for one in found for band in one.values() for name, s in band.phases.items() if s > 0}
    return phase_legend(used)


def phase_legend(used: Iterable[str]) -> Html:
    entries = [
        tag("li", tag("span", _swatch(name), PHASES[name].label)) for name in PHASES if name in set(used)
    ]
    return tag("ul", entries, class_="legend")


def _swatch(name: str) -> Html:
    phase = PHASES[name]
    colour = f"background-color: {css(phase.role)}"
    kind = "swatch hatched" if phase.hatched else "swatch"
    return tag("span", class_=kind, style=colour, aria_hidden="true")
