"""What a report says of the course of a run agrees with the records behind it, whatever the hardware."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reports.busy import busy_spans
from reports.columns import by_variant
from reports.stored import whole
from reports.summary import summarise
from sim.run.manifest import manifest
from sim.run.replications import Results
from tests.support.study import plan_of, results_of, rows_of

PS_PER_S = 10**12
SCENARIO = """
name: course
models:
  llama:
    id: m
    llm: llama3.1-8b
    hardware: {preset: h100_vllm, kv_pool_tokens: 6000}
    nodes: 2
    context_tokens: 4096
    limits: {requests_per_minute: 250, tokens_per_minute: 100000000}
network: {places: {here: {kind: region, region: "aws:us-east-1"}}}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 30}
    lengths:
      prompt: {kind: lognormal, median: 300, sigma: 0.7, high: 1500}
      output: {kind: lognormal, median: 150, sigma: 0.9, high: 1500}
    timeout_s: 30
run: {horizon_s: 20, replications: 2, seed: 3}
"""
CHIP = "models.llama.hardware={preset: hc1_pipelined}"
STEP_BY_STEP = "models.llama.batching.async_scheduling=false"


def run(folder: Path, *settings: str, engine: str = "fast") -> tuple[Results, Any]:
    plan = plan_of(SCENARIO, folder, settings)
    results = results_of(plan, engine=engine)
    return results, summarise(results.tables, manifest(plan, results, datetime(2026, 1, 1, tzinfo=UTC), 0.0))


def total(summary: Any, values: dict[str, list[float]]) -> float:
    """Over the whole time, all replications together."""
    edges = summary["series_edges_s"]
    return float(sum(values["mean"]) * (edges[1] - edges[0]) * summary["replications"])


@pytest.mark.parametrize("settings", [(), (CHIP,)], ids=["gpu", "chip"])
def test_what_happened_over_time_adds_up_to_the_counts(tmp_path: Path, settings: tuple[str, ...]) -> None:
    results, summary = run(tmp_path, *settings)
    (one,) = summary["variants"].values()
    rows, counts, everyone = rows_of(results.tables), one["counts"], one["series"]["all"]
    assert counts["rejected_requests_limit"] > 50
    assert total(summary, everyone["offered_per_s"]) == pytest.approx(counts["offered"], rel=1e-5)
    rejected = counts["rejected_requests_limit"] + counts["rejected_context"]
    assert total(summary, everyone["rejected_per_s"]) == pytest.approx(rejected, rel=1e-5)
    carried = [r for r in rows if r["outcome"] == "completed" and r["ended_ps"] < 20 * PS_PER_S]
    assert total(summary, everyone["carried_per_s"]) == pytest.approx(len(carried), rel=1e-5)
    in_system_s = one["little"]["in_system"] * 20 * 2
    assert total(summary, everyone["in_system"]) == pytest.approx(in_system_s, rel=1e-5)
    share = total(summary, one["series"]["models"]["llama"]["utilisation"]) / 40
    assert share == pytest.approx(one["nodes"][0]["utilisation"]["value"], rel=1e-5)


@pytest.mark.parametrize("settings", [(STEP_BY_STEP,), (CHIP,)], ids=["gpu", "chip"])
def test_time_in_steps_by_the_records_is_what_the_nodes_counted(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    """With everybody gone by 200 s, to the picosecond, preemptions and time-outs included.

    An engine that forms steps ahead also makes one for an answer that has ended, which no record tells.
    """
    results, _ = run(tmp_path, "run.drain_s=200", *settings)
    requests = by_variant(results.tables.requests, ["base"])["base"]
    assert requests["preemptions"].sum() > 0 or settings == (CHIP,)
    spans, _ = busy_spans(requests, requests.labelled("model", "llama"), 200 * PS_PER_S)
    counted = sum(node["busy_ps"] for node in results.tables.nodes.to_pylist())
    assert int((spans.end_ps - spans.begin_ps).sum()) == counted


@pytest.mark.parametrize("settings", [(), (CHIP,)], ids=["gpu", "chip"])
def test_gaps_are_as_many_as_second_and_later_tokens_and_alike_for_both_engines(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    calm = ("traffic.chat.arrivals.rate_per_s=8", "run.horizon_s=40", *settings)
    results, summary = run(tmp_path, *calm)
    assert results.tables.gaps is not None
    inside = [
        r for r in rows_of(results.tables) if r["first_ps"] is not None and r["last_ps"] < 40 * PS_PER_S
    ]
    across = [r for r in rows_of(results.tables) if r not in inside and r["first_ps"] is not None]
    listed = sum(row["output_tokens"] - 1 for row in inside)
    (found,) = next(iter(summary["variants"].values()))["itl"]
    assert listed <= found["gaps"] <= listed + sum(row["output_tokens"] - 1 for row in across)
    assert len(across) < 0.1 * len(inside)
    slow, _ = run(tmp_path, *calm, engine="step")
    assert slow.tables.gaps is not None
    assert slow.tables.gaps.equals(whole(results.tables.gaps))
