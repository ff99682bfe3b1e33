"""Where the time goes: the mean latency of each row, cut into its phases in the order in which they pass."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reports.estimate import ShownEstimate
from reports.html.figure import Choice, Figure, LegendEntry
from reports.html.markup import Html
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.html.tracks import Panel, TrackRow, TracksView, bar, cut_of, extent_of, stacked, tracks_views
from reports.html.tracks_plot import tracks_plot
from reports.rows import Row
from reports.words import duration, duration_scale, number


class Phase(NamedTuple):
    label: str
    role: str
    hatched: bool = False
    """The user's own leg has the colours of the app's leg, hatched."""


PHASES = {
    "client_wait": Phase("Client wait", "muted"),
    "user_set_up": Phase("Set-up, user to app", "set_up", hatched=True),
    "user_network_out": Phase("Network, user to app", "network_out", hatched=True),
    "app_wait": Phase("Wait for the app", "app_cpu", hatched=True),
    "app_cpu": Phase("App", "app_cpu"),
    "tool": Phase("Tools", "muted"),
    "sandbox": Phase("Sandboxes", "muted", hatched=True),
    "sandbox_network": Phase("Way to sandboxes", "overhead", hatched=True),
    "set_up": Phase("Set-up", "set_up"),
    "network_out": Phase("Network out", "network_out"),
    "admission": Phase("Admission", "admission"),
    "overhead": Phase("Overhead", "overhead"),
    "queue": Phase("Queue", "queue"),
    "prefill": Phase("Prefill", "prefill"),
    "decode": Phase("Decode", "decode"),
    "return": Phase("Return", "return"),
    "user_return": Phase("Return, app to user", "return", hatched=True),
}
"""In the order of the bars, which hold sums over the calls that passed a phase."""

CAPTION = "Mean time of completed requests, in the order in which it passes."
CAPTION_FOR_APPS = (
    " Bars are sums over the calls on the critical path: all that were made in a row, and of those made at "
    "once the one that ended last."
)
FELT = Choice("felt", "Per user request")
CALL = Choice("call", "Per model call")


def where_the_time_goes(rows: Sequence[Row], definitions: Definitions) -> Figure | None:
    """None when nothing completed. Rows that are overloaded do not set the scale, unless all are."""
    views = {FELT: [row.felt_phases() for row in rows]}
    if any(r.has_app for r in rows):
        views[CALL] = [row.phases() for row in rows]
    if not any(_total(p) for view in views.values() for p in view):
        return None
    used = [name for name in PHASES if any(_value(p, name) for view in views.values() for p in view)]
    drawn = [TracksView(c.key, c.label, phase_panels(rows, view)) for c, view in views.items()]
    return Figure(
        "where-the-time-goes",
        "Mean time per request, phase by phase",
        CAPTION + (CAPTION_FOR_APPS if CALL in views else ""),
        _description(rows, views[FELT]),
        tracks_plot(drawn),
        _tables(rows, views, used, definitions),
        tuple(LegendEntry(PHASES[name].label, PHASES[name].role, PHASES[name].hatched) for name in used),
        tuple(views),
        tuple(used),
        tracks_views("where-the-time-goes", drawn),
    )


def phase_panels(rows: Sequence[Row], view: Sequence[Mapping[str, ShownEstimate]]) -> list[Panel]:
    """A panel for each source, on a scale of its own: one call beside twenty would be a speck.

    Rows that are overloaded do not set it, unless all are, and run off it.
    """
    named = len({line.variant for line in rows}) > 1
    groups: dict[str, list[tuple[Row, Mapping[str, ShownEstimate]]]] = {}
    for line, phases in zip(rows, view, strict=True):
        groups.setdefault(line.source if named else "", []).append((line, phases))
    several = len(groups) > 1
    return [_panel(source if several else "", ones) for source, ones in groups.items()]


def _panel(heading: str, ones: Sequence[tuple[Row, Mapping[str, ShownEstimate]]]) -> Panel:
    totals = [_total(phases) for line, phases in ones if line.state != "overloaded"]
    cut = cut_of(sorted(totals) or [_total(phases) for _, phases in ones])
    kept = [total for total in totals or [_total(phases) for _, phases in ones] if total <= cut]
    scale = duration_scale(min((total for total in kept if total), default=0.0))
    rows = []
    for line, phases in ones:
        parts = (
            bar(
                value * scale.factor,
                PHASES[n].role,
                PHASES[n].label,
                duration(value),
                hatched=PHASES[n].hatched,
            )
            for n in PHASES
            if (value := _value(phases, n))
        )
        label = line.short_title if heading else line.label or line.source
        rows.append(TrackRow(label, list(stacked(parts)), number(_total(phases) * scale.factor)))
    return Panel(heading, f"mean, {scale.symbol}", rows, extent_of(total * scale.factor for total in kept))


def _tables(
    rows: Sequence[Row],
    views: Mapping[Choice, Sequence[Mapping[str, ShownEstimate]]],
    used: Sequence[str],
    definitions: Definitions,
) -> Html:
    notes = Footnotes("phases")
    columns = ["", *(term(name, PHASES[name].label, definitions) for name in used), "Total"]
    bodies = []
    for choice, view in views.items():
        lines = []
        for line, phases in zip(rows, view, strict=True):
            cells = [notes.cell(phases[name]) if name in phases else number_cell("") for name in used]
            lines.append(row(line.label, *cells, number_cell(duration(_total(phases)))))
        bodies.append(body(lines, choice.label if len(views) > 1 else None, len(columns)))
    return table("Mean time in each phase, with its interval", columns, bodies, after=notes.html())


def _description(rows: Sequence[Row], view: Sequence[Mapping[str, ShownEstimate]]) -> str:
    parts = []
    for line, phases in zip(rows, view, strict=True):
        largest = max(PHASES, key=lambda name: _value(phases, name))
        share = f", most of it {PHASES[largest].label.lower()}" if _total(phases) else ""
        parts.append(f"{line.label} {duration(_total(phases))}{share}")
    return "Stacked bars of the mean time per request. " + "; ".join(parts) + "."


def _value(phases: Mapping[str, ShownEstimate], name: str) -> float:
    return (phases[name].value or 0.0) if name in phases else 0.0


def _total(phases: Mapping[str, ShownEstimate]) -> float:
    return sum(_value(phases, name) for name in PHASES)
