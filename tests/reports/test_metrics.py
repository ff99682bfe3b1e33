from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import metrics
from reports.columns import Columns, by_variant
from reports.critical_path import felt_phases_ps
from reports.metrics_doc import render
from tests.support.records import Row, request, tables, user_request

MS = 10**9


def columns(*rows: Row) -> Columns:
    return by_variant(tables({("edge", 0): rows}).requests, ["edge"])["edge"]


def test_the_metrics_of_a_request_worked_by_hand() -> None:
    one = columns(request(1000))
    assert metrics.ttft_s(one).tolist() == [0.055]
    assert metrics.e2e_s(one).tolist() == [0.115]
    assert metrics.tpot_s(one).tolist() == [0.02]  # (115 - 55) ms over three gaps
    assert metrics.queue_s(one).tolist() == [0.002]


def test_the_phases_of_a_request_worked_by_hand() -> None:
    one = columns(request(1000, sent=7, intended=3))
    assert [int(phase.ps(one)[0]) // MS for phase in metrics.PHASES] == [4, 3, 5, 2, 1, 2, 30, 60, 5]


def test_latency_counts_from_the_intended_send() -> None:
    assert metrics.e2e_s(columns(request(sent=1000, intended=0, ended=1100))).tolist() == [1.1]


def test_ttft_and_tpot_are_undefined_where_nobody_could_see_them() -> None:
    quiet, single = columns(request(stream=False, first_seen=None)), columns(request(output_tokens=1))
    assert np.isnan(metrics.ttft_s(quiet)).all()
    assert np.isnan(metrics.tpot_s(quiet)).all()
    assert np.isnan(metrics.tpot_s(single)).all()
    assert metrics.ttft_s(single).tolist() == [0.055]


@settings(deadline=None)  # a busy machine may stall any one example
@given(st.lists(st.integers(0, 2**50), min_size=10, max_size=10))
def test_phases_add_up_to_the_end_to_end_time_to_the_picosecond(gaps: list[int]) -> None:
    names = ("intended", "sent", "connected", "arrived", "admitted", "started", "first", "last", "ended")
    stamps = dict(zip([f"{name}_ps" for name in names], np.cumsum(gaps[:9]).tolist(), strict=True))
    one = columns({**request(), **stamps, "overhead_ps": gaps[9]})
    assert sum(int(phase.ps(one)[0]) for phase in metrics.PHASES) == sum(gaps[1:9])


def felt(users: list[Row], calls: list[Row], *, fan_out: bool) -> dict[str, list[int]]:
    run = tables({("edge", 0): calls}, {("edge", 0): users})
    assert run.user_requests is not None
    asks = by_variant(run.user_requests, ["edge"])["edge"]
    phases = felt_phases_ps(asks, by_variant(run.requests, ["edge"])["edge"], fan_out=fan_out)
    return {name: (ps // MS).tolist() for name, ps in phases.items()}


def test_sequential_calls_are_all_on_the_critical_path() -> None:
    # arrived 10, 5 ms of CPU before each call of 115: left 10 + 2 * (5 + 115) = 250, and 5 back
    users = [user_request(number=4, calls=2, cpu=10, left=250, ended=255)]
    found = felt(users, [request(15, parent=4), request(135, number=1, parent=4)], fan_out=False)
    assert found["app_cpu"] == [10]
    assert found["decode"] == [120]
    assert found["user_return"] == [5]
    assert sum(one for (one,) in found.values()) == 255


def test_of_calls_made_at_once_the_last_to_end_is_on_the_critical_path() -> None:
    users = [user_request(number=4, calls=2, cpu=5, left=150, ended=155)]
    slow = request(15, number=1, parent=4, started=40, first=70, last=130, ended=135)
    found = felt(users, [request(15, parent=4), slow, request(15, number=2, parent=9)], fan_out=True)
    assert found["queue"] == [22]
    assert found["app_cpu"] == [5]
    assert sum(one for (one,) in found.values()) == 155


def test_the_page_of_metrics_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == render(), "run `make docs`"


def test_every_definition_stands_on_the_page_with_its_formula() -> None:
    page = render()
    for entry in (*metrics.PHASES, *metrics.USER_PHASES, *metrics.RATES, *metrics.NODES, metrics.LITTLE):
        assert f"| `{entry.name}` | {entry.title} | {entry.formula} |" in page


def test_completions_made_side_by_side_do_not_make_a_token_cheaper() -> None:
    # Two completions of four tokens each: 60 ms over three gaps, not over seven.
    both, single = columns(request(samples=2, output_tokens=8)), columns(request(samples=3, output_tokens=3))
    assert metrics.tpot_s(both).tolist() == [0.02]
    assert np.isnan(metrics.tpot_s(single)).all()
