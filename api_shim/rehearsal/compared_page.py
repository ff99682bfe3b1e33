"""The comparison of places as a page of its own: no script, nothing fetched."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from api_shim.rehearsal.compared import GROUP_OF, GROUPS, comparison, failures, shown_visit
from api_shim.rehearsal.measured import Bar, MeasuredPlace, MeasuredVisit
from reports.html.markup import Html, join, tag
from reports.html.palette import css_variables
from reports.html.tables import body, number_cell, row, table
from reports.text import milliseconds

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MOST_ROWS = 40
"""Of calls in one waterfall."""
TICKS = 4
NONE = "\N{EM DASH}"


def render_places(title: str, about: Sequence[str], places: Sequence[MeasuredPlace]) -> str:
    found = comparison(places)
    header = tag(
        "header",
        tag("p", "e80sim edge compare", class_="origin"),
        tag("h1", title),
        tag("p", "What does the same code feel like in each place?", class_="question"),
    )
    main = tag(
        "main",
        tag("section", _answer(found["places"]), id="answer"),
        tag("section", tag("h2", "The numbers"), _numbers(found["places"]), _remarks(places)),
        tag("section", tag("h2", "One request, place by place"), _waterfalls(places)),
        tag("section", tag("h2", "Where the time goes"), _where(found["places"])),
        tag("section", tag("h2", "How this was made"), [tag("p", sentence) for sentence in about]),
        id="content",
    )
    return _document(title, join(header, main))


def _answer(rows: Sequence[Mapping[str, Any]]) -> Html:
    first, *others = rows
    if first["felt_p50_ms"] is None:
        return tag("p", f"Nothing was answered at {first['place']}.", class_="lead")
    calls = f"{first['model_calls_mean']:.3g}"
    half = f"half of the requests were answered within {_ms(first['felt_p50_ms'])}"
    lead = f"At {first['place']} {half}, with {calls} model calls each."
    return join(
        tag("p", lead, class_="lead"), tag("ul", [tag("li", _against(first, other)) for other in others])
    )


def _against(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    more = other["more_than_first_p50_ms"]
    if more is None:
        return f"{other['place']}: nothing was answered."
    moved = max(
        GROUPS,
        key=lambda group: abs((other["where_ms"][group.name] or 0) - (first["where_ms"][group.name] or 0)),
    )
    change = (other["where_ms"][moved.name] or 0) - (first["where_ms"][moved.name] or 0)
    how = "later" if more >= 0 else "earlier"
    return (
        f"{other['place']}: {_ms(abs(more))} {how}, request by request; "
        f"most of the change is {moved.title}, {'+' if change >= 0 else '-'}{_ms(abs(change))} on the mean."
    )


def _numbers(rows: Sequence[Mapping[str, Any]]) -> Html:
    titles = ["Place", "p50", "p95", "First byte, p50", "Model calls", "New connections", "Failed"]
    lines = [
        row(
            join(each["place"], tag("small", f" {each['label']}")),
            number_cell(_ms(each["felt_p50_ms"])),
            number_cell(_ms(each["felt_p95_ms"])),
            number_cell(_ms(each["first_byte_p50_ms"])),
            number_cell(NONE if each["model_calls_mean"] is None else f"{each['model_calls_mean']:.3g}"),
            number_cell(f"{each['connections_mean']:.2g}"),
            number_cell(f"{each['requests'] - each['answered']} of {each['requests']}"),
        )
        for each in rows
    ]
    return table("What a user felt, simulated: until the last byte of the answer", titles, [body(lines)])


def _where(rows: Sequence[Mapping[str, Any]]) -> Html:
    lines = [
        row(each["place"], *(number_cell(_ms(each["where_ms"][group.name])) for group in GROUPS))
        for each in rows
    ]
    meanings = tag("ul", [tag("li", tag("strong", f"{group.title}: "), group.meaning) for group in GROUPS])
    columns = ["Place", *(group.title.capitalize() for group in GROUPS)]
    return join(
        table("Mean of a request; a row adds up to its mean felt latency", columns, [body(lines)]), meanings
    )


def _remarks(places: Sequence[MeasuredPlace]) -> Html:
    items = [
        tag("li", f"{place.place}: {count} failed: {problem}")
        for place in places
        for problem, count in failures(place).items()
    ]
    items += [
        tag("li", f"{place.place}: the platform refused {count} calls of the app with {status}")
        for place in places
        for status, count in sorted(place.refused_calls.items())
    ]
    items += [tag("li", warning) for warning in dict.fromkeys(w for place in places for w in place.warnings)]
    return tag("ul", items) if items else join()


# Waterfalls


def _waterfalls(places: Sequence[MeasuredPlace]) -> Html:
    number = shown_visit(places)
    if number is None:
        return tag("p", "No request was answered in every place, so there is none to show.")
    visits = {place.place: next(v for v in place.visits if v.number == number) for place in places}
    longest_ms = max(visit.felt_ms for visit in visits.values())
    told = (
        f"Request {number + 1}, of median length at {places[0].place}, on one scale. The first bar of each "
        "place is the whole request by its critical path; below it stand the app's calls."
    )
    return join(
        tag("p", told),
        _legend(),
        [_waterfall(name, visit, longest_ms) for name, visit in visits.items()],
    )


def _legend() -> Html:
    items = [
        tag(
            "li",
            tag(
                "span",
                tag("span", class_="swatch", style=f"background: var(--{_css(group.role)})"),
                group.title,
            ),
        )
        for group in GROUPS
    ]
    return tag("ul", items, class_="key")


def _waterfall(name: str, visit: MeasuredVisit, longest_ms: float) -> Html:
    rows = [_row("whole request", visit.bars, visit.felt_ms, longest_ms)]
    shown = [call for call in visit.calls if call.bars][:MOST_ROWS]
    for call in shown:
        took_ms = call.bars[-1][2] - call.bars[0][1]
        told = f"{call.what}{' (new connection)' if call.cold else ''}"
        rows.append(
            _row(told if call.status < 400 else f"{told}: {call.status}", call.bars, took_ms, longest_ms)
        )
    left = len(visit.calls) - len(shown)
    more = tag("p", f"{left} more calls are not shown.", class_="basis") if left > 0 else None
    caption = tag("figcaption", f"{name}: {_ms(visit.felt_ms)}")
    return tag(
        "figure", caption, tag("ol", rows, class_="waterfall"), _axis(longest_ms), more, _spans(name, visit)
    )


def _row(told: str, bars: Sequence[Bar], took_ms: float, longest_ms: float) -> Html:
    segments = [_segment(bar, longest_ms) for bar in bars]
    label = tag("span", told, " ", tag("small", _ms(took_ms)), class_="what")
    return tag("li", label, tag("span", segments, class_="track", aria_hidden="true"))


def _segment(bar: Bar, longest_ms: float) -> Html:
    part, began_ms, ended_ms = bar
    group = GROUP_OF[part]
    left, width = (100 * each / longest_ms for each in (began_ms, ended_ms - began_ms))
    style = f"left: {left:.3f}%; width: {width:.3f}%; background: var(--{_css(group.role)})"
    return tag("span", style=style, title=f"{group.title}: {_ms(ended_ms - began_ms)}")


def _axis(longest_ms: float) -> Html:
    marks = [tag("span", _ms(longest_ms * step / TICKS)) for step in range(TICKS + 1)]
    return tag("div", marks, class_="axis", aria_hidden="true")


def _spans(name: str, visit: MeasuredVisit) -> Html:
    """The same as a table, for whoever does not see bars."""
    lines = [_span("whole request", bar) for bar in visit.bars]
    lines += [
        _span(f"{number}. {call.what}", bar)
        for number, call in enumerate(visit.calls, 1)
        for bar in call.bars
    ]
    columns = ["Of", "Part", "From", "For"]
    whole = table(f"{name}: every part of this request", columns, [body(lines)])
    return tag("details", tag("summary", "As a table"), whole)


def _span(of: str, bar: Bar) -> Html:
    part, began_ms, ended_ms = bar
    return row(of, GROUP_OF[part].title, number_cell(_ms(began_ms)), number_cell(_ms(ended_ms - began_ms)))


def _ms(value: float | None) -> str:
    return NONE if value is None else f"{milliseconds(value / 1e3)} ms"


def _css(role: str) -> str:
    return role.replace("_", "-")


def _document(title: str, content: Html) -> str:
    styles = [
        (files("reports") / "assets" / "report.css"),
        (files("api_shim.rehearsal") / "assets" / "places.css"),
    ]
    style = "\n".join(each.read_text(encoding="utf-8") for each in styles)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(css_variables()), Html(style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', content), lang='en')}\n"
