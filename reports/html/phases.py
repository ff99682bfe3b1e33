"""Where the time goes: the mean latency of each row, cut into its phases in the order in which they pass."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reports.estimate import ShownEstimate
from reports.html.bars import BarSegment, Stack, stacked_bars
from reports.html.figure import Choice, Figure, LegendEntry
from reports.html.markup import Html
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Row
from reports.words import Scale, duration, duration_scale


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
    totals = [max(_total(view[i]) for view in views.values()) for i in range(len(rows))]
    if not any(totals):
        return None
    steady = [i for i, line in enumerate(rows) if line.state != "overloaded" and totals[i]]
    setting_scale = steady or range(len(rows))
    used = [name for name in PHASES if any(_value(p, name) for view in views.values() for p in view)]
    scale = duration_scale(max(totals[i] for i in setting_scale))
    stacks = [_stack(choice, view, used, scale) for choice, view in views.items()]
    return Figure(
        "where-the-time-goes",
        "Mean time per request, phase by phase",
        CAPTION + (CAPTION_FOR_APPS if CALL in views else ""),
        _description(rows, views[FELT]),
        stacked_bars([row.label for row in rows], stacks, f"mean time ({scale.symbol})", setting_scale),
        _tables(rows, views, used, definitions),
        tuple(LegendEntry(PHASES[name].label, PHASES[name].role, PHASES[name].hatched) for name in used),
        tuple(views),
        tuple(used),
    )


def _stack(
    choice: Choice, view: Sequence[Mapping[str, ShownEstimate]], used: Sequence[str], scale: Scale
) -> Stack:
    segments = [
        BarSegment(
            PHASES[name].label,
            PHASES[name].role,
            PHASES[name].hatched,
            [_value(phases, name) * scale.factor for phases in view],
            [duration(_value(phases, name)) for phases in view],
        )
        for name in used
    ]
    return Stack(segments, [duration(_total(phases)) for phases in view], choice.key)


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
