"""Under Poisson traffic each rate-limit algorithm refuses a share that has a closed form.

A token bucket of burst B and rate r is M/D/1 with D = 1/r that turns away whoever finds more than (B - 1) D
of work: with U = sum_k e^{l(x - kD)} (-l(x - kD))^k / k! at x = (B - 1) D it refuses 1 - U / (1 + l D U).
A sliding window of L is M/D/L/L: Erlang's B(L, l W). A fixed window refuses E[(N - L)+] / E[N] with
N ~ Poisson(l W). A sliding window over tokens is a multi-rate loss system: Kaufman (1981), Roberts (1981).
"""

from pathlib import Path
from typing import Any

import pytest

from tests.support.study import assert_agrees, summary_of

pytestmark = pytest.mark.theory

REPLICATIONS = 20

LIMITED = """
name: limited
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      {kind: hardwired_asic, prefill_ms_per_token: 0.1, decode_step_ms: 0.1, kv_pool_tokens: 1000}
    context_tokens: 1000
    limits: {requests_per_minute: 3, tokens_per_minute: 1000000, algorithm: token_bucket}
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  small:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 0.05}
    lengths: {prompt: {kind: fixed, tokens: 1}, output: {kind: fixed, tokens: 1}}
    max_output_tokens: 1
run: {horizon_s: 12000, warm_up_s: 600, replications: 20, seed: 1917}
"""


def refused(group: Any) -> dict[str, float]:
    """Without objectives, whoever is not refused attains them."""
    met = group["attainment"]
    return {"value": 1 - met["value"], "low": 1 - met["high"], "high": 1 - met["low"]}


@pytest.mark.parametrize(
    ("algorithm", "share", "horizon_s"),
    [
        # 3 requests a minute against a limit of 3. Token bucket: x = 2 D, U = e^2 - e + 0 = 4.67077. Sliding:
        # (3^3 / 6) / (1 + 3 + 4.5 + 4.5) = 4.5 / 13. Fixed: E[(N - 3)+] = E[(3 - N)+] = 13.5 e^-3, over 3.
        ("token_bucket", 0.1763431, 32_000),
        ("sliding_window", 0.3461538, 16_000),
        ("fixed_window", 0.2240418, 24_000),
        # One comes back every 20 s, in which one is asked for on average. At the turns the tokens left are a
        # Markov chain, x -> min(3, max(0, x - N) + 1) with N ~ Poisson(1), at 1, 2 and 3 in 0.29937, 0.29288
        # and 0.40775 of the quanta; refused are E[(N - x)+] of each.
        ("quantised, quantum_s: 20", 0.1500023, 20_000),
        # A window of 6 s, in which 3 of 3 are let in: the same as of a minute.
        ("sliding_window, window_s: 6, requests_per_minute: 30", 0.3461538, 1_400),
    ],
)
def test_each_algorithm_refuses_its_own_share_of_the_same_requests(
    tmp_path: Path, algorithm: str, share: float, horizon_s: int
) -> None:
    limits = "requests_per_minute: 3, tokens_per_minute: 1000000"
    if "requests_per_minute" in algorithm:
        limits = "tokens_per_minute: 1000000"
    settings = [f"models.m.limits={{{limits}, algorithm: {algorithm}}}", f"run.horizon_s={horizon_s}"]
    if "window_s: 6," in algorithm:
        settings += ["traffic.small.arrivals.rate_per_s=0.5", "run.warm_up_s=60"]
    (group,) = summary_of(LIMITED, tmp_path, settings)["variants"]["base"]["groups"]
    assert_agrees(refused(group), share, REPLICATIONS, precision=0.06)
    assert group["counts"]["rejected_requests_limit"] > 0
    assert group["counts"]["rejected_tokens_limit"] == 0


def test_a_token_limit_refuses_large_requests_more_often_than_small_ones(tmp_path: Path) -> None:
    # 100 tokens a minute; 36 requests of 2 tokens and 9 of 10 a minute, 162 tokens in all. Kaufman-Roberts:
    # q(j) = (36 x 2 q(j-2) + 9 x 10 q(j-10)) / j; blocked are the top 2 and the top 10 of the 101 states.
    settings = [
        "models.m.limits={requests_per_minute: 1000000, tokens_per_minute: 100, algorithm: sliding_window}",
        "traffic.small.arrivals.rate_per_s=0.6",
        "traffic.large={place: here, model: m, max_output_tokens: 1}",
        "traffic.large.arrivals={kind: poisson, rate_per_s: 0.15}",
        "traffic.large.lengths={prompt: {kind: fixed, tokens: 9}, output: {kind: fixed, tokens: 1}}",
        "run.horizon_s=3600",
    ]
    small, large = summary_of(LIMITED, tmp_path, settings)["variants"]["base"]["groups"]
    assert_agrees(refused(small), 0.1727662, REPLICATIONS, precision=0.06)
    assert_agrees(refused(large), 0.6412840, REPLICATIONS, precision=0.06)
    assert small["counts"]["rejected_requests_limit"] == 0
