"""What became of the requests that were not served, and who met the objectives."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.causes import CAUSES
from reports.estimate import ShownEstimate, read_estimate
from reports.html.figure import Figure, LegendEntry
from reports.html.markup import Html
from reports.html.palette import series_role
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.html.tracks import (
    Extent,
    Panel,
    TrackRow,
    TracksView,
    bar,
    dot,
    extent_of,
    stacked,
    tracks_views,
)
from reports.html.tracks_plot import tracks_plot
from reports.objectives import stated
from reports.rows import Row, Summary, variant_titles
from reports.variant_records import of_variant
from reports.words import PER_SECOND, PERCENT, count, share

RATES = {
    "offered_per_s": "Offered",
    "carried_per_s": "Carried",
    "rejected_per_s": "Rejected",
    "goodput_per_s": "Goodput",
    "output_tokens_per_s": "Output tokens",
}


def not_served(rows: Sequence[Row]) -> Figure | None:
    """None when every request completed."""
    used = [cause for cause in CAUSES if any(line.outcome(cause) for line in rows)]
    if not used:
        return None
    roles = {cause: series_role(index) for index, cause in enumerate(CAUSES)}
    totals = [share(sum(_share(line, cause) for cause in used)) for line in rows]
    shown = [
        TrackRow(
            line.label,
            list(
                stacked(
                    bar(100 * part, roles[cause], CAUSES[cause].title, share(part))
                    for cause in used
                    if (part := _share(line, cause))
                )
            ),
            total,
        )
        for line, total in zip(rows, totals, strict=True)
    ]
    ends = (mark.high for row in shown for mark in row.marks)
    view = TracksView("", "", [Panel("", "of offered requests", shown, extent_of(ends, unit="%"))])
    return Figure(
        "not-served",
        "Requests not served, by cause",
        "Share of the offered model requests that did not complete. Latencies leave them out.",
        "Stacked bars of the share not served: "
        + "; ".join(f"{line.label} {total}" for line, total in zip(rows, totals, strict=True))
        + ".",
        tracks_plot([view]),
        _cause_table(rows, used),
        tuple(LegendEntry(CAUSES[cause].title, roles[cause]) for cause in used),
        terms=("offered_per_s", "carried_per_s", "rejected_per_s"),
        drawing=tracks_views("not-served", [view]),
    )


def attainment(summary: Summary, rows: Sequence[Row]) -> Figure | None:
    """None without an objective."""
    by_variant = objectives_by_variant(summary)
    if not any(by_variant.values()):
        return None
    limits = set(by_variant.values())
    every = f"every objective ({limits.pop()})" if len(limits) == 1 else "every objective of its variant"
    estimates = [read_estimate(line.group.get("attainment")) for line in rows]
    labels = [line.label for line in rows]
    shown = [
        TrackRow(
            line.label,
            dot(one, PERCENT, "series_0", name="met every objective"),
            "" if one.value is None else one.shown(PERCENT).value,
            "" if one.value is None else one.shown(PERCENT).interval,
        )
        for line, one in zip(rows, estimates, strict=True)
    ]
    view = TracksView("", "", [Panel("", "%", shown, Extent(0.0, 104.0, "%"))])
    notes = Footnotes("attainment")
    lines = [
        row(line.label, notes.cell(estimate, PERCENT)) for line, estimate in zip(rows, estimates, strict=True)
    ]
    columns = ["", "Met every objective"]
    return Figure(
        "attainment",
        "Who met the objectives",
        f"Share of what was asked that met {every}, failed and rejected ones counted as not meeting it.",
        "Attainment: " + "; ".join(map(_read_attainment, labels, estimates)) + ".",
        tracks_plot([view]),
        table("Attainment of the objectives", columns, [body(lines)], after=notes.html()),
        terms=("attainment",),
        drawing=tracks_views("attainment", [view]),
    )


def rates_table(summary: Summary, definitions: Definitions) -> Html:
    notes = Footnotes("rates")
    titles = variant_titles(summary)
    lines = []
    for name, variant in summary["variants"].items():
        rates = {key: read_estimate(variant["rates"].get(key)) for key in (*RATES, "attainment")}
        cells = [notes.cell(rates[key], PER_SECOND) for key in RATES]
        lines.append(row(titles.get(name, name), *cells, notes.cell(rates["attainment"], PERCENT)))
    columns = ["", *(term(key, label, definitions) for key, label in RATES.items())]
    columns.append(term("attainment", "Attainment", definitions))
    return table("Rates per second, with their intervals", columns, [body(lines)], after=notes.html())


def objectives_by_variant(summary: Summary) -> dict[str, str]:
    """Of the variants that ran; empty text where one has no objective."""
    return {name: _objectives(summary["facts"], name) for name in summary["variants"]}


def _objectives(facts: Mapping[str, Any], variant: str) -> str:
    plain = stated(of_variant(facts, "slo", variant) or {})
    tiers = facts.get("slo_tiers_by_variant", {}).get(variant, {})
    each = [f"of tier {name} {stated(slo) or 'none'}" for name, slo in tiers.items()]
    return "; ".join(part for part in (plain, *each) if part)


def _share(line: Row, cause: str) -> float:
    offered = line.outcome("offered")
    return line.outcome(cause) / offered if offered else 0.0


def _cause_table(rows: Sequence[Row], used: Sequence[str]) -> Html:
    lines = [
        row(
            line.label,
            number_cell(count(line.outcome("offered"))),
            number_cell(count(line.outcome("completed"))),
            *(number_cell(count(line.outcome(cause))) for cause in used),
        )
        for line in rows
    ]
    columns = ["Requests", "Offered", "Completed", *(CAUSES[cause].title for cause in used)]
    return table("Model requests by outcome, all replications together", columns, [body(lines)])


def _read_attainment(label: str, estimate: ShownEstimate) -> str:
    return f"{label} {estimate.shown(PERCENT).with_unit()}" if estimate.value is not None else f"{label} none"
