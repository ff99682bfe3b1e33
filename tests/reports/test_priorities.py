"""Waiting by priority: who is in which row, and when there is none. Stamps as in `tests.support.records`."""

from typing import Any

import pytest

from reports.columns import by_variant
from reports.html.breakdowns import priorities
from reports.html.page import DEFINITIONS
from reports.metrics import Window
from reports.priorities import priorities_json
from tests.support.records import request, tables

LATER = {"started": 30, "first": 60}
"""Waits 12 ms instead of 2."""


def rows(*replications: list[Any]) -> list[dict[str, Any]]:
    run = tables({("edge", number): found for number, found in enumerate(replications)})
    columns = by_variant(run.requests, ["edge"])["edge"]
    return priorities_json(columns, Window.of(0.0, 1.0), range(len(replications)))


def test_each_priority_has_its_own_waiting_the_most_urgent_first() -> None:
    mine = [request(number, priority=0) for number in range(30)]
    batch = [request(number, priority=100, **LATER) for number in range(20)]
    urgent, patient = rows([*mine, *batch], [*mine, *batch])
    assert (urgent["priority"], patient["priority"]) == (0, 100)
    assert (urgent["completed"], patient["completed"]) == (60, 40)
    assert urgent["queue"]["mean"]["value"] == pytest.approx(0.002)
    assert patient["queue"]["mean"]["value"] == pytest.approx(0.012)
    assert patient["queue"]["p50"]["value"] == pytest.approx(0.012)


def test_who_did_not_complete_was_offered_all_the_same() -> None:
    lost = request(2, priority=100, outcome="unfinished", finish_reason="", ended=None)
    _, patient = rows([request(0), request(1, priority=100), lost])
    assert (patient["offered"], patient["completed"]) == (2, 1)


def test_a_run_of_one_priority_has_no_such_table() -> None:
    found = rows([request(0, priority=7), request(1, priority=7)])
    assert found == []
    variant = {"priorities": found}
    summary = {"facts": {"variants": [{"name": "edge"}]}, "variants": {"edge": variant}}
    assert priorities(summary, DEFINITIONS) is None


def test_the_table_names_model_and_priority() -> None:
    found = rows([request(number, priority=100 * (number % 2)) for number in range(30)])
    summary = {"facts": {"variants": [{"name": "edge"}]}, "variants": {"edge": {"priorities": found}}}
    page = str(priorities(summary, DEFINITIONS))
    assert "llama · 0<" in page
    assert "llama · 100<" in page
    assert page.count(">15<") == 2
