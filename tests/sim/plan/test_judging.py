"""Verdicts of a cell on several objectives, replications that decide, and the closed form of a point."""

from pathlib import Path
from typing import Any

import pytest

from reports.targets import FAIL, INCONCLUSIVE, PASS, parse
from sim.plan.closed_form import direction, solved, task_of
from sim.plan.judging import Held, held, is_blind, keeps_up, next_replications, verdict_of
from sim.plan.line import Found, Line
from tests.sim.plan.test_plan import ONE_SLOT
from tests.support.study import plan_of


def held_of(value: float, low: float | None, high: float | None, verdict: str = INCONCLUSIVE) -> Held:
    return Held("e2e_p95_ms<=100", "s", verdict, "", value, low, high, 100.0, at_most=True)


def result(low_s: float, high_s: float, attained: float, state: str = "stable") -> dict[str, Any]:
    """Of one source."""
    e2e = {"p95": {"value": (low_s + high_s) / 2, "low": low_s, "high": high_s}}
    attainment = {"value": attained, "low": attained, "high": attained}
    source = {"name": "s", "metrics": {"e2e": e2e}, "attainment": attainment}
    return {"sources": [source], "rates": {}, "verdict": {"state": state, "why": "It grew."}}


@pytest.mark.parametrize(
    ("low", "high", "attained", "verdict"),
    [
        (0.08, 0.09, 1.0, PASS),
        (0.08, 0.11, 1.0, INCONCLUSIVE),
        (0.08, 0.09, 0.9, FAIL),
        (0.08, 0.11, 0.9, FAIL),
    ],
)
def test_all_objectives_have_to_be_met(low: float, high: float, attained: float, verdict: str) -> None:
    targets = [parse("e2e_p95_ms<=100"), parse("attainment>=99%")]
    found = held(targets, result(low, high, attained), "base")
    assert verdict_of(found) == verdict
    assert found[0].value == pytest.approx(500 * (low + high))
    assert found[1].beyond == pytest.approx(0.99 / attained)


def test_what_does_not_keep_up_meets_nothing() -> None:
    assert keeps_up(result(0.0, 0.1, 1.0)) is None
    found = keeps_up(result(0.0, 0.1, 1.0, "overloaded"))
    assert found is not None
    assert (found.verdict, found.sentence) == (FAIL, "it does not keep up with what is asked: It grew.")


def test_replications_that_would_decide() -> None:
    # 15 above a value that is 10 below the limit: 1.5 squared, and a fifth to spare.
    assert next_replications(10, [held_of(90, 80, 105)], 100) == 27
    assert next_replications(10, [held_of(90, 80, 101)], 100) == 20  # twice as many at least
    assert next_replications(10, [held_of(99, 80, 120)], 100) == 40  # and four times at most
    assert next_replications(10, [held_of(99, 80, 120)], 33) == 33
    assert next_replications(10, [held_of(90, None, None)], 100) == 40
    assert next_replications(10, [held_of(90, 80, 105), held_of(50, 40, 60, PASS)], 100) == 27


def test_a_line_begins_with_what_its_values_were_found_to_need() -> None:
    blind = held_of(90, None, None)
    assert is_blind([blind])
    assert not is_blind([held_of(90, 80, 105)])
    assert not is_blind([blind, held_of(200, 150, 250, FAIL)])
    line = Line("", "base", [1, 2, 3], [], lambda _value, _replications: pytest.fail("no cell"))
    line.found[1] = Found("key", 5, (blind,))
    assert line.replications(0, 5, 80) == 5
    assert line.replications(1, 5, 80) == 20
    assert line.replications(0, 5, 80) == 20


def test_the_closed_form_of_points(tmp_path: Path) -> None:
    targets = [parse("e2e_mean_ms<=130")]
    plans = [plan_of(ONE_SLOT, tmp_path, [f"models.m.nodes={nodes}"]).base for nodes in (1, 3, 8)]
    few, enough, many = (solved(task_of(plan, targets), lambda _share, _note: None) for plan in plans)
    assert (few.meets, few.held) == (False, ())  # one carries 10 of 20 a second
    # Three are used to 2/3: (2/3)^1.828 / (3 x 1/3) / 2 x 100 ms = 23.8 ms of wait, and 100 of work.
    assert enough.meets
    assert enough.held[0]["value"] == pytest.approx(123.8, rel=0.002)
    assert (direction(few, many), direction(many, few), direction(few, few)) == ("smallest", "largest", None)
