"""Stamps of tests/support/records.py: TTFT 55 ms, TPOT 20 ms, E2E 115 ms; felt 140 ms with an app."""

import numpy as np

from reports.columns import Columns, by_variant
from reports.objectives import judge_requests, judge_users, stated, unjudged
from tests.support.records import Row, request, tables, user_request


def columns(*rows: Row) -> Columns:
    return by_variant(tables({("edge", 0): rows}).requests, ["edge"])["edge"]


def asked(users: list[Row], calls: list[Row]) -> tuple[Columns, Columns]:
    run = tables({("edge", 0): calls}, {("edge", 0): users})
    assert run.user_requests is not None
    return by_variant(run.user_requests, ["edge"])["edge"], by_variant(run.requests, ["edge"])["edge"]


def test_an_objective_is_met_at_its_limit_and_missed_beyond() -> None:
    rows = columns(request(), request(1, first_seen=56))
    assert judge_requests(rows, {"ttft_s": 0.055}).met.tolist() == [True, False]
    assert judge_requests(rows, {"e2e_s": 0.114}).met.tolist() == [False, False]
    assert judge_requests(rows, {"felt_s": 0.115}).met.tolist() == [True, True]
    assert judge_requests(rows, {}).met.tolist() == [True, True]


def test_who_lacks_the_number_is_not_judged_and_who_failed_missed_it() -> None:
    rows = columns(request(output_tokens=1), request(1, outcome="timeout"), request(2, outcome="unfinished"))
    found = judge_requests(rows, {"tpot_s": 1.0})
    assert found.judged.tolist() == [False, True, True]
    assert found.met.tolist() == [True, False, False]
    quiet = columns(request(stream=False), request(1, stream=False, outcome="timeout"))
    assert judge_requests(quiet, {"ttft_s": 1.0}).judged.tolist() == [False, False]
    assert judge_requests(quiet, {"ttft_s": 1.0, "e2e_s": 1.0}).judged.tolist() == [True, True]
    assert judge_requests(quiet, {}).judged.tolist() == [True, True]


def test_severity_is_the_worst_share_of_a_limit() -> None:
    rows = columns(request(), request(1, stream=False), request(2, outcome="timeout"))
    found = judge_requests(rows, {"ttft_s": 0.055, "e2e_s": 0.23})
    assert found.severity.tolist() == [1.0, 0.5, np.inf]
    assert judge_requests(rows, {}).severity.tolist() == [0.115, 0.115, np.inf]


def test_a_user_request_is_judged_by_itself_and_by_each_of_its_calls() -> None:
    users = [user_request(number=k) for k in range(3)]
    calls = [
        request(15, parent=0),
        request(15, number=1, parent=1, stream=False),
        request(15, number=2, parent=2),
        request(15, number=3, parent=2, first_seen=110),
    ]
    asks, made = asked(users, calls)
    found = judge_users(asks, made, {"ttft_s": 0.1})
    assert found.judged.tolist() == [True, False, True]
    assert found.met.tolist() == [True, True, False]
    assert np.allclose(found.severity, [0.55, 0.0, 1.1])
    found = judge_users(asks, made, {"felt_s": 0.14, "ttft_s": 1.0})
    assert found.judged.all()
    assert found.met.all()
    assert judge_users(asks, made, {"felt_s": 0.139}).met.tolist() == [False] * 3


def test_objectives_that_judge_nobody_are_named_and_those_of_nobody_are_not() -> None:
    single = columns(request(output_tokens=1))
    assert unjudged(single, {"tpot_s": 1.0, "ttft_s": 1.0}) == ["TPOT (none is streamed with a second token)"]
    assert unjudged(columns(request(outcome="timeout")), {"tpot_s": 1.0}) == []
    assert stated({"ttft_s": 0.25, "e2e_s": None, "felt_s": 1.0}) == "TTFT ≤ 250 ms, user-felt latency ≤ 1 s"
