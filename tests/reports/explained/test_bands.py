"""What a p99 request has that a p50 has not, of requests that one can order in the head."""

from typing import Any

import pytest

from reports.explained.bands import bands_of
from reports.explained.difference import difference
from reports.explained.over_time import course_of
from reports.explained.whole_run import explained
from reports.group import Group
from reports.html.phases import PHASES
from reports.metrics import FELT, Window
from reports.run_directory import Run
from reports.variant_records import variant_records
from tests.support.records import manifest, request, tables, user_request

MS = 10**9


def group_of(rows: list[Any], users: list[Any] | None = None, **changes: Any) -> Group:
    made = tables({("edge", 0): rows}, {("edge", 0): users} if users else None)
    records = variant_records(made, manifest(**changes)["facts"], Window.of(0.0, 10.0))
    return records["edge"].groups[0]


def waiting(number: int, ms: int) -> Any:
    """Of latency 115 + `ms`: it waits so much longer in the queue, and if that is long it is cold."""
    later = {name: at + ms for name, at in (("started", 20), ("first", 50), ("last", 110), ("ended", 115))}
    return request(number * 10, number=number, ask=number, first_seen=55 + ms, cold=ms > 900, **later)


ROWS = [waiting(number, ms=(number * 7) % 1000) for number in range(1000)]
"""Queues of 2 to 1,001 ms, each once."""


def test_the_means_of_a_band_are_those_of_the_requests_around_its_quantile() -> None:
    """The p50 band holds queues of 452 to 551 ms, the p99 band of 987 to 996."""
    bands = bands_of(group_of(ROWS))
    assert {name: band.requests for name, band in bands.items()} == {"p50": 100, "p90": 50, "p99": 10}
    assert bands["p50"].phases["queue"] == pytest.approx(0.5015)
    assert bands["p99"].phases["queue"] == pytest.approx(0.9915)
    assert bands["p99"].phases["prefill"] == pytest.approx(0.030)
    assert bands["p50"].marks == {"cold": 0.0}
    assert bands["p99"].marks == {"cold": 1.0}


def test_what_makes_the_difference_is_a_sentence() -> None:
    found = difference(bands_of(group_of(ROWS)), lambda name: PHASES[name].label)
    assert found == (
        "A p99 request takes 490 ms more than a p50 request: 100 % of it queue; of these requests 100 % "
        "opened a connection (of p50 requests 0 %)."
    )


def test_phases_add_up_to_the_mean_latency_of_the_band_with_an_app_between_too() -> None:
    users = [user_request(number * 50, number=number, calls=1, left=135 + number, ended=140 + number)
             for number in range(60)]  # fmt: skip
    calls = [request(number * 50 + 20, number=100 + number, parent=number) for number in range(60)]
    source = {"app": "helper", "app_place": "edge", "mode": "sequential"}
    for group in (group_of(ROWS), group_of(calls, users, source=source)):
        bands = bands_of(group)
        assert bands
        for band in bands.values():
            assert sum(band.phases.values()) == pytest.approx(band.mean_s, rel=1e-12)
    assert bands["p50"].phases["user_network_out"] == pytest.approx(0.006)
    assert not bands["p50"].marks


def test_a_band_of_few_requests_is_left_out_and_nothing_is_said() -> None:
    bands = bands_of(group_of(ROWS[:60]))
    assert set(bands) == {"p50"}
    assert difference(bands, str) == ""


def test_a_stretch_has_the_quantiles_for_which_it_has_enough_requests() -> None:
    """1,000 requests in 10 s, in order of time, of which 12 stretches take a twelfth each."""
    group = group_of(ROWS)
    course = course_of(group)
    assert course is not None
    assert len(course.edges_s) == len(course.values_s["p50"]) + 1
    assert course.edges_s[-1] == 10.0
    assert None not in course.values_s["p50"] + course.values_s["p95"]
    assert set(course.values_s["p99"]) == {None}
    everybody = FELT.ps(group.completed) / 10**12
    assert everybody.min() <= course.values_s["p50"][0] <= everybody.max()
    first = [115 + (number * 7) % 1000 for number in range(int(course.edges_s[1] * 100))]
    assert course.values_s["p50"][0] == pytest.approx(sorted(first)[len(first) // 2] / 1000, abs=0.01)


def test_a_report_explains_the_slowest_of_each_source() -> None:
    run = Run(tables({("edge", 0): ROWS}), manifest(), "", None)
    (found,) = explained(run).values()
    took = [chain.lasted_ps // MS for chain in found.slowest]
    assert took == list(range(1114, 1094, -1))
