"""A node that serves one request at a time is a textbook queue; run through a scenario file it obeys it.

With Poisson arrivals of rate l and service time S the wait is l E[S^2] / (2 (1 - l E[S])) (Pollaczek 1930,
Khinchine 1932), and for a fixed S = D that is M/D/1.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.support.study import assert_agrees, summary_of

pytestmark = pytest.mark.theory

REPLICATIONS = 20

QUEUE = """
name: single-server
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      prefill_ms_per_token: 10
      decode_step_ms: 5
      request_overhead_ms: 0
      kv_pool_tokens: 2000
      max_concurrent_sequences: 1
    context_tokens: 2000
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  callers:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 5}
    lengths:
      prompt: {kind: fixed, tokens: 10}
      output: {kind: fixed, tokens: 1}
run: {horizon_s: 450, warm_up_s: 20, replications: 20, seed: 1917}
"""


@pytest.fixture(scope="module", params=["fast", "step"])
def half_load(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The only variant of the scenario above, simulated by either kernel."""
    return summary_of(QUEUE, tmp_path_factory.mktemp("queue"), engine=request.param)["variants"]["base"]


def test_a_node_of_fixed_service_is_an_m_d_1_queue_at_half_load(half_load: Any) -> None:
    # D = 10 tokens x 10 ms = 0.1 s, l = 5/s: wait 5 x 0.01 / (2 x 0.5) = 0.05 s, and 0.15 s in all.
    (group,) = half_load["groups"]
    assert_agrees(group["metrics"]["queue"]["mean"], 0.05, REPLICATIONS, precision=0.045)
    assert_agrees(group["metrics"]["e2e"]["mean"], 0.15, REPLICATIONS)
    assert_agrees(half_load["nodes"][0]["utilisation"], 0.5, REPLICATIONS)
    assert half_load["verdict"]["state"] == "stable"


def test_littles_law_holds_in_the_summary(half_load: Any) -> None:
    # L = 5/s x 0.15 s = 0.75 by the time average, and by arrival rate times mean stay.
    little = half_load["little"]
    assert little["in_system"] == pytest.approx(0.75, rel=0.02)
    assert little["arrival_rate_times_time"] == pytest.approx(little["in_system"], rel=0.001)
    assert abs(little["relative_difference"]) < 0.001


def test_a_node_of_fixed_service_is_an_m_d_1_queue_at_higher_load(tmp_path: Path) -> None:
    # l = 7/s: wait 7 x 0.01 / (2 x 0.3) = 0.116667 s, and 0.216667 s in all.
    settings = ["traffic.callers.arrivals.rate_per_s=7", "run.horizon_s=550"]
    (group,) = summary_of(QUEUE, tmp_path, settings)["variants"]["base"]["groups"]
    assert_agrees(group["metrics"]["e2e"]["mean"], 0.2166667, REPLICATIONS)


def test_a_node_whose_prompts_cost_nothing_is_an_m_m_1_queue(tmp_path: Path) -> None:
    # Prompts take a picosecond. O geometric with mean 1001 makes (O - 1) x 0.1 ms as good as exponential with
    # mean 0.1 s: at l = 5/s the stay is exponential too, with mean 1 / (10 - 5) = 0.2 s and 95 % of the stays
    # within 0.2 ln 20 = 0.599146 s.
    settings = [
        "models.m.hardware.prefill_ms_per_token=0",
        "models.m.hardware.decode_step_ms=0.1",
        "models.m.hardware.kv_pool_tokens=100000",
        "models.m.context_tokens=100000",
        "traffic.callers.lengths.output={kind: geometric, mean: 1001}",
        "run.horizon_s=350",
    ]
    (group,) = summary_of(QUEUE, tmp_path, settings)["variants"]["base"]["groups"]
    assert_agrees(group["metrics"]["e2e"]["mean"], 0.2, REPLICATIONS, precision=0.06)
    assert_agrees(group["metrics"]["e2e"]["p95"], 0.599146, REPLICATIONS, precision=0.075)
    assert_agrees(group["metrics"]["queue"]["mean"], 0.1, REPLICATIONS, precision=0.09)
    assert group["phases"]["prefill"]["value"] < 1e-11


def test_geometric_outputs_wait_as_pollaczek_and_khinchine_say(tmp_path: Path) -> None:
    # S = 0.1 s of prefill and (O - 1) x 5 ms of decoding, O geometric with mean 11: its variance is
    # 11 x 10 = 110. E[S] = 0.1 + 10 x 0.005 = 0.15 s; Var[S] = 110 x 0.005^2 = 0.00275 s^2;
    # E[S^2] = 0.0225 + 0.00275 = 0.02525 s^2. At l = 3/s the load is 0.45 and
    # the wait 3 x 0.02525 / (2 x 0.55) = 0.0688636 s, in all 0.2188636 s.
    settings = [
        "traffic.callers.arrivals.rate_per_s=3",
        "traffic.callers.lengths.output={kind: geometric, mean: 11}",
        "run.horizon_s=700",
    ]
    (group,) = summary_of(QUEUE, tmp_path, settings)["variants"]["base"]["groups"]
    assert_agrees(group["metrics"]["queue"]["mean"], 0.0688636, REPLICATIONS, precision=0.045)
    assert_agrees(group["metrics"]["e2e"]["mean"], 0.2188636, REPLICATIONS)
    assert group["phases"]["prefill"]["value"] == pytest.approx(0.1)
    assert_agrees(group["phases"]["decode"], 0.05, REPLICATIONS)
