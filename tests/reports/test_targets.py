"""The grammar of objectives and the three verdicts, by hand and by law."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e80sim.mistakes import UserError
from reports.targets import FAIL, INCONCLUSIVE, PASS, Answered, answers, judge, parse

GROUP = {
    "source": "agent",
    "attainment": {"value": 0.98, "low": 0.97, "high": 0.985, "n": 900},
    "metrics": {"ttft": {"p95": {"value": 0.040, "low": 0.038, "high": 0.046, "n": 900}}},
}
SUMMARY = {
    "variants": {
        "edge": {
            "groups": [GROUP],
            "rates": {"carried_per_s": {"value": 9.0, "low": 8.0, "high": 10.0, "n": 9}},
        }
    }
}


def verdict_of(text: str) -> tuple[str, str]:
    target = parse(text)
    (found,) = (judge(target, one) for one in answers(target, SUMMARY))
    return found.verdict, found.sentence


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("ttft_p95_ms<=46", PASS),
        ("ttft_p95_ms<=45.9", INCONCLUSIVE),
        ("ttft_p95_ms <= 38", INCONCLUSIVE),
        ("ttft_p95_s<=0.0379", FAIL),
        ("ttft_p95_ms≥38", PASS),
        ("agent: attainment>=97%", PASS),
        ("attainment>=0.98", INCONCLUSIVE),
        ("attainment>=98.2 %", INCONCLUSIVE),
        ("attainment>=98.6 %", FAIL),
        ("carried_per_s>=7", PASS),
        ("carried_per_s<=7", FAIL),
    ],
)
def test_the_whole_interval_decides(text: str, verdict: str) -> None:
    assert verdict_of(text)[0] == verdict


def test_a_sentence_says_what_was_found_and_what_was_asked() -> None:
    assert verdict_of("ttft_p95_ms<=30")[1] == (
        "agent of edge: ttft_p95_ms is 40 ms (38–46 ms) and has to be at most 30 ms"  # noqa: RUF001 an en dash
    )


def test_against_a_baseline_the_difference_decides() -> None:
    found = Answered("edge", "agent", {"value": 0.001, "low": -0.001, "high": 0.003, "n": 9})
    assert judge(parse("ttft_p95_ms<=baseline+3"), found, 0.040).verdict == PASS
    assert judge(parse("ttft_p95_ms<=baseline+5%"), found, 0.040).verdict == INCONCLUSIVE  # 2 of up to 3 ms
    assert judge(parse("ttft_p95_ms<=baseline-5%"), found, 0.040).verdict == FAIL
    assert judge(parse("ttft_p95_ms<=baseline"), found, 0.040).verdict == INCONCLUSIVE


def test_what_has_no_interval_or_no_value_decides_nothing() -> None:
    bare = Answered("edge", "agent", {"value": 0.001, "low": None, "high": None, "n": 9, "note": "One run."})
    refused = Answered("edge", "agent", {"refused": "Too few."})
    one, other = (judge(parse("ttft_p95_ms<=50"), found) for found in (bare, refused))
    assert one.verdict == other.verdict == INCONCLUSIVE
    assert one.sentence.endswith("undecided, since one run")
    assert other.sentence.endswith("at most 50 ms: Too few.")


@given(
    low=st.floats(0, 1e3), width=st.floats(0, 1e3), limit=st.floats(0, 2e3).map(lambda value: round(value, 3))
)
def test_a_limit_below_a_met_one_may_be_missed_and_never_the_reverse(
    low: float, width: float, limit: float
) -> None:
    found = Answered("edge", "agent", {"value": low, "low": low, "high": low + width, "n": 9})
    most, least = (judge(parse(f"ttft_p95_s{sense}{limit!r}"), found).verdict for sense in ("<=", ">="))
    assert (most == PASS) == (low + width <= limit)
    assert (most == FAIL) == (low > limit)
    assert {most, least} != {FAIL}
    assert not (most == PASS and least == PASS and low + width != low)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ttft_p95_ms", "it is QUANTITY<=LIMIT or QUANTITY>=LIMIT"),
        ("tfft_p95_ms<=1", "did you mean ttft_p95_ms?"),
        ("ttft_p95_ms<=fast", "'fast' is no limit"),
        ("ttft_p95_ms<=5%", "only attainment"),
        ("attainment>=99", "attainment is a share of 0 to 1"),
        ("agent: carried_per_s>=1", "carried_per_s is of a whole variant"),
        ("carried_per_s>=baseline", "only latencies and attainment"),
        ("ttft_p95_ms<=baseline5", "write baseline+5% or baseline-2"),
    ],
)
def test_a_slip_is_told_with_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(UserError) as raised:
        parse(text)
    assert told in str(raised.value)
    assert str(raised.value).startswith(f"objective {text!r}: ")


def test_a_source_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(UserError, match="there is no source 'agnet'; there are agent"):
        answers(parse("agnet: ttft_p95_ms<=1"), SUMMARY)
