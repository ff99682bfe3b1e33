"""The report of a probe: what it found, what it asked, and what it took."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from api_shim.probe.design import TELLS
from api_shim.probe.figures import first_tokens, tokens
from api_shim.probe.judged import judged, outcome
from api_shim.probe.record import ProbedRequest, RoundTrip
from hwmodels.calibrate.endpoint.fit import NAMES, EndpointFit
from hwmodels.calibrate.endpoint.lines import Interval
from reports.html.document import Section, header, sections_page
from reports.html.markup import Html, join, tag
from reports.html.tables import body, number_cell, row, table
from reports.words import Scale, duration, plural, with_interval

MILLISECONDS = Scale("ms", 1.0)
NONE = "\N{EM DASH}"
EXAMPLE = 256, 64
"""Tokens of the request that the answer tells of."""


def render(
    about: Mapping[str, Any],
    chats: Sequence[ProbedRequest],
    trips: Sequence[RoundTrip],
    found: EndpointFit | None,
    why_not: str = "",
) -> str:
    """`why_not` there is no fit, in a sentence."""
    title = f"{about['model']} at {about['base_url']}"
    sections = [
        Section("hypotheses", "Hypotheses", "What the run said of it", judged(about.get("against"))),
        Section("seen", "Seen", "What was seen", _drawn(chats, found)),
        Section("values", "Values", "What was fitted", _values(found)),
        Section("kinds", "Kinds", "Every kind of request", _kinds(chats, trips)),
        Section("taken", "Taken", "What it took", _taken(about)),
    ]
    head = header("e80sim probe", f"{title} · {_basis(about)}")
    return sections_page(title, head, _answer(about, found, why_not), sections).decode()


def _basis(about: Mapping[str, Any]) -> str:
    return f"{plural(about['sent'], 'request')}, {about['failed']:,} failed; seed {about['seed']}"


def _answer(about: Mapping[str, Any], found: EndpointFit | None, why_not: str) -> Html:
    told = [*_sentences(found)] if found is not None else [f"Nothing could be fitted: {why_not}."]
    if "against" in about:
        told.insert(0, outcome(about["against"]))
    if about["stopped"] is not None:
        told.insert(0, f"It stopped early: {about['stopped']['sentence']}.")
    return join(
        tag("h1", told[0], class_="sentence"),
        tag("ul", [tag("li", one) for one in _facts(found)], class_="facts") if found is not None else None,
        tag("div", _cannot(found), class_="deciding alone") if found is not None else None,
        [tag("p", one) for one in told[1:]],
    )


def _cannot(found: EndpointFit) -> Html:
    warnings = [tag("li", f"{one}.") for one in found.warnings]
    return tag("div", tag("h2", "What it cannot tell"), tag("ul", warnings, class_="reasons"))


def _facts(found: EndpointFit) -> Iterator[Html]:
    for name, one in found.values.items():
        shown = with_interval(one.value, one.low, one.high, MILLISECONDS)
        between = f" ({shown.interval})" if shown.interval else ""
        yield join(tag("strong", f"{shown.with_unit()}{between}"), NAMES[name])


def _sentences(found: EndpointFit) -> Iterator[str]:
    law, (prompt, output) = found.law, EXAMPLE
    if {"fixed_ms", "prefill_ms_per_token", "decode_step_ms"} <= law.keys():
        first = law.get("rtt_ms", 0.0) + law["fixed_ms"] + law["prefill_ms_per_token"] * prompt
        cached = law.get("decode_ms_per_kv_token", 0.0) * (prompt + output / 2)
        whole = first + (output - 1) * (law["decode_step_ms"] + cached)
        yield (
            f"A lone request of {prompt} prompt tokens has its first token after {_ms(first)}, and all "
            f"{output} of its answer after {_ms(whole)}."
        )
    else:
        yield "What a lone request takes could not be told from what was answered."
    yield from (f"{one[:1].upper()}{one[1:]}." for one in found.remarks if "_ms" not in one.split()[0])


def _values(found: EndpointFit | None) -> Html | None:
    if found is None or not found.values:
        return None
    lines = [row(tag("code", name), _cell(one), NAMES[name]) for name, one in found.values.items()]
    return table("Values with their 95 % intervals", ["", "Value", "Of"], [body(lines)])


def _cell(one: Interval) -> Html:
    shown = with_interval(one.value, one.low, one.high, MILLISECONDS)
    return tag("td", shown.with_unit(), " ", tag("small", shown.interval or "no interval"), class_="number")


def _drawn(chats: Sequence[ProbedRequest], found: EndpointFit | None) -> Html | None:
    figures = [figure for figure in (first_tokens(chats, found), tokens(found)) if figure is not None]
    return join([figure.html() for figure in figures]) if figures else None


def _kinds(chats: Sequence[ProbedRequest], trips: Sequence[RoundTrip]) -> Html:
    lines = []
    for connection in ("reused", "new", "unknown"):
        some = [one for one in trips if one.connection == connection]
        if some:
            times = [one.total_ms for one in some if one.total_ms is not None]
            lines.append(
                _kind(f"GET /models, connection {connection}", len(some), len(some) - len(times), [times])
            )
    for cell in dict.fromkeys(one.cell for one in sorted(chats, key=lambda one: one.number)):
        of_cell = [one for one in chats if one.cell == cell]
        good = [one for one in of_cell if one.error is None]
        columns = [
            [value for one in good if (value := getattr(one, name)) is not None]
            for name in ("e2e_ms", "ttft_ms", "tpot_ms")
        ]
        lines.append(_kind(cell, len(of_cell), len(of_cell) - len(good), columns))
    meanings = [tag("li", tag("code", name), f": {what}") for name, what in TELLS.items()]
    titles = ["", "Sent", "Failed", "Whole", "TTFT", "Per token"]
    return join(
        table("Medians, and from the least to the most", titles, [body(lines)]),
        tag("details", tag("summary", "What each kind tells"), tag("ul", meanings)),
    )


def _kind(name: str, sent: int, failed: int, columns: Sequence[Sequence[float]]) -> Html:
    cells = [_spread(values) for values in columns]
    cells += [number_cell(NONE)] * (3 - len(cells))
    return row(name, number_cell(f"{sent:,}"), number_cell(f"{failed:,}"), *cells)


def _spread(values: Sequence[float]) -> Html:
    if not values:
        return number_cell(NONE)
    shown = with_interval(float(np.median(values)), min(values), max(values), MILLISECONDS)
    return tag("td", shown.with_unit(), " ", tag("small", shown.interval), class_="number")


def _taken(about: Mapping[str, Any]) -> Html:
    plan, tokens_taken = about["plan"], about["taken_tokens"]
    usd = "" if about["taken_usd"] is None else f", {about['taken_usd']:.3g} USD"
    taken = f"{tokens_taken['prompt']:,} prompt and {tokens_taken['output']:,} output tokens{usd}"
    told = [
        f"{taken}; the plan allowed {plan['most_tokens']:,} tokens.",
        f"At most {plan['rate_per_s']:.4g} requests a second were sent, with bursts of {plan['burst']}.",
        *about["notes"],
        "Beside this page lie requests.jsonl with a row per request, round_trips.jsonl and probe.json.",
    ]
    limits = [row(tag("code", name), value) for name, value in about["limits"].items()]
    return join(
        [tag("p", one) for one in told],
        table("The newest headers about limits", ["", "Value"], [body(limits)]) if limits else None,
    )


def _ms(value: float) -> str:
    return duration(value / 1e3)
