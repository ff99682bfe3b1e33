"""Nodes of several GPUs in a scenario: mistakes with their place, and whole runs of ranks that keep step."""

from pathlib import Path

import pytest

from reports.stored import whole
from sim.run.replications import Task, simulate
from sim.run.report_context import facts
from sim.scenario.load import load
from sim.scenario.source_map import ScenarioError

RANKS = """name: ranks
models:
  oss:
    id: oss
    llm: gpt-oss-20b
    hardware: {preset: h100, data_parallel: 3, kv_pool_tokens: 3000}
    nodes: 2
    context_tokens: 2000
    batching: {max_num_seqs: 8, max_num_batched_tokens: 512, enable_prefix_caching: true}
network: {places: {here: {kind: custom, rtt_ms: 1}}}
traffic:
  chat:
    place: here
    model: oss
    timeout_s: 2
    arrivals: {kind: poisson, rate_per_s: 60}
    lengths:
      prompt: {kind: lognormal, median: 300, sigma: 0.8, high: 1500}
      output: {kind: lognormal, median: 50, sigma: 0.7, high: 400}
faults:
  crash: {kind: node_crash, model: oss, nodes: [0], at_s: 2, for_s: 1, requests: fail}
  slow: {kind: slow_node, model: oss, nodes: [1], at_s: 3, for_s: 1, factor: 3}
run: {horizon_s: 4, replications: 1}
"""


def written(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = RANKS
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path = tmp_path / "ranks.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("before", "after", "place", "sentence"),
    [
        ("data_parallel: 3", "tensor_parallel: 7", ":6:", "tensor_parallel 7 does not suit gpt-oss-20b"),
        ("data_parallel: 3", "data_parallel: 40", ":6:", "it has 32 experts, and each rank needs one"),
        ("llm: gpt-oss-20b", "llm: llama3.1-8b", ":6:", "it has no experts to share, so state nodes: 3"),
        ("data_parallel: 3", "tensor_parallel: 2, link: nvlink9", ":6:", "no link 'nvlink9'"),
        (
            "max_num_seqs: 8",
            "admission: static",
            ":9:",
            "the 3 ranks of data_parallel keep step, and a `static`",
        ),
        (
            "max_num_seqs: 8",
            "prefill: whole, max_num_seqs: 8",
            ":9:",
            "prompts in steps of their own would stop",
        ),
        ("max_num_seqs: 8", "async_scheduling: true", ":9:", "which each forms when the one before is over"),
        ("nodes: 2", "nodes: 2\n    disaggregated: {prefill_nodes: 1}", ":8:", "leave one of the two out"),
    ],
)
def test_what_gpus_cannot_share_is_refused_where_it_stands(
    tmp_path: Path, before: str, after: str, place: str, sentence: str
) -> None:
    with pytest.raises(ScenarioError) as refused:
        load(written(tmp_path, (before, after)))
    assert place in str(refused.value)
    assert sentence in str(refused.value)


def test_ranks_that_keep_step_leave_the_same_tables_with_either_engine(tmp_path: Path) -> None:
    scenario = load(written(tmp_path)).base
    step, fast = (simulate(Task("base", scenario, 7, 0, engine)).tables for engine in ("step", "fast"))
    assert step.requests.equals(whole(fast.requests))
    assert step.nodes.equals(whole(fast.nodes))
    outcomes = set(step.requests["outcome"].to_pylist())
    assert {"completed", "node_lost"} <= outcomes, outcomes
    assert step.nodes["kv_blocks"].to_pylist() == [3 * 187] * 2, "each of three ranks has 3,000 tokens"


def test_a_report_counts_power_and_price_of_every_gpu(tmp_path: Path) -> None:
    plan = load(written(tmp_path, ("data_parallel: 3", "tensor_parallel: 2")))
    costs = facts(plan, ("base",))["models"]["oss"]["costs"]
    assert {name: cost["value"] for name, cost in costs.items()} == {
        "idle_w": 160,
        "busy_w": 910,
        "usd_per_hour": 6,
    }
    assert costs["busy_w"]["source"].startswith("2 GPUs; argonne-lcf")
