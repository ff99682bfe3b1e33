"""The answer in words, written from the numbers: what a user waits, what a variant changes, which hop it is.

Only what an interval supports is called a difference; a variant that cannot keep up is not compared at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reports.html.estimate import ShownEstimate, overlap
from reports.html.forest import differences_of
from reports.html.hops import changed_hops
from reports.html.rows import Row, Summary, rows_by_source, rows_of
from reports.words import change, share

STATISTICS = {"p95": "p95", "p50": "median", "mean": "mean"}
"""The first that has an interval is told."""
NOTEWORTHY_FAILURES = 0.001
SOURCES_TOLD = 4


class Point(NamedTuple):
    label: str
    text: str


class Statement(NamedTuple):
    """What holds for the first row, and for each of the others beside it."""

    heading: str
    """Empty where there is but one source."""
    label: str
    text: str
    points: tuple[Point, ...] = ()


Differences = Mapping[str, Mapping[str, ShownEstimate]]
"""By the row's key, then by statistic: user-felt latency less the baseline's."""


def answer(summary: Summary) -> list[Statement]:
    rows = rows_of(summary)
    if not rows:
        return [Statement("", "", "Nothing ran, so there is no answer.")]
    level = f"{summary['interval']['level'] * 100:g} %"
    several = len({row.variant for row in rows}) > 1
    if not several:
        return [_one_variant(rows, level)]
    felt = {d.row.key: {s: d.estimate("felt", s) for s in STATISTICS} for d in differences_of(summary, rows)}
    by_source = rows_by_source(rows)
    told = list(by_source.values())[:SOURCES_TOLD]
    statements = [_across_variants(of_source, felt, level, named=len(by_source) > 1) for of_source in told]
    left = len(by_source) - len(told)
    if left:
        statements.append(
            Statement("", "", f"The tables below have {left} more source{'s' if left > 1 else ''}.")
        )
    return statements


def _one_variant(rows: Sequence[Row], level: str) -> Statement:
    first, *others = rows
    points = tuple(Point(row.label, _beside(first, row, level)) for row in others[: 2 * SOURCES_TOLD])
    return Statement("", first.label if others else "", _own(first, level), points)


def _across_variants(rows: Sequence[Row], felt: Differences, level: str, *, named: bool) -> Statement:
    baseline, *others = rows
    told: dict[str, list[str]] = {}
    for row in others:
        text = _against(baseline, row, felt.get(row.key, {}), level)
        told.setdefault(text, []).append(row.variant_title)
    points = tuple(Point(", ".join(titles), text) for text, titles in told.items())
    heading = baseline.source if named else ""
    return Statement(heading, baseline.variant_title, _own(baseline, level), points)


def _own(row: Row, level: str) -> str:
    """A user (home fibre) waits 61.2 ms for the answer of 5 model calls in a row (p95, 95 % interval ...)."""
    return " ".join(_sentences(row, level))


def _sentences(row: Row, level: str) -> Iterator[str]:
    name, estimate = _told(row)
    place = row.place_label.replace("(", "[").replace(")", "]")
    who = f"{'A user' if row.has_app else 'A caller'} ({place})"
    if estimate.value is None:
        yield f"What {_clause(who)} waits cannot be said. {_sentence(estimate.refused)}"
    else:
        yield f"{who} waits {_quoted(estimate, STATISTICS[name], level)} for {_what(row)}."
        yield from _without_p95(name, row.statistic("felt", "p95"))
    yield from _caveats(row)


def _without_p95(told: str, p95: ShownEstimate) -> Iterator[str]:
    """Why it is another statistic that is told, or the p95 alone without its interval."""
    if p95.value is None:
        yield f"A p95 is not given: {_clause(p95.refused)}."
    elif told != "p95":
        yield f"The p95, {p95.shown().with_unit()}, has no interval: {_clause(p95.note)}."
    elif not p95.has_interval and p95.note:
        yield _sentence(p95.note)


def _against(baseline: Row, row: Row, felt: Mapping[str, ShownEstimate], level: str) -> str:
    name, estimate = _told(row)
    quoted = "" if estimate.value is None else _quoted(estimate, STATISTICS[name], level)
    if row.state == "overloaded":
        over_this_run = f" In this one they were {quoted}." if quoted else ""
        return f"Overloaded, so not compared: its waits grow with the length of the run.{over_this_run}"
    if baseline.state == "overloaded":
        told = f"{quoted}. " if quoted else ""
        return " ".join([f"{told}Not compared, since the baseline is overloaded.", *_caveats(row)])
    return " ".join([*_difference(baseline, row, felt, level), *_caveats(row, baseline)])


def _difference(baseline: Row, row: Row, felt: Mapping[str, ShownEstimate], level: str) -> Iterator[str]:
    name, estimate = _first_told(felt)
    if estimate.value is None:
        yield f"No difference is given. {_sentence(estimate.refused)}"
        return
    yield _compared(baseline, estimate, name, level)
    if felt["p95"].value is None and baseline.statistic("felt", "p95").value is not None:
        yield f"For the p95 none is given: {_clause(felt['p95'].refused)}."
    if estimate.excludes_zero:
        yield from changed_hops(baseline, row)


def _compared(baseline: Row, estimate: ShownEstimate, name: str, level: str) -> str:
    assert estimate.value is not None
    statistic = STATISTICS[name]
    if {estimate.value, estimate.low or 0.0, estimate.high or 0.0} == {0.0}:
        return f"Exactly the same ({statistic})."
    larger = estimate if estimate.value > 0 else estimate.negated()
    amount = f"{larger.with_error()} {'more' if estimate.value > 0 else 'less'}"
    if not estimate.has_interval:
        return f"{amount} ({statistic}), without an interval. {_sentence(estimate.note)}"
    if not estimate.excludes_zero:
        return (
            f"No difference can be told from chance ({statistic}, {level} interval "
            f"{estimate.shown().interval_with_unit()})."
        )
    return f"{amount} ({statistic}, {level} interval{_relative(baseline, estimate, name)})."


def _relative(baseline: Row, estimate: ShownEstimate, name: str) -> str:
    base = baseline.statistic("felt", name).value
    relative = change((estimate.value or 0.0) / base) if base else ""
    return f"; {relative}" if relative else ""


def _beside(first: Row, row: Row, level: str) -> str:
    """Two sources of one variant share its nodes but not their requests: only the intervals are compared."""
    name, estimate = _told(row)
    if estimate.value is None:
        return _sentence(estimate.refused)
    told = f"{_quoted(estimate, STATISTICS[name], level)} for {_what(row)}"
    other = first.statistic("felt", name)
    if other.value is None or not (estimate.has_interval and other.has_interval):
        return f"{told}."
    if overlap(estimate, other):
        return f"{told}; the interval overlaps that of {first.label}, so which waits longer is open."
    return f"{told}: {'longer' if estimate.value > other.value else 'shorter'} than {first.label}."


def _caveats(row: Row, baseline: Row | None = None) -> Iterator[str]:
    """Failures are told again only where they are not those of the baseline."""
    if row.state == "overloaded":
        yield "It is overloaded: waits grow with the length of the run, so this says “too slow” and no more."
    if row.state == "backlogged":
        yield "The backlog still grew at the end, so a longer run may give other numbers."
    told_before = baseline.failed_share if baseline else 0.0
    if abs(row.failed_share - told_before) >= max(NOTEWORTHY_FAILURES, told_before / 10):
        what = "asks" if row.retries else "model requests"
        yield f"{share(row.failed_share)} of its {what} were refused or failed, and are left out."


def _told(row: Row) -> tuple[str, ShownEstimate]:
    return _first_told({name: row.statistic("felt", name) for name in STATISTICS})


def _first_told(estimates: Mapping[str, ShownEstimate]) -> tuple[str, ShownEstimate]:
    """The first with an interval; else the first with a value; else the refused p95."""
    for wanted in (lambda e: e.has_interval, lambda e: e.value is not None):
        found = next(((name, e) for name, e in estimates.items() if wanted(e)), None)
        if found:
            return found
    return "p95", estimates.get("p95", ShownEstimate(None, refused="The baseline has no such source."))


def _quoted(estimate: ShownEstimate, statistic: str, level: str) -> str:
    shown = estimate.shown()
    if not shown.interval:
        return f"{shown.with_unit()} ({statistic}, without an interval)"
    return f"{shown.with_unit()} ({statistic}, {level} interval {shown.interval_with_unit()})"


def _what(row: Row) -> str:
    if not row.has_app or row.calls == 1:
        return "the whole answer"
    together = "at once" if row.mode == "fan_out" else "in a row"
    return f"the whole answer, {row.calls} model calls {together}"


def _sentence(reason: str) -> str:
    return reason if not reason or reason.endswith(".") else f"{_capital(reason)}."


def _clause(reason: str) -> str:
    """A sentence inside another."""
    return reason[:1].lower() + reason[1:].rstrip(".")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
