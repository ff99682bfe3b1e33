"""What must not change, or change in proportion, when a scenario is written differently."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from reports.run_directory import Run, write
from reports.summary import summarise
from sim.run.manifest import manifest
from tests.support.study import plan_of, results_of, rows_of

MIXED = """
name: mixed
models:
  llama:
    id: llama
    llm: llama3.1-8b
    hardware: {preset: hc1, kv_pool_tokens: 6144}
    nodes: 2
    context_tokens: 6144
    routing: random
    limits: {requests_per_minute: 900, tokens_per_minute: 400000}
  gpu:
    id: gpu
    llm: llama3.1-8b
    hardware: {preset: h100}
    context_tokens: 8192
gateway: {overhead_ms: 0.5, concurrency: 2}
network:
  site: aws:us-east-1
  places:
    home: {kind: internet, access: wifi, near: "aws:us-east-2"}
    edge: {kind: edge}
apps:
  agent: {place: edge, model: gpu, calls: 3, cpu_ms: 2, cpu_per_call_ms: 1}
traffic:
  chat:
    place: home
    model: llama
    arrivals: {kind: poisson, rate_per_s: 20}
    lengths:
      prompt: {kind: lognormal, median: 200, sigma: 1, high: 4000}
      output: {kind: geometric, mean: 90}
    max_output_tokens: 500
    timeout_s: 2
  agents:
    place: home
    app: agent
    users: 5
    arrivals: {kind: poisson, rate_per_s: 4}
    lengths: {prompt: {kind: fixed, tokens: 100}, output: {kind: geometric, mean: 20}}
run: {horizon_s: 10, warm_up_s: 1, replications: 3, seed: 7}
variants:
  plain: {title: as above}
  three: {set: {models.llama.nodes: 3}}
"""

METRONOME = """
name: metronome
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      prefill_ms_per_token: {prefill}
      decode_step_ms: {step}
      decode_ms_per_kv_token: {kv}
      request_overhead_ms: {overhead}
      max_concurrent_sequences: 3
      kv_pool_tokens: 400
    nodes: 2
    context_tokens: 300
gateway: {{overhead_ms: {gateway}, concurrency: 1}}
network:
  places:
    here: {{kind: custom, rtt_ms: 0}}
apps:
  agent: {{place: here, model: m, calls: 3, cpu_ms: {cpu}, cpu_per_call_ms: {cpu}}}
traffic:
  steady:
    place: here
    model: m
    arrivals: {{kind: constant, rate_per_s: {rate}}}
    lengths: {{prompt: {{kind: fixed, tokens: 40}}, output: {{kind: fixed, tokens: 30}}}}
    timeout_s: {timeout}
  agents:
    place: here
    app: agent
    arrivals: {{kind: constant, rate_per_s: {slow_rate}, offset_s: {offset}}}
    lengths: {{prompt: {{kind: fixed, tokens: 7}}, output: {{kind: fixed, tokens: 5}}}}
