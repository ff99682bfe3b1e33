"""The comparison of places for a terminal."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from api_shim.rehearsal.compared import GROUPS, comparison, failures
from api_shim.rehearsal.measured import MeasuredPlace
from reports.terminal import WIDTH, columns
from reports.text import milliseconds

NONE = "-"
MOST_FAILURES = 5


def compared_text(about: Sequence[str], places: Sequence[MeasuredPlace]) -> str:
    """`about` are sentences on what was rehearsed, and how."""
    rows = comparison(places)["places"]
    lines = [line for sentence in about for line in wrap(sentence, WIDTH)]
    head = ["place", "p50", "p95", "first byte", "calls", "connects", "failed", f"vs {rows[0]['place']}"]
    felt = [
        [
            row["place"],
            _ms(row["felt_p50_ms"]),
            _ms(row["felt_p95_ms"]),
            _ms(row["first_byte_p50_ms"]),
            NONE if row["model_calls_mean"] is None else f"{row['model_calls_mean']:.3g}",
            f"{row['connections_mean']:.2g}",
            str(row["requests"] - row["answered"]),
            _more(row["more_than_first_p50_ms"]),
        ]
        for row in rows
    ]
    where = [[row["place"], *(_ms(row["where_ms"][group.name]) for group in GROUPS)] for row in rows]
    lines += ["", "what a user felt", *columns([head, *felt], left=1, shrinking=(0,))]
    lines += ["", "where it went, mean of a request"]
    lines += columns([["place", *(group.title for group in GROUPS)], *where], left=1, shrinking=(0,))
    lines += ["", *_remarks(places)]
    return "\n".join(lines).rstrip() + "\n"


def _remarks(places: Sequence[MeasuredPlace]) -> Iterator[str]:
    for place in places:
        refused = sum(place.refused_calls.values())
        if refused:
            by_status = ", ".join(
                f"{count} with {status}" for status, count in sorted(place.refused_calls.items())
            )
            yield f"{place.place}: the platform refused {refused} calls of the app: {by_status}"
        for problem, count in list(failures(place).items())[:MOST_FAILURES]:
            yield f"{place.place}: {count} failed: {problem}"
    for warning in dict.fromkeys(warning for place in places for warning in place.warnings):
        yield f"note: {warning}"


def _ms(value: float | None) -> str:
    return NONE if value is None else milliseconds(value / 1e3)


def _more(value: float | None) -> str:
    return "" if value is None else ("+" if value >= 0 else "-") + milliseconds(abs(value) / 1e3)
