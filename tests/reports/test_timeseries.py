from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.busy import Busy
from reports.columns import Columns, by_variant
from reports.timeseries import edges_json, series_json
from tests.support.records import Row, node, request, tables

SECOND = 10**12
TEN_S = 10 * SECOND


def columns(*rows: Row, nodes: list[Row] | None = None) -> tuple[Columns, Columns]:
    found = tables({("edge", 0): rows}, nodes=nodes)
    return by_variant(found.requests, ["edge"])["edge"], by_variant(found.nodes, ["edge"])["edge"]


def series(*rows: Row, nodes: list[Row] | None = None) -> Any:
    """Of a run of 10 s: 100 bins of 0.1 s."""
    requests, of_nodes = columns(*rows, nodes=nodes)
    return series_json(requests, Busy(requests), of_nodes, TEN_S, [0])


def level(found: Any, name: str) -> list[float]:
    values: list[float] = found["models"]["llama"][name]["mean"]
    return values


@pytest.mark.parametrize(
    ("horizon_s", "bins", "width_s"),
    [(10, 100, 0.1), (30, 120, 0.25), (70, 70, 1.0), (300, 120, 2.5), (7.3, 73, 0.1)],
)
def test_bins_are_as_narrow_as_a_round_width_allows(horizon_s: float, bins: int, width_s: float) -> None:
    edges = edges_json(round(horizon_s * SECOND))
    assert len(edges) == bins + 1
    assert (edges[0], edges[-1]) == (0, horizon_s)
    assert edges[1] == pytest.approx(width_s)


def test_a_horizon_that_nothing_divides_gets_a_hundred_bins() -> None:
    assert len(edges_json(12_345_678_901_234)) == 101


def test_levels_of_a_lone_request_worked_by_hand() -> None:
    """Admitted at 17 ms and 1 ms of overhead, started at 20, first at 50, last at 150, ended at 155."""
    found = series(request(last=150, ended=155, prompt_tokens=40, output_tokens=11))
    assert found["all"]["in_system"]["mean"][:3] == [1.0, 0.55, 0.0]
    assert level(found, "waiting")[:2] == [0.02, 0.0]
    assert level(found, "prefilling")[:2] == [0.3, 0.0]
    assert level(found, "decoding")[:3] == [0.5, 0.5, 0.0]
    # 40 tokens from 20 ms on; ten more grow from 50 to 150 ms, so 2.5 on average up to 100 and 7.5 after.
    assert level(found, "kv_tokens")[:3] == [
        pytest.approx(40 * 0.8 + 2.5 * 0.5),
        pytest.approx(47.5 * 0.5),
        0.0,
    ]
    assert level(found, "utilisation")[:3] == [0.8, 0.5, 0.0]


def test_completions_of_one_prompt_hold_it_once_and_each_grows() -> None:
    # Two completions of six tokens: 40 tokens from 20 ms on, and five more of each from 50 to 150 ms.
    found = series(request(last=150, ended=155, prompt_tokens=40, samples=2, output_tokens=12))
    assert level(found, "kv_tokens")[:2] == [
        pytest.approx(40 * 0.8 + 2.5 * 0.5),
        pytest.approx(47.5 * 0.5),
    ]


def test_a_node_with_two_requests_is_not_busy_twice() -> None:
    rows = [request(started=0, last=60), request(started=40, last=80), request(node=1, started=0, last=100)]
    found = series(*rows, nodes=[node(), node(node=1)])
    assert level(found, "utilisation")[0] == pytest.approx((0.8 + 1.0) / 2)


def test_who_never_left_stays_to_the_horizon_and_who_never_started_only_waits() -> None:
    never: dict[str, Any] = {"started": None, "first": None, "last": None, "first_seen": None, "ended": None}
    waiting = request(admitted=0, overhead=0, outcome="unfinished", **never)
    running = request(outcome="unfinished", first=None, last=None, first_seen=None, ended=None)
    refused = request(outcome="rejected_context", node=-1, admitted=None, **{**never, "ended": 30})
    found = series(waiting, running, refused)
    assert found["all"]["in_system"]["mean"][-1] == 2
    assert found["all"]["rejected_per_s"]["mean"][0] == 10
    assert level(found, "waiting")[-1] == 1
    assert level(found, "prefilling")[-1] == 1
    assert level(found, "decoding")[-1] == 0


def test_the_band_is_the_least_and_the_most_of_the_replications() -> None:
    run = tables({("edge", 0): [request()], ("edge", 1): [request(), request(10)]})
    requests, nodes = (by_variant(table, ["edge"])["edge"] for table in (run.requests, run.nodes))
    offered = series_json(requests, Busy(requests), nodes, TEN_S, [0, 1])["all"]["offered_per_s"]
    assert [offered[name][0] for name in ("mean", "low", "high")] == [15, 10, 20]


rows = st.lists(
    st.builds(
        lambda at, stays: request(
            at,
            **dict(
                zip(("admitted", "started", "first", "last", "ended"), np.cumsum(stays).tolist(), strict=True)
            ),
        ),
        st.integers(0, 9_999),
        st.lists(st.integers(0, 4_000), min_size=5, max_size=5),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None)
@given(rows)
def test_sums_over_time_are_what_counts_and_stamps_say(given_rows: list[Row]) -> None:
    requests, nodes = columns(*given_rows)
    found = series_json(requests, Busy(requests), nodes, TEN_S, [0])
    width_s = 0.1

    def total(values: list[float]) -> float:
        return sum(values) * width_s

    def time_in(begin: str, end: str) -> float:
        stay = requests[end].clip(0, TEN_S) - requests[begin].clip(0, TEN_S)
        return float(stay.sum()) / SECOND

    everyone, model = found["all"], {name: one["mean"] for name, one in found["models"]["llama"].items()}
    assert total(everyone["offered_per_s"]["mean"]) == pytest.approx(len(given_rows))
    assert total(everyone["carried_per_s"]["mean"]) == pytest.approx(
        int((requests["ended_ps"] < TEN_S).sum())
    )
    stays_s = time_in("intended_ps", "ended_ps")
    assert total(everyone["in_system"]["mean"]) == pytest.approx(stays_s, rel=1e-5)
    assert total(model["prefilling"]) == pytest.approx(time_in("started_ps", "first_ps"), rel=1e-5, abs=1e-9)
    assert total(model["decoding"]) == pytest.approx(time_in("first_ps", "last_ps"), rel=1e-5, abs=1e-9)
    running = np.add(model["prefilling"], model["decoding"])
    assert (np.array(model["utilisation"]) <= running + 1e-5).all()
    assert max(model["utilisation"]) <= 1 + 1e-9
