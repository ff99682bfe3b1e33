"""The first screen: the question, the sentence that answers it, the verdict, and the figure that shows it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from reports.answer import Fact, answer, facts
from reports.answer.changes import Change, ToldNumber, changes_of, told_of
from reports.answer.phrases import capital
from reports.answer.refusals import TurnedAway, became, called, turned_away
from reports.answer.routes import routes_of
from reports.causes import CAUSES
from reports.estimate import ShownEstimate, read_estimate
from reports.html.calls import calls_chart
from reports.html.forest import by_source, difference_panels
from reports.html.markup import Html, Node, join, tag
from reports.html.palette import css, series_role
from reports.html.phases import PHASES, phase_panels
from reports.html.style import Style, styles
from reports.html.tracks import Mark, Panel, TrackRow, bar, cut_of, dot, extent_of, stacked, tracks
from reports.rows import Row, Summary, rows_by_source, rows_of, short_titles
from reports.words import PERCENT, PLAIN, Scale, bound, count, duration_scale, plural, share, with_interval

MOST_PANELS = 3
MOST_RUNGS = 4
MOST_ROWS = 24
"""Of all panels together: more would not fit on a screen."""
SIGNS = {
    "good": "\N{CHECK MARK}",
    "warn": "\N{BLACK UP-POINTING TRIANGLE}",
    "bad": "\N{HEAVY BALLOT X}",
    "open": "?",
}
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


def deciding_figure(summary: Summary) -> Html | None:
    """The first figure of the screen, which shows what the sentence says."""
    drawn = FIGURES[answer(summary).kind](summary, rows_of(summary))
    return next((one for one in drawn if one is not None), None)


def _fact(fact: Fact) -> Html:
    sign = tag("span", SIGNS[fact.sign], class_=f"sign {fact.sign}", aria_hidden="true")
    return tag("li", tag("strong", sign, fact.head), tag("span", fact.detail) if fact.detail else None)


def _block(title: str, below: str, content: Node) -> Html:
    return tag("div", tag("h2", title), tag("p", below, class_="sub"), content)


def _calls(summary: Summary, rows: Sequence[Row]) -> Iterable[Html | None]:
    routes = routes_of(rows)
    shown = [line for lines in routes.values() for line in lines]
    changes = [c for c in changes_of(summary, rows) if c.row in shown]
    statistic = told_of(summary, changes, shown, "felt")
    below = f"{statistic.title} · 95 % intervals as whiskers where they reach beyond the dots"
    yield _block("What users wait, by number of calls", below, calls_chart(rows, routes, statistic.statistic))
    yield _against(summary, shown, statistic, lambda row: plural(row.calls, "call"))


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
            [_refused_row(one, roles) for one in _few(ones, len(told))],
            extent,
            axis=ones is told[-1],
        )
        for ones in told
    ]
    key = tag(
        "ul",
        [tag("li", tag("span", _swatch(role), CAUSES[name].title)) for name, role in roles.items()],
        class_="legend",
    )
    yield _block(
        f"{capital(word)}, by source" if len(titles) == 1 else f"{capital(word)}, by source and variant",
        "Share of what is asked · coloured by what did it · whisker: 95 % interval",
        join(key, tracks(panels, f"Share of what each source asks that is {word}")),
    )
    told_by = told_of(summary, changes_of(summary, rows), rows)
    yield _ladder(summary) or _against(summary, rows, told_by, lambda row: row.source)


def _refused_row(one: TurnedAway, roles: Mapping[str, str]) -> TrackRow:
    share, total = one.share, sum(one.causes.values())
    whole = share.value or 0.0
    factor = 100 * whole / total if total else 0.0
    marks = list(
        stacked(bar(part * factor, roles[name], CAUSES[name].title) for name, part in one.causes.items())
    )
    if share.low is not None and share.high is not None:
        marks.append(Mark("interval", share.low * 100, share.high * 100, "text"))
    if not whole:
        return TrackRow(one.row.short_title, marks, "0", f"under {bound((share.high or 0.0) * 100)}")
    shown = share.shown(PERCENT)
    return TrackRow(one.row.short_title, marks, shown.value, shown.interval or "no interval")


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
                share(1 / rung["times"]),
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
    statistic = told_of(summary, changes, steady)
    by_source = list(rows_by_source(list(rows)).values())
    told = by_source[:MOST_PANELS] if len(titles) > 1 else [list(rows)[:8]]
    left = len(by_source) - len(told)
    panels = [_wait_panel(_few(ones, len(told)), look, statistic, named=len(by_source) > 1) for ones in told]
    below = (
        f"{statistic.title}, with its 95 % interval"
        f"{' · each source on a scale of its own' if len(told) > 1 else ''} · hollow: no interval"
        f"{f' · {left} more below' if left and len(titles) > 1 else ''}"
    )
    waits = tracks(panels, statistic.title)
    yield _block("What users wait", below, join(waits, _throughput(summary, rows, titles, look)))
    if len(titles) > 1:
        named = len({change.row.source for change in changes}) > 1
        yield _against(summary, rows, statistic, lambda row: row.source if named else "")
    else:
        yield _phases_of(told[0])


def _throughput(
    summary: Summary, rows: Sequence[Row], titles: Mapping[str, str], look: Mapping[str, Style]
) -> Html | None:
    """Throughput against interactivity, where variants run on different hardware."""
    models = summary["facts"].get("models_by_variant", {})
    hardware = {str([one["hardware"] for one in models.get(name, {}).values()]) for name in titles}
    if len(hardware) < 2 or not all(name in models for name in titles):
        return None
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.variant, row)
    panels = []
    for heading, unit, of in (
        ("Interactivity", "tokens/s for each user (1/TPOT)", _interactivity),
        ("Throughput", "tokens/s of all users", lambda row: _tokens_per_s(summary, row)),
    ):
        found = {name: of(row) for name, row in first.items()}
        lines = [
            TrackRow(
                titles[name],
                dot(e, PLAIN, look[first[name].key].role),
                count(e.value) if e.value is not None else "\N{EM DASH}",
                e.shown(PLAIN).interval if e.value is not None else "",
                sure=e.has_interval,
            )
            for name, e in found.items()
        ]
        ends = [end for e in found.values() for end in (e.value, e.high) if end is not None]
        panels.append(Panel(heading, unit, lines, extent_of(ends)))
    return tag("div", tracks(panels, "Throughput against interactivity"), class_="second")


def _interactivity(row: Row) -> ShownEstimate:
    found = row.statistic("tpot", "mean")
    if not found.value:
        return ShownEstimate(None, refused=found.refused or "no second token")
    low, high = (1 / x if x else None for x in (found.high, found.low))
    return ShownEstimate(1 / found.value, low, high, note=found.note)


def _tokens_per_s(summary: Summary, row: Row) -> ShownEstimate:
    return read_estimate(summary["variants"][row.variant]["rates"].get("output_tokens_per_s"))


def _wait_panel(
    rows: Sequence[Row],
    look: Mapping[str, Style],
    statistic: ToldNumber,
    *,
    named: bool,
) -> Panel:
    estimates = [statistic.of(row) for row in rows]
    values = sorted(e.value for e in estimates if e.value is not None)
    cut = cut_of(values)
    ends = [x for e in estimates for x in (e.value, e.high) if x is not None and x <= cut]
    scale = duration_scale(*ends)
    several = len({row.variant for row in rows}) > 1
    shown = [
        TrackRow(
            row.short_title if several else row.label or row.source,
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
        heading,
        f"{statistic.statistic}, {scale.symbol}",
        shown,
        extent_of([end * scale.factor for end in ends]),
    )


def _against(
    summary: Summary, rows: Sequence[Row], told: ToldNumber, heading: Callable[[Row], str]
) -> Html | None:
    """Differences from the baseline, of as many sources and variants as fit on a screen."""
    changes = changes_of(summary, rows)
    groups = list(by_source(changes).items())[:MOST_PANELS]
    if not groups:
        return None
    shown = {source: _few(ones, len(groups)) for source, ones in groups}
    headings = {source: heading(ones[0].row) for source, ones in shown.items()}
    panels = difference_panels(shown, styles(rows), told, headings)
    both = " · only requests that both completed" if any(one.both for one in changes) else ""
    below = f"{told.title} · hollow and grey: not told from chance{both}"
    return _block(f"Against “{rows[0].short_title}”", below, tracks(panels, "Differences from the baseline"))


def _phases_of(rows: Sequence[Row]) -> Html | None:
    """Where the mean time goes, of a run with nothing to compare with."""
    view = [row.felt_phases() for row in rows]
    used = [name for name in PHASES if any(name in phases and phases[name].value for phases in view)]
    if not used:
        return None
    key = [
        tag("li", tag("span", _swatch(PHASES[n].role, hatched=PHASES[n].hatched), PHASES[n].label))
        for n in used
    ]
    drawn = tracks(phase_panels(rows, view), "Mean time by phase")
    legend = tag("ul", key, class_="legend")
    return _block("Where the time goes", "Mean of completed requests", join(legend, drawn))


def _few(ones: Sequence[Shown], panels: int) -> Sequence[Shown]:
    """As many as fit on a screen; the matrix has all."""
    return ones[: max(MOST_ROWS // (panels + 1), 2)]


def _at_scale(estimate: ShownEstimate, scale: Scale) -> str:
    value, low, high = estimate.value or 0.0, estimate.low, estimate.high
    return with_interval(value, low, high, scale).value


def _swatch(role: str, *, hatched: bool = False) -> Html:
    kind = "swatch hatched" if hatched else "swatch"
    return tag("span", class_=kind, style=f"background-color: {css(role)}", aria_hidden="true")


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
