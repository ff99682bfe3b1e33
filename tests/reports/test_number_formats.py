"""One module owns how numbers are written, so that text, terminal and page agree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

import reports
from reports.html.markup import text
from reports.words import (
    DURATIONS,
    PERCENT,
    amount,
    as_chosen,
    bound,
    change,
    correlation,
    count,
    duration,
    exactly,
    in_seconds,
    limit,
    number,
    points,
    share,
    with_error,
    with_interval,
)

ROOM = Path(reports.__file__).parent
FOR_OTHERS = ("exports", "explained/choose.py", "explained/wording.py")
"""Files of other tools, and stamps to the microsecond, have forms of their own."""
OWNERS = ("words.py", "html/markup.py")
ROUNDING = re.compile(r"[.\d]*[eEfFgG%]$")
FORMS = {
    "amount": amount,
    "as_chosen": as_chosen,
    "bound": bound,
    "change": change,
    "correlation": correlation,
    "count": count,
    "duration": duration,
    "exactly": exactly,
    "in_seconds": in_seconds,
    "limit": limit,
    "number": number,
    "points": points,
    "share": share,
}
NUMBERS = st.floats(-1e7, 1e7)
SHARES = st.floats(0.0, 1.0)


def rounded_by_hand(source: str) -> Iterator[int]:
    """Lines of f-strings that say themselves to how many digits a number is shown."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
            last = node.format_spec.values[-1]
            if isinstance(last, ast.Constant) and ROUNDING.search(str(last.value)):
                yield node.lineno


def test_nobody_else_says_how_many_digits_a_number_has() -> None:
    found = [
        f"{file.relative_to(ROOM)}:{line}"
        for file in sorted(ROOM.rglob("*.py"))
        if not str(file.relative_to(ROOM)).startswith((*FOR_OTHERS, *OWNERS))
        for line in rounded_by_hand(file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_rounding_by_hand_is_seen() -> None:
    assert list(rounded_by_hand('f"{x:.1f} {y:,.3g} {n:,} {name:<{wide}} {z:.{digits}f}"')) == [1, 1, 1]
    assert list(rounded_by_hand('f"{share:.0%}"')) == [1]


@given(st.sampled_from(sorted(FORMS)), NUMBERS)
def test_zero_has_no_sign_and_minus_is_one(form: str, value: float) -> None:
    assume(value >= 0.0 or form not in {"share", "bound"})
    shown = FORMS[form](value)
    assert "-" not in shown
    assert not re.search(r"\N{MINUS SIGN}[0.,]*(?![\d.,])", shown) or form == "correlation"
    assert not re.search(r"e[+-]?\d", shown)


@given(SHARES)
def test_a_share_is_one_of_all_nothing_or_between(value: float) -> None:
    shown = share(value)
    assert (shown == "100 %") == (value == 1.0)
    assert (shown == "0 %") == (value == 0.0)
    assert not shown.startswith(("100.0", "0.0"))


@given(st.floats(1e-8, 1e6))
def test_a_duration_has_no_thousand_of_a_unit_that_has_a_larger_one(seconds: float) -> None:
    figure, unit = duration(seconds).split(" ")
    assert unit == "s" or float(figure.replace(",", "")) < 1000


@given(st.sampled_from(sorted(FORMS)), st.floats(0.0, 1e7))
def test_a_page_shows_the_digits_that_a_terminal_shows(form: str, value: float) -> None:
    shown = FORMS[form](value)
    glue = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\u2060": None})
    assert str(text(shown)).replace("&lt;", "<").replace("&gt;", ">").translate(glue) == shown


@given(st.floats(1e-6, 1e4), st.floats(1e-3, 0.5))
def test_a_value_has_the_same_digits_with_either_form_of_its_interval(value: float, half: float) -> None:
    for scale in (*DURATIONS, PERCENT):
        low, high = value * (1 - half), value * (1 + half)
        spread, error = with_interval(value, low, high, scale), with_error(value, low, high, scale)
        assert error.startswith(spread.value)
