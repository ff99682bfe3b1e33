"""Latencies in closed form: by hand, and against what is simulated."""

from pathlib import Path
from typing import Any

import pytest

from sim.bounds.expected import Wait, expected_of
from tests.sim.bounds.test_ladder import TINY
from tests.support.study import plan_of, results_of, rows_of

ONE_SLOT = ("models.m.batching.max_num_seqs=1", "traffic.s.arrivals.rate_per_s=5")


def test_an_m_d_1_queue_by_hand(tmp_path: Path) -> None:
    # A slot for 110 ms, 5 a second: used to 0.55, so the mean wait is 0.55 / 0.45 / 2 x 110 = 67.2 ms. A
    # prefill and ten steps follow, 10 ms each, and 20 ms of network.
    base = plan_of(TINY, tmp_path, [*ONE_SLOT, "network.places.here.rtt_ms=20"]).base
    found = expected_of(base)["s"].answers()
    assert found["ttft"]["mean"] == pytest.approx(0.0672 + 0.010 + 0.020, rel=0.01)
    assert found["e2e"]["mean"] == pytest.approx(0.0672 + 0.110 + 0.020, rel=0.01)
    assert found["tpot"]["p99"] == pytest.approx(0.010)


def test_nothing_is_expected_of_nodes_that_carry_less_than_is_asked(tmp_path: Path) -> None:
    # One slot carries 9.09 a second.
    assert expected_of(plan_of(TINY, tmp_path, [ONE_SLOT[0], "traffic.s.arrivals.rate_per_s=9.2"]).base) == {}
    assert expected_of(plan_of(TINY, tmp_path, [ONE_SLOT[0], "traffic.s.arrivals.rate_per_s=9"]).base)


def test_attainment_is_the_share_within_all_objectives(tmp_path: Path) -> None:
    slo = "slo={ttft_ms: 10.5, tpot_ms: 12}"
    base = plan_of(TINY, tmp_path, [*ONE_SLOT, slo]).base
    # Who need not wait at all has a first token after 10 ms: 45 of 100.
    assert expected_of(base)["s"].attainment == pytest.approx(0.45, abs=0.01)
    assert expected_of(plan_of(TINY, tmp_path, [*ONE_SLOT, "slo.tpot_ms=9"]).base)["s"].attainment == 0


@pytest.mark.parametrize("rate", [8, 24])
def test_a_gpu_node_takes_as_long_as_it_says(tmp_path: Path, rate: float) -> None:
    text = TINY.replace("max_num_seqs: 8", "max_num_seqs: 64")
    settings = [
        "models.m.hardware={preset: h100_vllm}",
        f"traffic.s.arrivals.rate_per_s={rate}",
        "traffic.s.lengths={prompt: {kind: geometric, mean: 300}, output: {kind: geometric, mean: 60}}",
        "run.horizon_s=30",
    ]
    plan = plan_of(text, tmp_path, settings)
    found = expected_of(plan.base)["s"].answers()
    done = [row for row in rows_of(results_of(plan).tables) if row["outcome"] == "completed"]

    def mean(values: list[Any]) -> float:
        return sum(map(float, values)) / len(values) / 1e12

    # Measured within 2 % of TTFT and 4 % of TPOT; chance has 3 % of the lengths.
    assert found["ttft"]["mean"] == pytest.approx(
        mean([row["first_seen_ps"] - row["intended_ps"] for row in done]), rel=0.05
    )
    tokens = [row for row in done if row["output_tokens"] > 1]
    steps = [(row["ended_ps"] - row["first_seen_ps"]) / (row["output_tokens"] - 1) for row in tokens]
    assert found["tpot"]["mean"] == pytest.approx(mean(steps), rel=0.05)


def test_a_wait_that_hardly_anybody_has_takes_nobodys_time() -> None:
    # Of so many nodes that all their slots are taken less often than a float can say the inverse of.
    assert list(Wait(1e-310, 1e-312).spread(4)) == [0, 0, 0, 0]
    # Half wait, 1 s on average: 2 s of those who do. Of four the last two, at 5/8 and 7/8: 2 ln(4/3), 2 ln 4.
    assert sorted(Wait(0.5, 1.0).spread(4)) == pytest.approx([0, 0, 0.5754, 2.7726], abs=1e-4)