run: {{horizon_s: {horizon}, replications: 1}}
"""
TIMES = {"prefill": 0.7, "step": 5, "kv": 0.03, "overhead": 2.3, "gateway": 1.1, "cpu": 3.7, "timeout": 0.9}
TIMES |= {"offset": 0.013, "horizon": 20}
RATES = {"rate": 12.5, "slow_rate": 4}
ARRIVALS = ("source", "replication", "intended_ps", "prompt_tokens")


def written(folder: Path, *, jobs: int, engine: str) -> dict[str, bytes]:
    """The files of a run of the mixed scenario."""
    plan = plan_of(MIXED, folder)
    results = results_of(plan, jobs=jobs, engine=engine)
    made = manifest(plan, results, datetime(2026, 1, 1, tzinfo=UTC), 0.0)
    out = folder / f"{engine}-{jobs}"
    write(out, Run(results.tables, made, plan.resolved(), summarise(results.tables, made)))
    return {file.name: file.read_bytes() for file in out.iterdir()}


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return written(tmp_path_factory.mktemp("in-turn"), jobs=1, engine="step")


@pytest.mark.parametrize(("jobs", "engine"), [(1, "step"), (1, "fast"), (2, "fast")])
def test_the_same_seed_writes_the_same_bytes(
    tmp_path: Path, in_turn: dict[str, bytes], jobs: int, engine: str
) -> None:
    again = written(tmp_path, jobs=jobs, engine=engine)
    assert set(again) == set(in_turn) >= {"requests.parquet", "user_requests.parquet", "summary.json"}
    differing = [name for name in in_turn if again[name] != in_turn[name]]
    assert differing == []


def arrivals_of(text: str, folder: Path, variant: str, source: str) -> list[tuple[Any, ...]]:
    tables = results_of(plan_of(text, folder)).tables
    return [
        tuple(row[name] for name in ARRIVALS) for row in rows_of(tables, variant) if row["source"] == source
    ]


def test_a_node_or_a_variant_more_leaves_the_arrivals_of_all_others_as_they_were(tmp_path: Path) -> None:
    plain = arrivals_of(MIXED, tmp_path, "plain", "chat")
    assert len(plain) > 400
    assert arrivals_of(MIXED, tmp_path, "three", "chat") == plain
    fewer_variants = MIXED[: MIXED.index("variants:")]
    assert arrivals_of(fewer_variants, tmp_path, "base", "chat") == plain


def test_another_source_leaves_the_arrivals_of_all_others_as_they_were(tmp_path: Path) -> None:
    data = yaml.safe_load(MIXED)
    data["traffic"] = {"first": {**data["traffic"]["chat"], "place": "edge"}, **data["traffic"]}
    more = arrivals_of(yaml.safe_dump(data, sort_keys=False), tmp_path, "plain", "chat")
    assert more == arrivals_of(MIXED, tmp_path, "plain", "chat")


def reversed_everywhere(data: Any) -> Any:
    """All mappings the other way round, but for the variants: the first of them is the baseline."""
    if not isinstance(data, dict):
        return data
    turned = {key: reversed_everywhere(value) for key, value in reversed(data.items())}
    return {**turned, "variants": dict(data["variants"])} if "variants" in data else turned


def test_the_order_in_which_a_file_says_things_changes_nothing(tmp_path: Path) -> None:
    turned = yaml.safe_dump(reversed_everywhere(yaml.safe_load(MIXED)), sort_keys=False)
    first, second = (results_of(plan_of(text, tmp_path)).tables for text in (MIXED, turned))
    for variant in ("plain", "three"):
        assert rows_of(first, variant) == rows_of(second, variant)
    assert first.user_requests is not None
    assert second.user_requests is not None
    assert first.user_requests.to_pylist() == second.user_requests.to_pylist()
    nodes, others = ({tuple(row.items()) for row in tables.nodes.to_pylist()} for tables in (first, second))
    assert nodes == others


@pytest.mark.parametrize("factor", [2, 8])
def test_slower_by_a_factor_everything_happens_later_by_that_factor(tmp_path: Path, factor: int) -> None:
    def rows(factor: int) -> tuple[list[dict[str, Any]], ...]:
        text = METRONOME.format(
            **{name: value * factor for name, value in TIMES.items()},
            **{name: value / factor for name, value in RATES.items()},
        )
        tables = results_of(plan_of(text, tmp_path)).tables
        assert tables.user_requests is not None
        nodes = tables.nodes.to_pylist()
        for node in nodes:  # one sum in two columns
            node["sequence_rest_ps"] += 10**12 * node.pop("sequence_s")
        return tables.requests.to_pylist(), tables.user_requests.to_pylist(), nodes

    plain, slow = rows(1), rows(factor)
    assert {row["outcome"] for row in plain[0]} == {"completed", "timeout"}
    for table, slow_table in zip(plain, slow, strict=True):
        expected = [{name: _scaled(name, value, factor) for name, value in row.items()} for row in table]
        assert slow_table == expected


def _scaled(name: str, value: Any, factor: int) -> Any:
    return value * factor if name.endswith("_ps") and value is not None else value
