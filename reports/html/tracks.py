"""Rows with labels: `label | track | value`. Bars, dots with intervals, arrows and limits are marks on it.

Plain HTML with marks placed in per cent: real text, no script, nothing that moves while a page loads.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, floor, log10
from typing import Literal, NamedTuple

from reports.estimate import ShownEstimate
from reports.html.markup import Html, Node, join, tag
from reports.words import Scale, number

Kind = Literal["bar", "interval", "dot", "limit"]
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
WANTED_TICKS = 4
LONG_TICKS = 1000
"""From there on texts are so long that half as many fit."""
LEGIBLE = 9.0
"""Per cent of the track: a narrower piece of a bar carries no number."""


class Mark(NamedTuple):
    """From `low` to `high`, in units of the scale; a dot and a limit stand at `low`."""

    kind: Kind
    low: float
    high: float
    role: str = "muted"
    sure: bool = True
    """False is drawn hollow and dotted: not told from chance, or without an interval."""
    hatched: bool = False
    text: str = ""
    """Within a bar, and read out."""


class TrackRow(NamedTuple):
    label: str
    marks: Sequence[Mark]
    value: str
    beside: str = ""
    """Its interval, or another number in grey."""
    sure: bool = True


class Extent(NamedTuple):
    """What a track shows. Marks beyond it are cut, visibly."""

    low: float
    high: float
    unit: str = ""

    def per_cent(self, value: float) -> float:
        return 100 * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        wanted = WANTED_TICKS if self.high < LONG_TICKS else WANTED_TICKS / 2
        step = _round_step((self.high - self.low) / wanted)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [step * i for i in range(first, last + 1)]


class Panel(NamedTuple):
    """Rows on one scale, under a heading."""

    heading: str
    unit: str
    """Over the values."""
    rows: Sequence[TrackRow]
    extent: Extent
    axis: bool = True


def extent_of(values: Iterable[float], *, unit: str = "", least: float = 0.0, room: float = 1.06) -> Extent:
    """From zero or below to a little more than the largest; never empty."""
    known = list(values)
    low, high = min([least, *known]), max([0.0, *known])
    if high <= low:
        high = low + 1.0
    return Extent(low * room, high * room, unit)


def tracks(panels: Iterable[Panel], name: str = "") -> Html:
    """`name` is read out before them."""
    return tag("div", [_panel(one) for one in panels], class_="tracks", role="group", aria_label=name or None)


def dot(estimate: ShownEstimate, scale: Scale, role: str, *, sure: bool = True) -> list[Mark]:
    """Its interval, where it has one, under its dot; nothing for a refused one."""
    if estimate.value is None:
        return []
    value, marks = estimate.value * scale.factor, []
    if estimate.low is not None and estimate.high is not None:
        low, high = estimate.low * scale.factor, estimate.high * scale.factor
        marks.append(Mark("interval", low, high, role, sure=sure))
    return [*marks, Mark("dot", value, value, role, sure=sure and estimate.has_interval)]


def stacked(parts: Iterable[tuple[float, str, bool, str]]) -> Iterator[Mark]:
    """Bars one after the other from (length, role, hatched, text)."""
    at = 0.0
    for length, role, hatched, text in parts:
        if length > 0:
            yield Mark("bar", at, at + length, role, hatched=hatched, text=text)
            at += length


def _panel(panel: Panel) -> Html:
    head = tag("div", tag("span", panel.heading), tag("small", panel.unit), class_="tracks-head")
    ticks = panel.extent.ticks()
    grid = [_at("grid" if tick else "zero", panel.extent.per_cent(tick)) for tick in ticks]
    rows = [_row(row, panel.extent, grid) for row in panel.rows]
    named = panel.heading or panel.unit
    return join(head if named else None, rows, _axis(panel.extent, ticks) if panel.axis else None)


def _row(row: TrackRow, extent: Extent, grid: Sequence[Html]) -> Html:
    value = tag("span", tag("b", row.value), tag("small", row.beside) if row.beside else None, class_="value")
    track = tag("span", grid, [_mark(mark, extent) for mark in row.marks], class_="track", aria_hidden="true")
    kind = "track-row" if row.sure else "track-row unsure"
    return tag("div", tag("span", row.label, class_="label"), track, value, class_=kind)


def _axis(extent: Extent, ticks: Sequence[float]) -> Html:
    shown = [
        tag("span", _tick(tick, extent.unit if tick == ticks[-1] else ""), style=_left(extent.per_cent(tick)))
        for tick in ticks
    ]
    return tag("div", tag("span", shown, class_="track"), class_="track-row axis", aria_hidden="true")


def _tick(value: float, unit: str) -> str:
    return f"{number(value) if value % 1 else f'{value:,.0f}'}{f' {unit}' if unit else ''}".replace("-", "−")  # noqa: RUF001 -- a minus sign


def _mark(mark: Mark, extent: Extent) -> Node:
    low, high = extent.per_cent(mark.low), extent.per_cent(mark.high)
    colour = f"--mark: var(--{mark.role.replace('_', '-')})"
    unsure = "" if mark.sure else " unsure"
    if mark.kind == "bar":
        return _bar(mark, low, min(high, 100.0), colour, cut=high > 100.0)
    if mark.kind == "interval":
        low, high = max(low, 0.0), min(high, 100.0)
        return tag("i", class_=f"interval{unsure}", style=f"{_left(low)}; {_width(high - low)}; {colour}")
    if not 0.0 <= low <= 100.0:
        side = "more" if low > 100.0 else "less"
        return tag("i", class_=f"beyond {side}{unsure}", style=colour)
    return tag("i", class_=f"{mark.kind}{unsure}", style=f"{_left(low)}; {colour}")


def _bar(mark: Mark, low: float, high: float, colour: str, *, cut: bool) -> Node:
    if low >= 100.0:
        return None
    inside = mark.text if high - low >= LEGIBLE else ""
    ink = f"color: var(--on-{mark.role.replace('_', '-')})" if inside else ""
    style = "; ".join(part for part in (_left(low), _width(high - low), colour, ink) if part)
    kind = f"bar{' hatched' if mark.hatched else ''}{' cut' if cut else ''}"
    return tag("i", inside, class_=kind, style=style, title=mark.text or None)


def _at(kind: str, per_cent: float) -> Html:
    return tag("i", class_=kind, style=_left(per_cent))


def _left(per_cent: float) -> str:
    return f"left: {per_cent:.2f}%"


def _width(per_cent: float) -> str:
    return f"width: {per_cent:.2f}%"


def _round_step(step: float) -> float:
    power = 10.0 ** floor(log10(step))
    return power * next(one for one in STEPS if one * power >= step * 0.999)
