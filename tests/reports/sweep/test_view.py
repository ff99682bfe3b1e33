"""What a sweep shows: fronts, knees, the answer, and the page."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.html.sweep import render_sweep
from reports.html.sweep.curves import load_curves
from reports.html.sweep.fronts import cost_front, field_chart
from reports.html.sweep.heat import heat_maps
from reports.sweep.answer import sentences
from reports.sweep.rows import CellRecord, row_of
from reports.sweep.view import SweepView, front, knee

NODES, RATE = "models.m.nodes", "traffic.s.arrivals.rate_per_s"
POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)


def test_a_front_has_the_points_that_no_other_beats_in_both() -> None:
    points = [(1.0, 9.0), (2.0, 5.0), (3.0, 6.0), (4.0, 1.0), (4.0, 2.0)]
    assert front(points, more_x=False, more_y=False) == [0, 1, 3]
    assert front(points, more_x=True, more_y=True) == [0, 2, 4]


@given(POINTS, st.booleans(), st.booleans())
def test_whoever_is_not_on_the_front_is_beaten_and_nobody_on_it_is(
    points: list[tuple[float, float]], more_x: bool, more_y: bool
) -> None:
    better_x, better_y = (1 if more_x else -1), (1 if more_y else -1)

    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        gains = better_x * (one[0] - other[0]), better_y * (one[1] - other[1])
        return min(gains) >= 0 and max(gains) > 0

    on = {points[i] for i in front(points, more_x=more_x, more_y=more_y)}
    assert on == {one for one in points if not any(beats(other, one) for other in points)}


def test_the_knee_is_where_throughput_over_latency_is_greatest() -> None:
    """Of a single server M/M/1 the power is rho (1 - rho), greatest at half of the load."""
    points = [(rho / 10, 1 / (1 - rho / 10)) for rho in range(1, 10)]
    assert knee(points) == 4
    assert points[4][0] == 0.5
    assert knee(points[:4]) is None  # still rising at its end
    assert knee(points[3:5]) is None


def answer(value: float) -> dict[str, float]:
    return {"value": value, "low": 0.9 * value, "high": 1.1 * value}


def cell(nodes: int, rate: float, latency_s: float, state: str = "stable", met: float = 1.0) -> CellRecord:
    metric = {name: answer(latency_s) for name in ("mean", "p50", "p95", "p99")}
    names = ("offered_per_s", "carried_per_s", "output_tokens_per_s", "attainment")
    result = {
        "replications": 3,
        "verdict": {"state": state},
        "rates": {name: answer(rate) for name in names},
        "sources": [
            {
                "name": "s",
                "attainment": answer(met),
                "metrics": {"ttft": metric, "e2e": metric, "tpot": {**metric, "p50": answer(latency_s / 10)}},
            }
        ],
        "work": [
            {
                "model": "m",
                "paid_nodes": float(nodes),
                "requests_per_s": rate,
                "prompt_tokens_per_s": 300 * rate,
                "cached_tokens_per_s": 100 * rate,
                "output_tokens_per_s": 50 * rate,
            }
        ],
        "models": [{"model": "m", "utilisation": answer(0.25), "batch": answer(2.0)}],
        "costs": [
            {
                "model": "m",
                "facts": {"usd_per_hour": {"value": 4.0}},
                "joules_per_1m_output_tokens": answer(2e6),
                "usd_per_1m_output_tokens": answer(0.5),
            }
        ],
        "prices": {"m": {"input_usd_per_1m_tokens": 1.0, "output_usd_per_1m_tokens": 5.0}},
    }
    return CellRecord(f"{nodes}-{rate}", {NODES: nodes, RATE: rate}, "base", result)


def view(*cells: CellRecord, objectives: str = "TTFT ≤ 100 ms") -> SweepView:
    about: dict[str, Any] = {
        "scenario": "study",
        "title": "<b>A study</b>",
        "question": "How many?",
        "fields": [NODES, RATE],
        "variants": ["base"],
        "sources": ["s"],
        "models": ["m"],
        "objectives": objectives,
        "replications": 3,
        "horizon_s": 60,
        "seed": 1,
        "version": {"e80sim": "1", "code": "c", "numpy": "2"},
    }
    short = {NODES: "nodes", RATE: "rate_per_s"}
    rows = [row_of(one) for one in cells]
    return SweepView(about, rows, lambda row: f"nodes {row[NODES]}, rate_per_s {row[RATE]:g}", short)


CELLS = (
    cell(1, 10.0, 0.010),
    cell(1, 20.0, 0.015),
    cell(1, 40.0, 2.0, "overloaded", met=0.1),
    cell(2, 10.0, 0.008),
    cell(2, 20.0, 0.009),
    cell(2, 40.0, 0.050),
)


def test_a_row_has_what_nodes_cost_idle_or_not_and_what_tokens_are_billed() -> None:
    row = row_of(cell(2, 10.0, 0.01))
    assert row["m.nodes_usd_per_hour"] == 8.0
    assert row["m.idle_usd_per_hour"] == 6.0  # busy for a quarter of the time
    assert row["m.joules_per_output_token"] == 2.0
    # 200 fresh tokens of each prompt, 100 cached ones at the same price, 50 of each answer, 36,000 an hour
    assert row["m.billed_input_usd_per_hour"] == pytest.approx(7.2)
    assert row["m.billed_cached_input_usd_per_hour"] == pytest.approx(3.6)
    assert row["m.billed_output_usd_per_hour"] == pytest.approx(9.0)
    assert row["m.output_tokens_per_s_per_node"] == 250.0
    assert row["s.tokens_per_s_per_user"] == pytest.approx(1000.0)
    assert (row["s.ttft_p95_s_low"], row["s.ttft_p95_s_high"]) == pytest.approx((0.009, 0.011))


def test_the_answer_names_the_cheapest_of_those_that_carry_the_most() -> None:
    study = view(*CELLS)
    loads, latencies, most, cheapest = sentences(study.rows, study.about, study.name)
    assert loads == "Of 6 cells 1 is overloaded."
    ends = "8.00 ms (nodes 2, rate_per_s 10) and 50.0 ms (nodes 2, rate_per_s 40)"
    assert latencies == f"TTFT p95 lies between {ends} in cells that keep up."
    carries = "The most that a cell carries while it meets TTFT ≤ 100 ms for 99 % of requests"
    assert most == f"{carries} is 40.0 requests/s."
    assert cheapest == "The cheapest of those that carry it is nodes 2, rate_per_s 40: 8.00 USD per hour."


def test_the_answer_says_so_where_no_cell_is_good() -> None:
    study = view(cell(1, 40.0, 2.0, "overloaded", met=0.1), cell(1, 20.0, 1.0, met=0.5))
    assert (
        sentences(study.rows, study.about, study.name)[-1]
        == "No cell meets TTFT ≤ 100 ms for 99 % of requests."
    )
    missing = view(CellRecord("k", {NODES: 1, RATE: 1.0}, "base", None))
    assert sentences(missing.rows, missing.about, missing.name) == ["None of the 1 cell has a result."]


def test_a_map_has_a_square_for_each_cell() -> None:
    (drawn,) = heat_maps(view(*CELLS))
    trace = drawn.plot["data"][0]
    assert (trace["x"], trace["y"]) == (["10", "20", "40"], ["1", "2"])
    assert trace["text"] == [
        ["10.0", "15.0", "2,000 \N{MULTIPLICATION SIGN}"],
        ["8.00", "9.00", "50.0"],
    ]
    assert trace["z"][0][0] == pytest.approx(-2.0)
    # The colours go from 8 to 50 ms: with the 2 s of the overloaded cell all others would look alike.
    assert (trace["zmin"], trace["zmax"]) == pytest.approx((-2.0969, -1.3010), abs=1e-4)


def test_samples_have_no_map() -> None:
    assert heat_maps(view(*(cell(i, 10.0 + i, 0.01) for i in range(1, 9)))) == []


def test_curves_rise_with_the_load_and_have_their_knees() -> None:
    drawn = load_curves(view(*CELLS))
    assert drawn is not None
    one, two, knees = drawn.plot["data"]
    assert one["x"] == two["x"] == [10.0, 20.0, 40.0]
    assert one["y"] == [10.0, 15.0, 2000.0]
    assert (knees["x"], knees["y"]) == ([20.0, 20.0], [15.0, 9.0])


def test_fronts_are_of_cells_that_keep_up() -> None:
    costs, field = cost_front(view(*CELLS)), field_chart(view(*CELLS))
    assert costs is not None
    assert field is not None
    assert (costs.plot["data"][0]["x"], costs.plot["data"][0]["y"]) == ([4.0, 8.0], [10.0, 8.0])
    # (1000, 500) is beaten by (1111, 500) of two nodes, and (200, 1000) by (667, 1000) of one.
    assert field.plot["data"][0]["x"] == [666.67, 1111.1, 1250.0]
    assert field.plot["data"][0]["y"] == [1000.0, 500.0, 250.0]


def test_the_page_holds_everything_and_no_markup_of_the_scenario() -> None:
    page = render_sweep(
        view(*CELLS, CellRecord("k", {NODES: 3, RATE: 1.0}, "base", None, "it <i>failed</i>"))
    )
    assert "&lt;b&gt;A study&lt;/b&gt;" in page
    assert "<b>A study" not in page
    assert "nodes 3, rate_per_s 1: it &lt;i&gt;failed&lt;/i&gt;" in page
    for identity in ("answer", "maps", "load", "costs", "interactivity", "cells", "reproduce"):
        assert f'<section id="{identity}"' in page
    assert "http" not in page.split("<script>")[0].replace("http-equiv", "")


def test_a_sweep_without_any_result_has_a_page() -> None:
    assert "None of the 1 cell has a result." in render_sweep(
        view(CellRecord("k", {NODES: 1, RATE: 1.0}, "base", None))
    )
