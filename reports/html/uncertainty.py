"""What uncertain values do to the answer: their band beside the interval from sampling."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reports.estimate import ShownEstimate, read_estimate
from reports.html.figure import Choice, Figure, LegendEntry
from reports.html.markup import Html, Node, join, tag
from reports.html.readings import Reading, readings_of
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.html.tornado import label_of, tornado
from reports.html.tracks import Mark, Panel, TrackRow, TracksView, dot, extent_of, tracks_views
from reports.html.tracks_plot import tracks_plot
from reports.rows import Row, Summary
from reports.words import PERCENT, Scale, as_chosen, duration, duration_scale, number, plural

METRICS = {"felt": "User-felt latency", "ttft": "Time to first token", "e2e": "End-to-end time"}
STATISTICS = {"mean": "mean", "p50": "p50", "p95": "p95"}
VIEWS = (("felt", "p95"), ("felt", "mean"), ("ttft", "p95"))
VIEWS_OF_READINGS = (("felt", "mean"), ("ttft", "mean"), ("felt", "p95"), ("ttft", "p95"))
"""Where a chip has another reading: that is known of means."""


class ValuePair(NamedTuple):
    """One number twice."""

    sampling: ShownEstimate
    values: ShownEstimate


class Band(NamedTuple):
    row: Row
    metric: Mapping[str, Mapping[str, Mapping[str, float]]]
    changes: Mapping[str, Mapping[str, Mapping[str, float]]]
    """The same of the difference from the baseline; empty for the baseline itself."""
    reading: Reading | None = None
    """The other one of the chip that answered."""

    def pair(self, metric: str, statistic: str) -> ValuePair:
        return ValuePair(self.row.statistic(metric, statistic), _band(self.metric, metric, statistic))


def uncertainty(summary: Summary, rows: Sequence[Row], definitions: Definitions) -> Html:
    found = summary["uncertainty"]
    bands = list(_bands(summary, rows))
    figures = [
        figure.html()
        for figure in (_beside(bands, definitions, left_out(summary)), tornado(found, rows))
        if figure
    ]
    return join(
        _lead(found), figures, _attainment(bands, definitions), _changes(summary, bands), _values(found)
    )


def _lead(found: Mapping[str, Any]) -> Html:
    drawn = f"{plural(found['draws'], 'draw')} of {plural(len(found['values']), 'value')}"
    each = plural(found["replications"], "replication")
    basis = (
        f"{drawn} that are known to a range only, {each} each, all on the same random numbers. A band holds "
        "the middle 90 % of the draws: it says how far the answer moves while every value stays within what "
        "its evidence allows. The interval from sampling says how far chance alone moves it."
    )
    notes = [tag("li", note) for note in found["notes"]]
    return join(tag("p", basis), tag("ul", notes) if notes else None)


def _bands(summary: Summary, rows: Sequence[Row]) -> Iterator[Band]:
    found, readings = summary["uncertainty"], readings_of(summary)
    known, changes = _by_row(found["bands"]), _by_row(found["differences"])
    for line in rows:
        metric = known.get((line.variant, line.source))
        if metric is not None:
            differences = changes.get((line.variant, line.source), {})
            yield Band(line, metric, differences, readings.get(line.group["model"]))


def _by_row(entries: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(variant, one["source"]): one["metric"] for variant, ones in entries.items() for one in ones}


def _band(metric: Mapping[str, Any], name: str, statistic: str) -> ShownEstimate:
    known = metric.get(name, {}).get(statistic)
    if known is None:
        return ShownEstimate(None, refused="Too few draws have this number.")
    return ShownEstimate(known["median"], known["low"], known["high"])


def _beside(bands: Sequence[Band], definitions: Definitions, left_out: str) -> Figure | None:
    others = list(dict.fromkeys(band.reading.other for band in bands if band.reading))
    wanted = VIEWS_OF_READINGS if others else VIEWS
    drawn = [view for metric, statistic in wanted if (view := _view(bands, metric, statistic)) is not None]
    if not drawn:
        return None
    keys = (
        LegendEntry("from sampling", "series_0", symbol=0),
        LegendEntry("from uncertain values", "series_1", symbol=1),
        *(LegendEntry(f"read as {other}, by its prefill alone", "series_3", symbol=0) for other in others),
    )
    return Figure(
        "uncertainty-bands",
        "Chance, and what is not known",
        "Above the interval from sampling, below it the median of the draws and the band with the middle "
        f"90 % of them.{f' {left_out}' if left_out else ''}",
        _said(bands),
        tracks_plot(drawn),
        _beside_table(bands, definitions),
        keys,
        tuple(Choice(view.key, view.title) for view in drawn),
        drawing=tracks_views("uncertainty-bands", drawn),
    )


def left_out(summary: Summary) -> str:
    """The dominant unknown that no band holds: a chip of which the catalogue has two readings."""
    told = [
        f"{entry['model']} ran as {entry['used']}; how {entry['other']} would answer, the catalogue's other "
        "reading of that chip, is in no band: shaded down to it where means are shown, by its prefill alone, "
        "without what requests would then wait less or more"
        for entry in summary["facts"].get("readings", [])
    ]
    return f"{'; '.join(told)}." if told else ""


def _view(bands: Sequence[Band], metric: str, statistic: str) -> TracksView | None:
    """A panel for each row: chance above what is not known."""
    panels = [panel for band in bands if (panel := _panel(band, metric, statistic)) is not None]
    key, title = f"{metric}-{statistic}", f"{METRICS[metric]}, {STATISTICS[statistic]}"
    return TracksView(key, title, panels) if panels else None


def _panel(band: Band, metric: str, statistic: str) -> Panel | None:
    pair = band.pair(metric, statistic)
    value = pair.sampling.value
    read = band.reading.mean_s(band.row, metric) if band.reading and statistic == "mean" else None
    ends = [end for one in pair for end in (one.value, one.high) if end is not None]
    if not ends:
        return None
    ends += [read] if read is not None else []
    scale = duration_scale(max(ends))
    rows = [
        TrackRow(
            name,
            dot(one, scale, f"series_{index}", name=name),
            "\N{EM DASH}" if one.value is None else one.shown(scale).value,
            "" if one.value is None else one.shown(scale).interval,
        )
        for index, (name, one) in enumerate(
            zip(("from sampling", "from uncertain values"), pair, strict=True)
        )
    ]
    if read is not None and value is not None:
        rows.append(_other_reading(band, value, read, scale))
    return Panel(band.row.label, scale.symbol, rows, extent_of(end * scale.factor for end in ends))


def _other_reading(band: Band, value: float, read: float, scale: Scale) -> TrackRow:
    """Shaded from what was simulated to what the other reading makes of it."""
    at, other = value * scale.factor, read * scale.factor
    name = f"read as {band.reading.other}" if band.reading else ""
    marks = [
        Mark("band", min(at, other), max(at, other), "series_3"),
        Mark("dot", other, other, "series_3", sure=False, name=name),
    ]
    return TrackRow(name, marks, number(other), "prefill alone", sure=False)


def _said(bands: Sequence[Band]) -> str:
    found = ((band.row.label, band.pair("felt", "p95").values) for band in bands)
    parts = [f"{label} {duration(e.low)} to {duration(e.high)}" for label, e in found if e.low and e.high]
    return "Bands of user-felt latency, p95: " + ("; ".join(parts) or "none could be given") + "."


def _beside_table(bands: Sequence[Band], definitions: Definitions) -> Html:
    notes = Footnotes("uncertainty")
    columns: list[Node] = [""]
    for name in STATISTICS.values():
        columns += [f"{name.capitalize() if name == 'mean' else name}, sampling", "uncertain values"]
    bodies = []
    for metric, title in METRICS.items():
        lines = [
            row(band.row.label, *(notes.cell(one) for name in STATISTICS for one in band.pair(metric, name)))
            for band in bands
        ]
        bodies.append(body(lines, term(metric, title, definitions), len(columns)))
    caption = "Each number with its interval from sampling, and with its band from uncertain values"
    return table(caption, columns, bodies, after=notes.html())


def _attainment(bands: Sequence[Band], definitions: Definitions) -> Html:
    notes = Footnotes("uncertain-attainment")
    lines = [
        row(
            band.row.label,
            notes.cell(read_estimate(band.row.group.get("attainment")), PERCENT),
            notes.cell(_band(band.metric, "attainment", "share"), PERCENT),
        )
        for band in bands
    ]
    columns: list[Node] = ["", term("attainment", "Attainment", definitions), "uncertain values"]
    return table(
        "Attainment, from sampling and from uncertain values", columns, [body(lines)], after=notes.html()
    )


def _changes(summary: Summary, bands: Sequence[Band]) -> Html | None:
    """Differences of felt latency: both sides of one have the same draw, so what they share cancels."""
    compared = [band for band in bands if band.changes]
    if not compared:
        return None
    paired = _by_row(summary.get("differences", {}))
    notes, columns = Footnotes("uncertain-differences"), [""]
    for name in STATISTICS.values():
        columns += [f"{name}, sampling", "uncertain values"]
    lines = []
    for band in compared:
        known = paired.get((band.row.variant, band.row.source), {}).get("felt", {})
        pairs = [(read_estimate(known.get(name)), _band(band.changes, "felt", name)) for name in STATISTICS]
        lines.append(row(band.row.label, *(notes.cell(one) for pair in pairs for one in pair)))
    caption = "User-felt latency less that of the baseline, paired within each draw"
    return table(caption, columns, [body(lines)], after=notes.html())


def _values(found: Mapping[str, Any]) -> Html | None:
    if not found["values"]:
        return None
    lines = [
        row(
            label_of(one),
            number_cell(as_chosen(one["low"])),
            number_cell(as_chosen(one["high"])),
            one["confidence"],
        )
        for one in found["values"]
    ]
    drawn = table("Values drawn, and their ranges", ["Value", "Low", "High", "Confidence"], [body(lines)])
    return tag("details", tag("summary", "Values drawn, and their ranges"), drawn)
