"""What a prefix cache does to whole runs, with numbers worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

from e80sim.mistakes import UserError
from sim.run.world import World
from sim.scenario.load import load
from sim.scenario.prefix_caches import prefix_cache_notes, require_something_in_common
from sim.scenario.schema import Scenario
from sim.scenario.source_map import ScenarioError

MS = 10**9
PLAIN = """
name: cached
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      {kind: hardwired_asic, decode_step_ms: 10, prefill_ms_per_token: 1, max_concurrent_sequences: 4,
       kv_pool_tokens: 4000}
    context_tokens: 1000
    batching: {block_size: 4, enable_prefix_caching: true}
network:
  tls: none
  places: {here: {kind: custom, rtt_ms: 0}}
traffic:
  s:
    place: here
    model: m
    arrivals: {kind: constant, rate_per_s: 1}
    lengths: {prompt: {kind: fixed, tokens: 10}, output: {kind: fixed, tokens: 3}}
    prefix: {kind: groups, groups: 1, tokens: {kind: fixed, tokens: 30}}
run: {horizon_s: 4.5, replications: 1}
"""


def rows_of(scenario: Scenario, engine: str = "fast") -> list[dict[str, Any]]:
    world = World(scenario, 1, 0, engine=engine)
    world.run_to(60_000 * MS)
    found: list[dict[str, Any]] = world.tables("base").requests.to_pylist()
    return found


def loaded(tmp_path: Path, text: str, *settings: str) -> Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, settings).base


def test_a_group_computes_its_system_prompt_once(tmp_path: Path) -> None:
    first, *others = rows_of(loaded(tmp_path, PLAIN))
    assert (first["prompt_tokens"], first["cached_tokens"]) == (40, 0)
    assert first["first_ps"] - first["started_ps"] == 40 * MS
    for row in others:
        assert (row["prompt_tokens"], row["cached_tokens"]) == (40, 28), "seven full blocks of 30 tokens"
        assert row["first_ps"] - row["started_ps"] == 12 * MS


def test_without_a_cache_it_is_computed_each_time(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, PLAIN, "models.m.batching.enable_prefix_caching=false")
    assert {(row["cached_tokens"], row["first_ps"] - row["started_ps"]) for row in rows_of(scenario)} == {
        (0, 40 * MS)
    }


def test_a_turn_finds_all_that_was_said_before(tmp_path: Path) -> None:
    text = PLAIN.replace("    model: m\n    arrivals", "    app: agent\n    arrivals")
    agent = "apps={agent: {place: here, model: m, calls: 3, history: true}}"
    first, second, third, *_ = rows_of(loaded(tmp_path, text, agent))
    # 30 + 10 in and 3 out; of the 42 that are in the cache then, 10 blocks are full. Then 10 and 3 more.
    assert [row["prompt_tokens"] for row in (first, second, third)] == [40, 53, 66]
    assert [row["cached_tokens"] for row in (first, second, third)] == [0, 40, 52]


def test_rows_of_a_trace_share_what_their_hash_ids_say(tmp_path: Path) -> None:
    rows = ((0, 700, [1, 2]), (1000, 700, [1, 3]), (2000, 1100, [1, 3, 4]), (3000, 700, [1, 2]))
    lines = [
        f'{{"timestamp": {at}, "input_length": {tokens}, "output_length": 2, "hash_ids": {ids}}}'
        for at, tokens, ids in rows
    ]
    (tmp_path / "trace.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    scenario = loaded(
        tmp_path,
        PLAIN,
        "traffic.s={place: here, model: m, arrivals: {kind: trace, path: trace.jsonl}, "
        "lengths: {kind: trace}, prefix: {kind: trace}}",
        "models.m.context_tokens=2000",
    )
    assert [row["cached_tokens"] for row in rows_of(scenario)] == [0, 512, 700, 696]


def test_both_engines_leave_the_same_rows_of_a_crowded_cache(tmp_path: Path) -> None:
    scenario = loaded(
        tmp_path,
        PLAIN,
        "traffic.s.arrivals={kind: poisson, rate_per_s: 30}",
        "traffic.s.prefix={kind: groups, groups: 40, busiest_half: 5, tokens: {kind: geometric, mean: 60}}",
        "traffic.s.lengths={prompt: {kind: geometric, mean: 20}, output: {kind: geometric, mean: 9}}",
        "models.m.hardware.kv_pool_tokens=1200",
        "run.horizon_s=20",
    )
    world = World(scenario, 1, 0)
    world.run_to(60_000 * MS)
    found = world.tables("base").prefixes
    assert found is not None
    groups = found.to_pylist()
    assert {"s/0", "s/1", "s/5"} <= {group["prefix"] for group in groups}
    group = max(groups, key=lambda group: group["tokens"])
    assert group["found_tokens"] <= group["optimum_tokens"] <= group["ceiling_tokens"] < group["tokens"]
    plain = rows_of(scenario, "step")
    assert sum(row["found_tokens"] for row in groups) == sum(row["cached_tokens"] for row in plain)
    assert rows_of(scenario) == plain
    assert 0.2 < sum(r["cached_tokens"] for r in plain) / sum(r["prompt_tokens"] for r in plain) < 0.8


def test_a_run_with_nothing_in_common_is_refused_and_a_server_is_not(tmp_path: Path) -> None:
    text = "\n".join(line for line in PLAIN.splitlines() if "prefix:" not in line)
    scenario = loaded(tmp_path, text)
    with pytest.raises(UserError, match="nothing in common, so a run finds nothing in its cache"):
        require_something_in_common([scenario])
    assert any("`e80sim serve` finds" in note for note in prefix_cache_notes(scenario))
    require_something_in_common([loaded(tmp_path, PLAIN)])


def test_a_chip_is_told_apart_from_a_gpu(tmp_path: Path) -> None:
    (note,) = prefix_cache_notes(loaded(tmp_path, PLAIN))
    assert note.startswith("`m` caches prefixes in the 4,000 tokens of KV memory on its chip")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("traffic.s.prefix={kind: trace}", "needs a trace to follow, and the arrivals are 'constant'"),
        (
            "apps={a: {place: here, model: m, mode: fan_out, history: true}}",
            "made all at once have no history",
        ),
        ("traffic.s.prefix.busiest_half=1", "busiest_half is 1 of 1 groups, but 0 of them"),
        ("traffic.s.prefix.kind=group", "`traffic.s.prefix.kind` is 'group'"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, setting: str, sentence: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        loaded(tmp_path, PLAIN, setting)
    assert sentence in str(refused.value)
