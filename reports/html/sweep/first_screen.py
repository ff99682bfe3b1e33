"""The first screen of a sweep: its question, the sentence that answers it, and latency against the rate."""

from collections.abc import Iterator, Sequence

from reports.estimate import ShownEstimate
from reports.html.lines import Line, LinePoint, line_chart
from reports.html.markup import Html, join, tag
from reports.html.palette import series_role
from reports.html.sweep.curves import deployments, knee_of, load_field
from reports.html.sweep.series import Point, Series
from reports.html.tracks import Mark, Panel, TrackRow, extent_of, tracks
from reports.sweep.answer import lead
from reports.sweep.view import SweepView, text_of
from reports.words import as_chosen, duration_scale, number

MOST_LINES = 8
FLAT = 5.0
"""Times the median: points above would flatten the rest, and are left to the curves below."""


def first_screen(view: SweepView) -> Html:
    sentence, others = lead(view.rows, view.about, view.name)
    drawn = list(_figures(view))
    return join(
        tag("p", view.about["question"], class_="question") if view.about["question"] else None,
        tag("h1", sentence, class_="sentence long"),
        tag("ul", [tag("li", tag("strong", one)) for one in others], class_="facts") if others else None,
        tag("div", drawn, class_="deciding" if len(drawn) > 1 else "deciding alone") if drawn else None,
    )


def _figures(view: SweepView) -> Iterator[Html]:
    latency, field, series = view.latency(), load_field(view), deployments(view)
    if latency is None or field is None or not series:
        return
    shown = series[:MOST_LINES]
    values = sorted(point.y for one in shown for point in one.points)
    most = FLAT * values[len(values) // 2]
    factor = latency.scale.factor
    scale = duration_scale(max(value for value in values if value <= most) / factor)
    lines = []
    for index, one in enumerate(shown):
        points = [
            LinePoint(float(point.row[field]), _estimate(point, latency.column))
            for point in one.points
            if point.y <= most
        ]
        if points:
            end = points[-1].y.value or 0.0
            lines.append(Line(one.label, series_role(index), points, number(end * scale.factor)))
    rates = sorted({point.x for line in lines for point in line.points})
    title = f"{latency.title} against {view.title(field)}"
    chart = line_chart(
        lines,
        [(rate, as_chosen(rate)) for rate in _spaced(rates)],
        scale,
        title,
        f"{scale.symbol}, at its end",
    )
    cut = (
        " · lines end before they leave the scale" if len(values) > sum(len(x.points) for x in lines) else ""
    )
    below = f"{scale.symbol}, 95 % intervals as whiskers · hollow: no interval{cut}"
    yield tag("div", tag("h2", title), tag("p", below, class_="sub"), chart)
    yield _carried(shown, field)


def _carried(series: Sequence[Series], field: str) -> Html:
    """How far each deployment keeps up, with its knee."""
    rows = []
    for index, one in enumerate(series):
        stable = [point for point in one.points if point.row["verdict"] == "stable"]
        most = max((point.x for point in stable), default=0.0)
        knee = knee_of(one)
        marks = [Mark("bar", 0.0, most, series_role(index))]
        if knee is not None:
            marks.append(Mark("limit", knee.x, knee.x, "text"))
        told = f"knee {text_of(knee.row[field])}" if knee else "no knee"
        rows.append(TrackRow(one.label, marks, number(most) if stable else "none", told, sure=bool(stable)))
    panel = Panel("", "requests/s", rows, extent_of(mark.high for row in rows for mark in row.marks))
    below = "Carried while it keeps up · line: the knee, where throughput over latency is greatest"
    content = tracks([panel], "The most that each deployment carries while it keeps up")
    return tag("div", tag("h2", "What each carries"), tag("p", below, class_="sub"), content)


def _estimate(point: Point, column: str) -> ShownEstimate:
    row = point.row
    return ShownEstimate(row[column], row.get(f"{column}_low"), row.get(f"{column}_high"))


def _spaced(rates: Sequence[float]) -> list[float]:
    """Those whose texts would not touch."""
    found: list[float] = []
    for rate in reversed(rates):
        if not found or found[-1] - rate >= rates[-1] * 0.06:
            found.append(rate)
    return found[::-1]
