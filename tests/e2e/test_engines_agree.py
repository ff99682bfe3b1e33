"""The fast-forward kernel and the per-step engine leave the same tables, whatever the scenario."""

from pathlib import Path

import pytest

from reports.stored import whole
from sim.run.replications import Task, simulate
from sim.scenario.load import load
from tests.support.study import plan_of, results_of, summary_of

SCENARIOS = Path(__file__).parents[2] / "scenarios"

TIGHT_GPU = """
name: tight
models:
  llama:
    id: m
    llm: llama3.1-8b
    hardware: {preset: h100_vllm, kv_pool_tokens: 6000}
    nodes: 2
    context_tokens: 4000
    batching: {max_num_seqs: 24, max_num_batched_tokens: 512}
network:
  places:
    here: {kind: region, region: "gcp:us-east4"}
traffic:
  chat:
    place: here
    model: llama
    timeout_s: 4
    arrivals: {kind: poisson, rate_per_s: 12}
    lengths:
      prompt: {kind: lognormal, median: 500, sigma: 0.8, high: 3000}
      output: {kind: lognormal, median: 200, sigma: 0.8, high: 900}
run: {horizon_s: 20, replications: 1}
"""


NO_TIME = """
name: no-time
models:
  chip:
    id: c
    llm: llama3.1-8b
    hardware: {preset: hc1, prefill_ms_per_token: 0, prefill_fixed_ms: 0, decode_step_ms: 1.0e-12}
    context_tokens: 4000
  gpu:
    id: g
    llm: llama3.1-8b
    hardware: {kind: gpu_iteration, t_fixed_ms: 0, t_host_ms: 0, t_weights_ms: 0, ms_per_token: 0, p_norm: 1,
      ms_per_attn_pair: 0, ms_per_kv_token: 0, ms_per_sequence: 0, kv_pool_tokens: 100000,
      prefill_tile_tokens: 0, mixed_kv_multiplier: 1}
    context_tokens: 4000
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  chat:
    place: here
    model: chip
    arrivals: &arrivals {kind: poisson, rate_per_s: 20}
    lengths: &lengths {prompt: {kind: fixed, tokens: 500}, output: {kind: fixed, tokens: 50}}
  talk: {place: here, model: gpu, arrivals: *arrivals, lengths: *lengths}
run: {horizon_s: 10, replications: 1}
"""


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_hardware_that_takes_no_time_takes_a_picosecond_a_step(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "no-time.yaml"
    file.write_text(NO_TIME, encoding="utf-8")
    tables = simulate(Task("base", load(file).base, 7, 0, engine)).tables
    rows = tables.requests.to_pylist()
    assert len(rows) > 300
    for row in rows:
        assert row["outcome"] == "completed"
        assert row["first_ps"] - row["started_ps"] == 1
        assert row["ended_ps"] - row["started_ps"] == 50
    for node in tables.nodes.to_pylist():  # of work by the picosecond a mean batch can be told as well
        assert node["busy_ps"] == node["sequence_rest_ps"] > 0


LONG = """
name: long
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      prefill_fixed_ms: 0
      request_overhead_ms: 0
      decode_step_ms: 1000.000001
      pipeline_depth: 200
      decode_ms_per_kv_token: 0
      max_concurrent_sequences: 200
      kv_pool_tokens: 20_000_000
    context_tokens: 100_000
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  chat:
    place: here
    model: m
    arrivals: {kind: constant, rate_per_s: 1}
    lengths: {prompt: {kind: fixed, tokens: 1}, output: {kind: fixed, tokens: 90_000}}
run: {horizon_s: 120, drain_s: 200_000, replications: 1}
"""


def test_more_sequence_time_than_64_bits_of_picoseconds_is_recorded_whole(tmp_path: Path) -> None:
    # Of 119 requests each is in 90,000 steps of a second and a nanosecond, some 1.16 x 2^63 ps in all.
    (node,) = results_of(plan_of(LONG, tmp_path)).tables.nodes.to_pylist()
    assert (node["sequence_s"], node["sequence_rest_ps"]) == (10_710_000, 10_710_000_000)
    (row,) = summary_of(LONG, tmp_path)["variants"]["base"]["nodes"]
    # The last one comes 118 steps after the first.
    assert row["batch"]["value"] == pytest.approx(119 * 90_000 / (90_000 + 118), rel=1e-4)


@pytest.mark.parametrize("name", ["edge-vs-cloud", "rate-limits", "tight", "agents", "chat-sessions"])
def test_both_engines_leave_the_same_tables(name: str, tmp_path: Path) -> None:
    file = SCENARIOS / f"{name}.yaml"
    if name == "tight":
        file = tmp_path / "tight.yaml"
        file.write_text(TIGHT_GPU, encoding="utf-8")
    plan = load(file, ["run.horizon_s=15", "run.warm_up_s=0", "run.drain_s=15"])
    for variant, scenario in list(plan.variants.items())[:2]:
        step, fast = (simulate(Task(variant, scenario, 7, 0, engine)).tables for engine in ("step", "fast"))
        assert step.requests.equals(whole(fast.requests))
        assert step.nodes.equals(whole(fast.nodes))
        assert step.gaps is not None
        assert fast.gaps is not None
        assert step.gaps.equals(whole(fast.gaps))
        for table in ("user_requests", "sessions", "agent_steps"):
            plain, quick = getattr(step, table), getattr(fast, table)
            assert (plain is None) == (quick is None)
            assert plain is None or plain.equals(quick)


def test_the_tight_scenario_preempts_and_times_out(tmp_path: Path) -> None:
    file = tmp_path / "tight.yaml"
    file.write_text(TIGHT_GPU, encoding="utf-8")
    tables = simulate(Task("base", load(file).base, 7, 0, "fast")).tables
    assert int(tables.nodes["preemptions"].to_numpy().sum()) > 20
    outcomes = tables.requests["outcome"].to_pylist()
    assert outcomes.count("timeout") > 20
    assert outcomes.count("completed") > 20
