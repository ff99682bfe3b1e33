"""Of a run whose tables are too long for memory summary and report read each column a few times."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reports.html import report_of
from reports.run_directory import Run
from reports.stored import StoredTable
from reports.summary import summarise
from sim.run.manifest import manifest
from sim.run.replications import run_all
from tests.support.reads import Reads
from tests.support.study import plan_of, results_of

SCENARIO = """
name: several-variants
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, decode_step_ms: 1, prefill_ms_per_token: 0.1, kv_pool_tokens: 9000}
    nodes: 2
    context_tokens: 2000
network:
  places: {here: {kind: edge}, away: {kind: internet, access: cable, near: "aws:us-east-1"}}
apps: {agent: {place: here, model: m, calls: 2}}
traffic:
  near: {place: here, model: m, arrivals: &ten {kind: poisson, rate_per_s: 10}, lengths: &lengths
    {prompt: {kind: fixed, tokens: 50}, output: {kind: fixed, tokens: 20}}}
  far: {place: away, model: m, arrivals: *ten, lengths: *lengths}
  asked: {place: away, app: agent, arrivals: {kind: poisson, rate_per_s: 5}, lengths: *lengths}
run: {horizon_s: 4, replications: 3}
variants:
  one: {}
  two: {set: {apps.agent.calls: 3}}
  three: {set: {models.m.nodes: 1}}
  four: {set: {apps.agent.place: away}}
"""


def test_summary_and_report_read_a_column_of_a_long_run_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,657 requests; a variant of them is short, all together are long."""
    plan = plan_of(SCENARIO, tmp_path)
    in_memory = results_of(plan)
    for module in ("reports.stored", "sim.run.replications", "reports.explained.scene"):
        monkeypatch.setattr(f"{module}.LARGE", 700)
    monkeypatch.setattr("reports.stored.SHORT_GROUP", 50)
    results = run_all(plan, jobs=1, engine="fast", tell=lambda _share, _note: None, folder=tmp_path / "rows")
    assert isinstance(results.tables.requests, StoredTable)
    rows = results.tables.requests.num_rows
    made = manifest(plan, results, datetime(2026, 1, 1, tzinfo=UTC), 0.0)
    reads = Reads(monkeypatch)
    told: list[dict[str, Any]] = []
    of_summary = reads.of(lambda: told.append(summarise(results.tables, made)))
    (summary,) = told
    of_report = reads.of(lambda: report_of(Run(results.tables, made, plan.resolved(), summary)))
    assert max(of_summary.values()) <= 2 * rows  # of labels their names, and then what the rows have
    assert of_report.pop("variant") <= (len(plan.variants) + 2) * rows  # whose rows are whose
    assert max(of_report.values()) <= 3 * rows  # for latencies over time, for who was slowest, and why
    assert summary == summarise(in_memory.tables, made)
