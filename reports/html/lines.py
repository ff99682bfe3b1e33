"""Lines with a label at the end of each. Strokes are a stretched SVG; points and every text are HTML."""

from collections.abc import Sequence
from typing import NamedTuple

from reports.estimate import ShownEstimate
from reports.html.markup import Html, Node, coordinate, join, tag
from reports.html.palette import css
from reports.html.tracks import WANTED_TICKS, Extent, extent_of
from reports.words import Scale, as_chosen

LABEL_HEIGHT = 6.0
"""Per cent of the height: labels closer than this move apart."""


class LinePoint(NamedTuple):
    x: float
    y: ShownEstimate


class Line(NamedTuple):
    name: str
    role: str
    points: Sequence[LinePoint]
    """By x; each has a value."""
    value: str
    """At its end, behind its name."""


def line_chart(
    lines: Sequence[Line], xs: Sequence[tuple[float, str]], scale: Scale, name: str, head: str
) -> Html:
    """`xs` are the places of the axis with their texts; `head` stands over the values."""
    across = Extent(0.0, max(x for x, _ in xs) * 1.03)
    ends = [
        end * scale.factor
        for line in lines
        for point in line.points
        for end in (point.y.value, point.y.high)
        if end is not None
    ]
    up = extent_of(ends)
    inside = tag(
        "div", _grid(up), _strokes(lines, across, up, scale), _points(lines, across, up, scale), class_="area"
    )
    below = [
        tag("span", text, class_="x", style=f"left: {coordinate(across.per_cent(x))}%") for x, text in xs
    ]
    area = tag("div", inside, tag("div", below, class_="below", aria_hidden="true"), class_="lines-area")
    names = _labels(lines, up, scale, head)
    return tag("div", area, names, class_="lines", role="group", aria_label=name)


def _grid(up: Extent) -> list[Html]:
    return [
        tag(
            "i",
            tag("span", as_chosen(tick)),
            class_="level",
            style=f"bottom: {coordinate(up.per_cent(tick))}%",
        )
        for tick in up.ticks(WANTED_TICKS)
    ]


def _strokes(lines: Sequence[Line], across: Extent, up: Extent, scale: Scale) -> Html:
    paths = [tag("path", d=_path(line, across, up, scale), stroke=css(line.role)) for line in lines]
    return tag("svg", paths, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")


def _path(line: Line, across: Extent, up: Extent, scale: Scale) -> str:
    places = ((across.per_cent(point.x), 100 - _up(point, up, scale)) for point in line.points)
    return f"M{'L'.join(' '.join(map(coordinate, place)) for place in places)}"


def _up(point: LinePoint, up: Extent, scale: Scale) -> float:
    return up.per_cent((point.y.value or 0.0) * scale.factor)


def _points(lines: Sequence[Line], across: Extent, up: Extent, scale: Scale) -> list[Node]:
    return [_point(line, point, across, up, scale) for line in lines for point in line.points]


def _point(line: Line, point: LinePoint, across: Extent, up: Extent, scale: Scale) -> Node:
    colour = f"--mark: {css(line.role)}"
    left = f"left: {coordinate(across.per_cent(point.x))}%"
    at = _up(point, up, scale)
    whisker = None
    if point.y.low is not None and point.y.high is not None:
        low, high = (up.per_cent(end * scale.factor) for end in (point.y.low, point.y.high))
        whisker = tag(
            "i",
            class_="whisker",
            style=f"{left}; bottom: {coordinate(low)}%; height: {coordinate(high - low)}%; {colour}",
        )
    told = f"{line.name}: {point.y.with_error()}"
    kind = "point" if point.y.has_interval else "point unsure"
    return join(
        whisker, tag("i", class_=kind, style=f"{left}; bottom: {coordinate(at)}%; {colour}", title=told)
    )


def _labels(lines: Sequence[Line], up: Extent, scale: Scale, head: str) -> Html:
    """In the order of the ends of their lines, moved apart where they would touch."""
    ordered = sorted(lines, key=lambda line: line.points[-1].y.value or 0.0)
    wanted = [_up(line.points[-1], up, scale) for line in ordered]
    shown = [
        tag(
            "li",
            tag("span", line.name, class_="name"),
            tag("b", line.value),
            style=f"bottom: {coordinate(at)}%; --mark: {css(line.role)}",
        )
        for line, at in zip(ordered, _apart(wanted), strict=True)
    ]
    return tag("ul", tag("li", head, class_="head"), reversed(shown), class_="line-names")


def _apart(wanted: Sequence[float]) -> list[float]:
    """The nearest places, from below, that leave each its height."""
    found: list[float] = []
    for place in wanted:
        found.append(max(place, found[-1] + LABEL_HEIGHT if found else place))
    top = 100.0
    for index in reversed(range(len(found))):
        found[index] = min(found[index], top)
        top = found[index] - LABEL_HEIGHT
    return found
