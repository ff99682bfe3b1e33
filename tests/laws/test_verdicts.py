"""Verdicts on whole runs: a queue is told from a load that rises, whatever holds the requests up."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.study import summary_of

# Every answer takes 5 s: 100 steps of 50 ms, shared with up to 2,000 others.
ROOMY = """
name: verdicts
models:
  llama:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      decode_step_ms: 50
      pipeline_depth: 2000
      max_concurrent_sequences: 2000
      request_overhead_ms: 0
      kv_pool_tokens: 1000000
    context_tokens: 2000
network: {places: {here: {kind: custom, rtt_ms: 0}}}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 25}
    lengths: {prompt: {kind: fixed, tokens: 1}, output: {kind: fixed, tokens: 99}}
run: {horizon_s: 60, replications: 2, seed: 11}
"""
ARRIVALS = "traffic.chat.arrivals="
RAMP = [f"{{until_s: {5 * k + 5}, rate_per_s: {10 + 2.5 * k:g}}}" for k in range(12)]
RISING = f"{ARRIVALS}{{kind: modulated, rate: {{kind: piecewise, segments: [{', '.join(RAMP)}]}}}}"
"""From 10 to 37.5 a second."""
ENDS_ON = (
    f"{ARRIVALS}{{kind: modulated, rate: {{kind: piecewise, repeat: true, segments: "
    "[{until_s: 10, rate_per_s: 0}, {until_s: 20, rate_per_s: 60}]}}"
)
DOUBLING = (
    f"{ARRIVALS}{{kind: modulated, rate: {{kind: piecewise, segments: [{{until_s: 20, rate_per_s: 20}}, "
    "{until_s: 40, rate_per_s: 40}, {until_s: 60, rate_per_s: 80}]}}"
)
EXCLUSIVE = (
    "models.llama.hardware={kind: hardwired_asic, prefill_ms_per_token: 10, decode_step_ms: 5, "
    "request_overhead_ms: 0, kv_pool_tokens: 2000, max_concurrent_sequences: 1}"
)
"""A prompt of one token and one of output take 10 ms: 100 a second."""
HELD = (
    "models.llama.hardware={kind: hardwired_asic, prefill_ms_per_token: 1, decode_step_ms: 5, "
    "request_overhead_ms: 9, overhead_holds_slot: true, kv_pool_tokens: 2000, max_concurrent_sequences: 1}"
)
"""The same, of which 9 ms are no step."""
SHORT = "traffic.chat.lengths.output={kind: fixed, tokens: 1}"
H100 = "models.llama.hardware={preset: h100_vllm}"
FEW_SLOTS = "models.llama.batching={max_num_seqs: 60}"
"""Of 5 s each: 12 a second."""
SMALL_POOL = "models.llama.hardware.kv_pool_tokens=3000"
"""Of up to 100 tokens each, 50 on average: the same."""
LONG = "traffic.chat.lengths={prompt: {kind: fixed, tokens: 500}, output: {kind: fixed, tokens: 250}}"
STABLE = [
    (),
    (RISING,),
    (RISING, "run.drain_s=0"),
    (ENDS_ON,),
    (ENDS_ON, "run.replications=6"),
    (EXCLUSIVE, SHORT, "traffic.chat.arrivals.rate_per_s=50"),
    (HELD, SHORT, "traffic.chat.arrivals.rate_per_s=50"),
    ("traffic.chat.arrivals.rate_per_s=0.05",),
    ("run.horizon_s=0.5",),
    (H100, LONG, "traffic.chat.arrivals.rate_per_s=2"),
    (H100, LONG, "models.llama.nodes=40", DOUBLING),
    ("traffic.chat.timeout_s=4",),
    # Somebody always waits for the end of a step, and every answer takes longer than its caller waits.
    ("traffic.chat.timeout_s=4", "traffic.chat.arrivals.rate_per_s=200"),
    (FEW_SLOTS, "models.llama.limits={requests_per_minute: 300, tokens_per_minute: 100000000}"),
]
OVERLOADED = [
    (FEW_SLOTS,),
    (FEW_SLOTS, "run.drain_s=0"),
    (FEW_SLOTS, "traffic.chat.timeout_s=12"),
    (SMALL_POOL,),
    (EXCLUSIVE, SHORT, "traffic.chat.arrivals.rate_per_s=200"),
    (EXCLUSIVE, SHORT, "traffic.chat.arrivals={kind: constant, rate_per_s: 200}", "run.replications=1"),
    (HELD, SHORT, "traffic.chat.arrivals.rate_per_s=200"),
    (H100, LONG, "traffic.chat.arrivals.rate_per_s=60"),
    ("gateway={overhead_ms: 80, concurrency: 1}",),
    (RISING, "models.llama.batching={max_num_seqs: 80}"),  # 16 a second
]


def judged(folder: Path, *settings: str) -> Any:
    return summary_of(ROOMY, folder, settings)["variants"]["base"]["verdict"]


@pytest.mark.parametrize("settings", STABLE)
def test_without_waiting_that_grows_a_platform_is_stable(tmp_path: Path, settings: tuple[str, ...]) -> None:
    found = judged(tmp_path, *settings)
    assert found["state"] == "stable", found["why"]


@pytest.mark.parametrize("settings", OVERLOADED)
def test_more_than_it_can_do_is_overload_whatever_it_runs_out_of(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    found = judged(tmp_path, *settings)
    assert found["state"] == "overloaded", found["why"]


def test_a_load_that_exceeds_the_capacity_at_the_end_alone_is_a_backlog(tmp_path: Path) -> None:
    found = judged(tmp_path, RISING, "models.llama.batching={max_num_seqs: 140}")  # 28 a second
    assert found["state"] == "backlogged", found["why"]
    assert "The rate changes by itself (modulated)" in found["why"]


def test_the_smaller_of_two_models_tells_where_it_is_overloaded(tmp_path: Path) -> None:
    small = {**yaml.safe_load(ROOMY)["models"]["llama"], "id": "s", "batching": {"max_num_seqs": 1}}
    both = yaml.safe_load(ROOMY)
    both["models"]["small"] = small
    asks = {"model": "small", "arrivals": {"kind": "poisson", "rate_per_s": 0.4}}
    both["traffic"]["few"] = {**both["traffic"]["chat"], **asks}
    found = summary_of(yaml.safe_dump(both), tmp_path, ["run.horizon_s=200"])["variants"]["base"]["verdict"]
    assert found["state"] == "overloaded"
    assert found["models"] == {"llama": "stable", "small": "overloaded"}
    assert found["why"].startswith("Small: It carried")
