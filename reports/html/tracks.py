"""Rows with labels: `label | track | value`. Bars, dots with intervals, arrows and limits are marks on it.

Plain HTML with marks placed in per cent: real text, no script, nothing that moves while a page loads.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, floor, inf, log10
from typing import Literal, NamedTuple

from reports.estimate import ShownEstimate
from reports.html.markup import Html, Node, coordinate, tag
from reports.html.palette import css
from reports.html.views import View, views
from reports.words import Scale, amount

Kind = Literal["bar", "interval", "band", "dot", "limit"]
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
FAR_OFF = 2.0
"""Times the next one: rows that would flatten the others are cut, visibly."""
WANTED_TICKS = 4
LONG_TICKS = 1000
"""From there on texts are so long that half as many fit."""
LEGIBLE = 2.6
"""Per cent of the track that a character takes: a narrower piece of a bar carries no number."""


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
    """Within a bar."""
    name: str = ""
    """What it is, as in the legend."""


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

    def ticks(self, wanted: float = 0) -> list[float]:
        """About so many; by default as many as fit side by side."""
        wanted = wanted or (WANTED_TICKS if self.high < LONG_TICKS else WANTED_TICKS / 2)
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


class TracksView(NamedTuple):
    """One of several ways to look at the same rows."""

    key: str
    title: str
    panels: Sequence[Panel]


def extent_of(values: Iterable[float], *, unit: str = "", least: float = 0.0, room: float = 1.06) -> Extent:
    """From zero or below to a little more than the largest; never empty."""
    known = list(values)
    low, high = min([least, *known]), max([0.0, *known])
    if high <= low:
        high = low + 1.0
    return Extent(low * room, high * room, unit)


def cut_of(sizes: Sequence[float]) -> float:
    """Of sizes in order: above it are at most a third, each FAR_OFF times those below or more."""
    for left_out in range(len(sizes) // 3, 0, -1):
        below, above = sizes[-left_out - 1], sizes[-left_out]
        if above >= FAR_OFF * below:
            return 1.2 * below
    return inf


def tracks(panels: Iterable[Panel], name: str = "") -> Html:
    """`name` is read out before them."""
    return tag("div", [_panel(one) for one in panels], class_="tracks", role="group", aria_label=name or None)


def tracks_views(identity: str, shown: Sequence[TracksView]) -> Html:
    """A tab for each, where there are several. `identity` is unique on the page."""
    return views(identity, "View", [View(one.key, one.title, tracks(one.panels, one.title)) for one in shown])


def dot(estimate: ShownEstimate, scale: Scale, role: str, *, sure: bool = True, name: str = "") -> list[Mark]:
    """Its interval, where it has one, under its dot; nothing for a refused one."""
    if estimate.value is None:
        return []
    value, marks = estimate.value * scale.factor, []
    if estimate.low is not None and estimate.high is not None:
        low, high = estimate.low * scale.factor, estimate.high * scale.factor
        marks.append(Mark("interval", low, high, role, sure=sure))
    return [*marks, Mark("dot", value, value, role, sure=sure and estimate.has_interval, name=name)]


def stacked(parts: Iterable[Mark]) -> Iterator[Mark]:
    """Bars one after the other, each as long as its `high`; none where that is nothing."""
    at = 0.0
    for part in parts:
        if part.high > 0:
            yield part._replace(low=at, high=at + part.high)
            at += part.high


def bar(length: float, role: str, name: str, text: str = "", *, hatched: bool = False) -> Mark:
    return Mark("bar", 0.0, length, role, hatched=hatched, text=text, name=name)


def _panel(panel: Panel) -> Html:
    head = tag("div", tag("span", panel.heading), tag("small", panel.unit), class_="tracks-head")
    ticks = panel.extent.ticks()
    lines = [
        tag("i", class_=None if tick else "zero", style=_left(panel.extent.per_cent(tick))) for tick in ticks
    ]
    grid = tag("div", lines, class_="tracks-grid", aria_hidden="true")
    shown = [_row(row, panel.extent) for row in panel.rows]
    zero = f"--zero:{coordinate(panel.extent.per_cent(0.0))}%"
    rows = tag("div", grid, shown, class_="tracks-rows", style=zero)
    named = panel.heading or panel.unit
    return tag("div", head if named else None, rows, _axis(panel.extent, ticks) if panel.axis else None)


def _row(row: TrackRow, extent: Extent) -> Html:
    value = tag("span", tag("b", row.value), tag("small", row.beside) if row.beside else None, class_="value")
    track = tag("span", [_mark(mark, extent) for mark in row.marks], class_="track", aria_hidden="true")
    kind = "track-row" if row.sure else "track-row unsure"
    return tag("div", tag("span", row.label, class_="label"), track, value, class_=kind)


def _axis(extent: Extent, ticks: Sequence[float]) -> Html:
    shown = [
        tag("span", _tick(tick, extent.unit if tick == ticks[-1] else ""), style=_left(extent.per_cent(tick)))
        for tick in ticks
    ]
    return tag("div", tag("span", shown, class_="track"), class_="track-row axis", aria_hidden="true")


def _tick(value: float, unit: str) -> str:
    return f"{amount(value)} {unit}".rstrip()


def _mark(mark: Mark, extent: Extent) -> Node:
    low, high = extent.per_cent(mark.low), extent.per_cent(mark.high)
    colour = f"--mark:{css(mark.role)}"
    unsure = "" if mark.sure else " unsure"
    if mark.kind == "bar":
        return _bar(mark, low, min(high, 100.0), colour, cut=high > 100.0)
    if mark.kind in {"interval", "band"}:
        low, high = max(low, 0.0), min(high, 100.0)
        return tag("i", class_=f"{mark.kind}{unsure}", style=f"{_left(low)};{_width(high - low)};{colour}")
    if not 0.0 <= low <= 100.0:
        side = "more" if low > 100.0 else "less"
        return tag("i", class_=f"beyond {side}{unsure}", style=colour)
    return tag("i", class_=f"{mark.kind}{unsure}", style=f"{_left(low)};{colour}")


def _bar(mark: Mark, low: float, high: float, colour: str, *, cut: bool) -> Node:
    if low >= 100.0:
        return None
    inside = mark.text if high - low >= LEGIBLE * len(mark.text) else ""
    ink = f"color:{css(f'on_{mark.role}')}" if inside else ""
    style = ";".join(part for part in (_left(low), _width(high - low), colour, ink) if part)
    kind = f"bar{' hatched' if mark.hatched else ''}{' cut' if cut else ''}"
    return tag(
        "i",
        inside,
        class_=kind,
        style=style,
        title=f"{mark.name}: {mark.text}" if mark.text else mark.name or None,
    )


def _left(per_cent: float) -> str:
    return f"left:{coordinate(per_cent)}%"


def _width(per_cent: float) -> str:
    return f"width:{coordinate(per_cent)}%"


def _round_step(step: float) -> float:
    power = 10.0 ** floor(log10(step))
    return power * next(one for one in STEPS if one * power >= step * 0.999)
