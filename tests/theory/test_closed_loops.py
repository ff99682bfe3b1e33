"""Closed-loop users of one server: the machine-repair model, a queue that its own callers fill."""

from pathlib import Path

import pytest

from tests.support.study import assert_agrees, summary_of

pytestmark = pytest.mark.theory

REPLICATIONS = 20
REPAIR = """
name: repair
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      decode_step_ms: 5
      pipeline_depth: 64
      max_concurrent_sequences: 1
      request_overhead_ms: 0
      kv_pool_tokens: 1000000
    context_tokens: 100000
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  machines:
    place: here
    model: m
    arrivals: {kind: ramp, users: 5}
    callers: {kind: closed_loop, think: {kind: exponential, mean: 4}}
    lengths:
      prompt: {kind: fixed, tokens: 1}
      output: {kind: geometric, mean: 200}
run: {horizon_s: 400, warm_up_s: 50, replications: 20, seed: 1950}
"""


@pytest.mark.parametrize(
    ("output", "carried_per_s", "waits_s"),
    [
        ("{kind: geometric, mean: 200}", 0.800933, 2.242723),
        ("{kind: fixed, tokens: 200}", 0.846699, 1.905287),
    ],
)
def test_five_users_of_one_server_are_the_machine_repair_model(
    tmp_path: Path, output: str, carried_per_s: float, waits_s: float
) -> None:
    # N = 5 users think for 1/a = 4 s, exponential, and one at a time is served, for 200 steps of 5 ms: 1 s.
    # A busy period has A = sum over r of C(N-1, r) prod over j = 1..r of (1/f(ja) - 1) services, f being the
    # Laplace transform of their length (Takacs 1962), and idle ones last 1/(Na) = 0.8 s. Exponential, which
    # 200 geometric steps come near: A = 3.21875. Constant (Ashcroft 1950), 1/f(ja) = exp(j/4): A = 4.418507.
    # X = A / (0.8 + A); by Little's law of the cycle the answer takes N / X - 4 s.
    (variant,) = summary_of(REPAIR, tmp_path, [f"traffic.machines.lengths.output={output}"])[
        "variants"
    ].values()
    assert_agrees(variant["rates"]["carried_per_s"], carried_per_s, REPLICATIONS, precision=0.03)
    (group,) = variant["groups"]
    assert_agrees(group["metrics"]["e2e"]["mean"], waits_s, REPLICATIONS, precision=0.06)


def test_one_user_alone_waits_for_nobody(tmp_path: Path) -> None:
    settings = [
        "traffic.machines.arrivals.users=1",
        "traffic.machines.lengths.output={kind: fixed, tokens: 200}",
    ]
    (group,) = summary_of(REPAIR, tmp_path, [*settings, "run.horizon_s=200"])["variants"]["base"]["groups"]
    assert group["metrics"]["e2e"]["mean"]["value"] == pytest.approx(1.0)
