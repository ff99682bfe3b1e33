"""The fast-forward kernel and the per-step engine leave the same tables, whatever the scenario."""

from pathlib import Path

import pytest

from sim.run.replications import Task, simulate
from sim.scenario.load import load

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


@pytest.mark.parametrize("name", ["edge-vs-cloud", "rate-limits", "tight"])
def test_both_engines_leave_the_same_tables(name: str, tmp_path: Path) -> None:
    file = SCENARIOS / f"{name}.yaml"
    if name == "tight":
        file = tmp_path / "tight.yaml"
        file.write_text(TIGHT_GPU, encoding="utf-8")
    plan = load(file, ["run.horizon_s=15", "run.warm_up_s=0"])
    for variant, scenario in list(plan.variants.items())[:2]:
        step, fast = (simulate(Task(variant, scenario, 7, 0, engine)).tables for engine in ("step", "fast"))
        assert step.requests.equals(fast.requests)
        assert step.nodes.equals(fast.nodes)
        if step.user_requests is not None:
            assert fast.user_requests is not None
            assert step.user_requests.equals(fast.user_requests)


def test_the_tight_scenario_preempts_and_times_out(tmp_path: Path) -> None:
    file = tmp_path / "tight.yaml"
    file.write_text(TIGHT_GPU, encoding="utf-8")
    tables = simulate(Task("base", load(file).base, 7, 0, "fast")).tables
    assert int(tables.nodes["preemptions"].to_numpy().sum()) > 20
    outcomes = tables.requests["outcome"].to_pylist()
    assert outcomes.count("timeout") > 20
    assert outcomes.count("completed") > 20
