"""The first screen: the question, the sentence that answers it, the verdict, and the figure that shows it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import TypeVar

from reports.answer import Fact, answer, facts
from reports.answer.changes import Change, changes_of, told_statistic
from reports.answer.phrases import capital, short_titles
from reports.answer.refusals import TurnedAway, became, called, turned_away
from reports.answer.routes import routes_of
from reports.causes import CAUSES
from reports.estimate import ShownEstimate
from reports.html.lines import Line, LinePoint, line_chart
from reports.html.markup import Html, Node, join, tag
from reports.html.palette import series_role
from reports.html.phases import PHASES
from reports.html.style import Style, styles
from reports.html.tracks import Extent, Mark, Panel, TrackRow, dot, extent_of, stacked, tracks
from reports.rows import Row, Summary, rows_by_source, rows_of
from reports.words import MINUS, PERCENT, Scale, change, duration_scale, number, plural, with_interval

MOST_PANELS = 4
MOST_RUNGS = 4
MOST_ROWS = 24
"""Of all panels together: more would not fit on a screen."""
SIGNS = {
    "good": "\N{CHECK MARK}",
    "warn": "\N{BLACK UP-POINTING TRIANGLE}",
    "bad": "\N{HEAVY BALLOT X}",
    "open": "?",
}
FAR_OFF = 2.0
"""Times the next one: rows that would flatten the others are cut, visibly."""
LONG = 140
"""Characters, from which on the sentence is set smaller."""

Shown = TypeVar("Shown", Change, Row, TurnedAway)
Draw = Callable[[Summary, Sequence[Row]], Iterable[Html | None]]
"""The figure that decides, and what explains or sizes it beside."""


def first_screen(summary: Summary) -> Html:
    answered, rows = answer(summary), rows_of(summary)
    drawn = [one for one in FIGURES[answered.kind](summary, rows) if one is not None]
    return join(
        tag("p", summary["question"], class_="question") if summary["question"] else None,
        tag("h1", answered.sentence, class_="sentence long" if len(answered.sentence) > LONG else "sentence"),
        tag("ul", map(_fact, facts(summary)), class_="facts", aria_label="Verdict"),
        tag("div", drawn, class_="deciding" if len(drawn) > 1 else "deciding alone") if drawn else None,
    )


def _fact(fact: Fact) -> Html:
    sign = tag("span", SIGNS[fact.sign], class_=f"sign {fact.sign}", aria_hidden="true")
    return tag("li", tag("strong", sign, fact.head), tag("span", fact.detail) if fact.detail else None)


def _block(title: str, below: str, content: Node) -> Html:
    return tag("div", tag("h2", title), tag("p", below, class_="sub"), content)


def _calls(summary: Summary, rows: Sequence[Row]) -> Iterable[Html | None]:
    routes, titles = routes_of(rows), short_titles(summary)
    shown = [line for lines in routes.values() for line in lines]
    changes = [c for c in changes_of(summary, rows) if c.row in shown]
    statistic = told_statistic(changes, shown)
    look = styles(rows)
    named = {line.variant for line in shown}
    one_each = len(routes) == len(named)
    drawn = []
    ends = [lines[-1].statistic("felt", statistic).value for lines in routes.values()]
    scale = duration_scale(min((end for end in ends if end), default=0.0))
    for index, (name, lines) in enumerate(routes.items()):
        points = [LinePoint(line.calls, line.statistic("felt", statistic)) for line in lines]
        points = [point for point in points if point.y.value is not None]
        if points:
            role = look[lines[0].key].role if one_each else series_role(index)
            label = titles[lines[0].variant] if one_each and len(titles) > 1 else name
            drawn.append(Line(label, role, points, _at_scale(points[-1].y, scale)))
    if not drawn:
        return
    ks = sorted({line.calls for line in shown})
    below = f"Felt {statistic}, {scale.symbol} · 95 % intervals as whiskers where they reach beyond the dots"
    chart = line_chart(
        drawn,
        [(k, plural(k, "call") if k == ks[0] else f"{k}") for k in ks],
        scale,
        f"User-felt latency, {statistic}, in {scale.symbol} against the number of calls",
        f"{scale.symbol}, {ks[-1]} calls",
    )
    yield _block("What users wait, by number of calls", below, chart)
    yield _against(changes, rows, titles, look, statistic, lambda row: plural(row.calls, "call"))


def _refusals(summary: Summary, rows: Sequence[Row]) -> Iterable[Html | None]:
    found, titles = turned_away(summary, rows), short_titles(summary)
    told = list(found.values())[:MOST_PANELS]
    causes = list(dict.fromkeys(name for ones in told for one in ones for name in one.causes))
    word = became([one for ones in told for one in ones])
    roles = {name: series_role(index) for index, name in enumerate(causes)}
    ends = [(end or 0.0) * 100 for ones in told for one in ones for end in (one.share.value, one.share.high)]
    extent = extent_of(ends, unit="%")
    panels = [
        Panel(
            called(ones[0].row.source, rows),
            f"{word}, %",
            [_refused_row(one, titles, roles) for one in _few(ones, len(told))],
            extent,
            axis=ones is told[-1],
        )
        for ones in told
    ]
    key = tag(
        "ul",
        [tag("li", _swatch(role), CAUSES[name].title) for name, role in roles.items()],
        class_="legend",
    )
    yield _block(
        f"{capital(word)}, by source" if len(titles) == 1 else f"{capital(word)}, by source and variant",
        "Share of what is asked · coloured by what did it · whisker: 95 % interval",
        join(key, tracks(panels, f"Share of what each source asks that is {word}")),
    )
    yield _ladder(summary) or _like_with_like(summary, rows, titles)


def _refused_row(one: TurnedAway, titles: Mapping[str, str], roles: Mapping[str, str]) -> TrackRow:
    share, total = one.share, sum(one.causes.values())
    whole = share.value or 0.0
    factor = 100 * whole / total if total else 0.0
    marks = list(stacked((part * factor, roles[name], False, "") for name, part in one.causes.items()))
    if share.low is not None and share.high is not None:
        marks.append(Mark("interval", share.low * 100, share.high * 100, "text"))
    if not whole:
        return TrackRow(
            titles[one.row.variant], marks, "0", f"under {_rounded_up((share.high or 0.0) * 100)}"
        )
    shown = share.shown(PERCENT)
    return TrackRow(titles[one.row.variant], marks, shown.value, shown.interval or "no interval")


def _ladder(summary: Summary) -> Html | None:
    """What is asked of each limit, of the first variant that has limits; in closed form."""
    ladders = summary["facts"].get("ladders_by_variant", {})
    known = [(name, ladder) for name, ones in ladders.items() for ladder in ones if ladder["rungs"]]
    if not known:
        return None
    first = known[0][0]
    panels = []
    for ladder in [ladder for name, ladder in known if name == first][:2]:
        rows = [
            TrackRow(
                rung["title"].partition(" (")[0],
                [
                    Mark("bar", 0.0, 100 / rung["times"], "bad" if rung["times"] < 1 else "muted"),
                    Mark("limit", 100.0, 100.0, "text"),
                ],
                f"{100 / rung['times']:,.0f} %",
                rung["detail"].rpartition("first for project ")[2] if "project" in rung["detail"] else "",
                sure=rung["times"] < 1.1,
            )
            for rung in ladder["rungs"][:MOST_RUNGS]
            if rung["times"]
        ]
        most = max(mark.high for row in rows for mark in row.marks)
        panels.append(
            Panel(
                ladder["model"], "asked, of the limit", rows, extent_of([min(most, 250.0), 110.0], unit="%")
            )
        )
    below = "What is asked on average, of what each limit carries (closed form) · line: the limit"
    return _block("Which limit binds", below, tracks(panels, "Asked, of each limit"))


def _waits(summary: Summary, rows: Sequence[Row]) -> Iterable[Html | None]:
    """Each source has a scale of its own: a short call beside a long one would be a speck."""
    titles, look = short_titles(summary), styles(rows)
    changes = changes_of(summary, rows)
    steady = [row for row in rows if row.state != "overloaded"] or rows
    statistic = told_statistic(changes, steady)
    by_source = list(rows_by_source(list(rows)).values())
    told = by_source[:MOST_PANELS] if len(titles) > 1 else [list(rows)[:8]]
    panels = [
        _wait_panel(_few(ones, len(told)), titles, look, statistic, named=len(by_source) > 1) for ones in told
    ]
    below = (
        f"User-felt latency, {statistic}, with its 95 % interval"
        f"{' · each source on a scale of its own' if len(told) > 1 else ''} · hollow: no interval"
    )
    yield _block("What users wait", below, tracks(panels, f"User-felt latency, {statistic}"))
    if len(titles) > 1:
        named = len({change.row.source for change in changes}) > 1
        yield _against(changes, rows, titles, look, statistic, lambda row: row.source if named else "")
    else:
        yield _phases_of(told[0])


def _wait_panel(
    rows: Sequence[Row], titles: Mapping[str, str], look: Mapping[str, Style], statistic: str, *, named: bool
) -> Panel:
    estimates = [row.statistic("felt", statistic) for row in rows]
    values = sorted(e.value for e in estimates if e.value is not None)
    cut = _cut(values)
    ends = [x for e in estimates for x in (e.value, e.high) if x is not None and x <= cut]
    scale = duration_scale(*ends)
    several = len({row.variant for row in rows}) > 1
    shown = [
        TrackRow(
            _name(row, titles) if several else row.label or row.source,
            dot(e, scale, look[row.key].role, sure=row.state != "overloaded"),
            _at_scale(e, scale) if e.value is not None else "\N{EM DASH}",
            "overloaded"
            if row.state == "overloaded"
            else (e.shown(scale).interval if e.value is not None else ""),
            sure=e.has_interval and row.state != "overloaded",
        )
        for row, e in zip(rows, estimates, strict=True)
    ]
    heading = rows[0].source if named and several else ""
    return Panel(
        heading, f"{statistic}, {scale.symbol}", shown, extent_of([end * scale.factor for end in ends])
    )


def _against(
    changes: Sequence[Change],
    rows: Sequence[Row],
    titles: Mapping[str, str],
    look: Mapping[str, Style],
    statistic: str,
    heading: Callable[[Row], str],
) -> Html | None:
    """Differences from the baseline in per cent, a panel for each source."""
    groups: dict[str, list[Change]] = {}
    for change_ in changes:
        groups.setdefault(change_.row.source, []).append(change_)
    told = list(groups.values())[:MOST_PANELS]
    if not told:
        return None
    shown = [_few(ones, len(told)) for ones in told]
    extent = _extent_of_changes([change_ for ones in shown for change_ in ones], statistic)
    panels = []
    for ones in shown:
        base = ones[0].baseline.statistic("felt", statistic)
        scale = duration_scale(base.value or 0.0)
        against = f"{scale.symbol}, against {base.shown(scale).value}" if base.value is not None else ""
        lines = [_change_row(one, titles, look, statistic, scale) for one in ones]
        panels.append(Panel(heading(ones[0].row), against, lines, extent, axis=ones is shown[-1]))
    both = any(change_.both for change_ in changes)
    below = f"{statistic} · hollow and grey: not told from chance" + (
        " · only requests that both completed" if both else ""
    )
    return _block(
        f"Against “{titles[rows[0].variant]}”", below, tracks(panels, "Differences from the baseline")
    )


def _change_row(
    one: Change, titles: Mapping[str, str], look: Mapping[str, Style], statistic: str, scale: Scale
) -> TrackRow:
    relative, difference, sure = one.relative(statistic), one.estimate(statistic), one.sure(statistic)
    if relative.value is None or difference.value is None:
        return TrackRow(_name(one.row, titles), (), "\N{EM DASH}", "too few", sure=False)
    sign = MINUS if difference.value < 0 else "+"
    size = difference if difference.value >= 0 else difference.negated()
    told = f"{sign}{_at_scale(size, scale)}"
    if not difference.has_interval:
        return TrackRow(
            _name(one.row, titles),
            dot(relative, PERCENT, look[one.row.key].role, sure=False),
            f"({told})",
            "no interval",
            sure=False,
        )
    percent = change(relative.value) if sure else "± chance"
    return TrackRow(
        _name(one.row, titles),
        dot(relative, PERCENT, look[one.row.key].role, sure=sure),
        told,
        percent,
        sure=sure,
    )


def _extent_of_changes(changes: Sequence[Change], statistic: str) -> Extent:
    found = [one.relative(statistic) for one in changes]
    cut = _cut(sorted(abs(e.value) for e in found if e.value is not None))
    ends = [x * 100 for e in found for x in (e.value, e.low, e.high) if x is not None and abs(x) <= cut]
    return extent_of(ends, unit="%", room=1.1)


def _cut(sizes: Sequence[float]) -> float:
    """Of sizes in order: above it are at most a third, each FAR_OFF times those below or more."""
    for left_out in range(len(sizes) // 3, 0, -1):
        below, above = sizes[-left_out - 1], sizes[-left_out]
        if above >= FAR_OFF * below:
            return 1.2 * below
    return inf


def _like_with_like(summary: Summary, rows: Sequence[Row], titles: Mapping[str, str]) -> Html | None:
    changes = changes_of(summary, rows)
    return _against(
        changes, rows, titles, styles(rows), told_statistic(changes, rows), lambda row: row.source
    )


def _phases_of(rows: Sequence[Row]) -> Html | None:
    """Where the mean time goes, of a run with nothing to compare with."""
    told = [(row, row.felt_phases()) for row in rows]
    totals = [sum(e.value or 0.0 for e in phases.values()) for _, phases in told]
    if not any(totals):
        return None
    scale = duration_scale(max(totals))
    used = [name for name in PHASES if any(name in p and p[name].value for _, p in told)]
    lines = []
    for (row, phases), total in zip(told, totals, strict=True):
        parts = [(name, (phases[name].value or 0.0) * scale.factor) for name in used if name in phases]
        marks = list(
            stacked(
                (length, PHASES[name].role, PHASES[name].hatched, number(length)) for name, length in parts
            )
        )
        lines.append(TrackRow(row.label or row.source, marks, number(total * scale.factor)))
    key = [tag("li", _swatch(PHASES[n].role, hatched=PHASES[n].hatched), PHASES[n].label) for n in used]
    panel = Panel("", f"mean, {scale.symbol}", lines, extent_of([t * scale.factor for t in totals]))
    return _block(
        "Where the time goes",
        "Mean of completed requests",
        join(tag("ul", key, class_="legend"), tracks([panel])),
    )


def _few(ones: Sequence[Shown], panels: int) -> Sequence[Shown]:
    """As many as fit on a screen; the matrix has all."""
    return ones[: max(MOST_ROWS // (panels + 1), 2)]


def _name(row: Row, titles: Mapping[str, str]) -> str:
    return titles[row.variant]


def _at_scale(estimate: ShownEstimate, scale: Scale) -> str:
    value, low, high = estimate.value or 0.0, estimate.low, estimate.high
    return with_interval(value, low, high, scale).value


def _rounded_up(value: float) -> str:
    digits = 2 if value < 0.1 else 1
    return f"{-(-value * 10**digits // 1) / 10**digits:.{digits}f}"


def _swatch(role: str, *, hatched: bool = False) -> Html:
    kind = "swatch hatched" if hatched else "swatch"
    return tag(
        "span", class_=kind, style=f"background-color: var(--{role.replace('_', '-')})", aria_hidden="true"
    )


def _none(_: Summary, __: Sequence[Row]) -> Iterable[Html | None]:
    return ()


FIGURES: dict[str, Draw] = {
    "nothing": _none,
    "overload": _waits,
    "refusals": _refusals,
    "calls": _calls,
    "waits": _waits,
}
"""By the kind of the answer."""
