"""The trace for Perfetto keeps to the rules of Chrome's format, and says what the record says."""

import json
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reports.exports.answers import columns_in
from reports.exports.counters import Level, _thinned
from reports.exports.perfetto import shown, trace_lines
from reports.run_directory import Run
from reports.tables import stage_table
from tests.support.cli import e80sim
from tests.support.records import manifest, preempted, preemptions, request, tables

Event = dict[str, Any]


def run_of(*rows: Any) -> Run:
    facts = manifest(commit="abc", created="2026-11-29T12:00:00+00:00", versions={"e80sim": "0.1.0"})
    return Run(tables({("edge", 0): list(rows)}), facts, "name: hand\n", None)


def trace_of(run: Run, most: int = 1000) -> dict[str, Any]:
    columns = columns_in(run, None, 0, None)
    found: dict[str, Any] = json.loads("\n".join(trace_lines(run, columns, shown(columns, most))))
    return found


def check_rules(trace: dict[str, Any]) -> None:
    """Of the trace event format, and that slices of a thread lie in each other."""
    events = trace["traceEvents"]
    assert {event["ph"] for event in events} <= {"M", "X", "C"}
    named = {(event["name"], event["pid"], event["tid"]) for event in events if event["ph"] == "M"}
    for event in events:
        assert type(event["pid"]) is type(event["tid"]) is int
        if event["ph"] == "M":
            assert event["args"]["name"]
            continue
        assert type(event["ts"]) is int
        assert event["ts"] >= 0
        assert ("process_name", event["pid"], 0) in named
        if event["ph"] == "C":
            assert all(type(value) is int for value in event["args"].values())
            continue
        assert type(event["dur"]) is int
        assert event["dur"] >= 0
        assert ("thread_name", event["pid"], event["tid"]) in named
    for _, thread in by_thread(events):
        open_until: list[int] = []
        for event in sorted(thread, key=lambda event: (event["ts"], -event["dur"])):
            while open_until and open_until[-1] <= event["ts"]:
                open_until.pop()
            assert not open_until or event["ts"] + event["dur"] <= open_until[-1]
            open_until.append(event["ts"] + event["dur"])


def by_thread(events: list[Event]) -> list[tuple[tuple[int, int], list[Event]]]:
    def key(event: Event) -> tuple[int, int]:
        return event["pid"], event["tid"]

    slices = sorted((event for event in events if event["ph"] == "X"), key=key)
    return [(thread, list(found)) for thread, found in groupby(slices, key)]


def slices(trace: dict[str, Any], process: str, kind: str) -> list[tuple[str, int, int]]:
    """Name, start and length in us, of a process by its name."""
    events = trace["traceEvents"]
    (pid,) = [e["pid"] for e in events if e["name"] == "process_name" and e["args"]["name"] == process]
    found = [e for e in events if e["ph"] == "X" and e["pid"] == pid and e["cat"] == kind]
    return [(e["name"], e["ts"], e["dur"]) for e in found]


def test_a_request_has_its_phases_at_its_node_and_on_its_way() -> None:
    trace = trace_of(run_of(request(number=7)))
    check_rules(trace)
    assert slices(trace, "llama node 0", "request") == [("request 7", 17_000, 93_000)]
    assert slices(trace, "llama node 0", "phase") == [
        ("queue", 17_000, 3_000),
        ("prefill", 20_000, 30_000),
        ("decode", 50_000, 60_000),
    ]
    assert slices(trace, "callers at edge", "request") == [("request 7", 0, 115_000)]
    assert slices(trace, "callers at edge", "phase") == [
        ("connect", 0, 10_000),
        ("network", 10_000, 5_000),
        ("gateway", 15_000, 2_000),
        ("queue", 17_000, 3_000),
        ("first token", 20_000, 35_000),
        ("answer", 55_000, 60_000),
    ]


def test_requests_that_overlap_get_lanes_and_counters_add_up() -> None:
    rows = [request(at_ms, number=number, prompt_tokens=30) for number, at_ms in enumerate((0, 40, 200))]
    trace = trace_of(run_of(*rows))
    check_rules(trace)
    lanes = {
        e["args"]["request"]: e["tid"]
        for e in trace["traceEvents"]
        if e.get("cat") == "request" and e["pid"] == 1
    }
    assert lanes == {0: 1, 1: 2, 2: 1}
    counters: dict[str, dict[int, int]] = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "C":
            counters.setdefault(event["name"], {})[event["ts"] // 1000] = next(iter(event["args"].values()))
    assert counters["queue"] == {17: 1, 20: 0, 57: 1, 60: 0, 217: 1, 220: 0}
    assert counters["batch"] == {20: 1, 60: 2, 110: 1, 150: 0, 220: 1, 310: 0}
    # 30 tokens of the first prompt and, at 60 ms, a sixth of its answer of 4; the second begins.
    assert counters["KV"] == {20: 0, 50: 30, 60: 31, 90: 63, 110: 31, 150: 0, 220: 0, 250: 30, 310: 0}


def test_a_preemption_is_a_slice_within_its_phase_and_the_counters_leave_it_out() -> None:
    rows = [request(number=0, prompt_tokens=30), request(20, number=1, prompt_tokens=40, preemptions=1)]
    run = run_of(*rows)
    table = preemptions(preempted(1, 80, 100, by=0, held_tokens=41, found_tokens=16))
    trace = trace_of(replace(run, tables=replace(run.tables, preemptions=table)))
    check_rules(trace)
    assert slices(trace, "llama node 0", "preemption") == [("preempted by 0", 80_000, 20_000)]
    (one,) = [e for e in trace["traceEvents"] if e.get("cat") == "preemption"]
    assert one["args"] == {"request": 1, "by": 0, "cause": "growth", "recomputed_tokens": 25}
    counters: dict[str, dict[int, int]] = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "C":
            counters.setdefault(event["name"], {})[event["ts"] // 1000] = next(iter(event["args"].values()))
    assert counters["queue"] == {17: 1, 20: 0, 37: 1, 40: 0, 80: 1, 100: 0}
    assert counters["batch"] == {20: 1, 40: 2, 80: 1, 100: 2, 110: 1, 130: 0}
    # At 80 the first has 30 and half of its 4; the second 40 and a sixth of its 4, less the 41 that it lost.
    # At 100 that is 33 1/3 and 42.
    assert (counters["KV"][70], counters["KV"][80], counters["KV"][100]) == (71, 32, 75)


def stage(variant: str, name: str, node: int, began_ms: int, ended_ms: int, number: int = 0) -> pa.Table:
    columns = {"number": [number], "model": [0], "stage": [0], "node": [node]}
    stamps = {"began_ps": [began_ms * 10**9], "ended_ps": [ended_ms * 10**9]}
    return stage_table(variant, 0, {**columns, **stamps}, {"model": ["llama"], "stage": [name]})


def test_nodes_for_prefill_and_for_decode_show_the_stages_of_this_variant() -> None:
    run = run_of(request(number=0, node=2))
    stages = [stage("edge", "prefill", 1, 20, 50), stage("edge", "decode", 2, 60, 110)]
    stages.append(stage("other", "decode", 2, 0, 500))
    table = pa.concat_tables(stages).unify_dictionaries()
    trace = trace_of(replace(run, tables=replace(run.tables, stages=table)))
    check_rules(trace)
    assert slices(trace, "llama node 1", "request") == [("prefill 0", 20_000, 30_000)]
    assert slices(trace, "llama node 2", "request") == [("decode 0", 60_000, 50_000)]
    batch = [(e["pid"], e["ts"], e["args"]["requests"]) for e in trace["traceEvents"] if e["name"] == "batch"]
    assert batch == [(1, 20_000, 1), (1, 50_000, 0), (2, 60_000, 1), (2, 110_000, 0)]


def test_a_request_that_was_refused_is_no_slice_of_a_node() -> None:
    nowhere: dict[str, Any] = dict.fromkeys(("admitted", "started", "first", "last", "first_seen"))
    refused = request(number=1, outcome="rejected_requests_limit", node=-1, ended=20, **nowhere)
    trace = trace_of(run_of(request(number=0), refused))
    check_rules(trace)
    assert slices(trace, "llama node 0", "request") == [("request 0", 17_000, 93_000)]
    assert ("request 1", 0, 20_000) in slices(trace, "callers at edge", "request")


def test_of_too_many_requests_the_slowest_are_kept() -> None:
    rows = [request(10 * number, number=number) for number in range(40)]
    rows[17] = request(170, number=17, last=400, first_seen=55, ended=500)
    columns = columns_in(run_of(*rows), None, 0, None)
    drawn = shown(columns, 10)
    assert len(drawn.rows) == 10
    assert 17 in drawn.rows
    assert drawn.note.startswith("10 of 40 requests are drawn")
    trace = trace_of(run_of(*rows), 10)
    check_rules(trace)
    assert len(slices(trace, "callers at edge", "request")) == 10
    batch = [e["args"]["requests"] for e in trace["traceEvents"] if e["name"] == "batch"]
    assert max(batch) > 9, "counters are of all requests"


def test_a_thinned_counter_keeps_its_peak() -> None:
    values = np.zeros(100_000, np.int64)
    values[54_321] = 9
    thin = _thinned(Level("queue", "requests", np.arange(100_000), values))
    assert len(thin.values) <= 2_001
    assert thin.values.max() == 9
    assert thin.at_ps[thin.values.argmax()] == 54_321


SCENARIO = """name: small
models:
  m:
    id: small/m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, decode_step_ms: 10, pipeline_depth: 64, max_concurrent_sequences: 8,
      kv_pool_tokens: 4000}
    context_tokens: 2000
    nodes: 2
network:
  tls: none
  places: {here: {kind: custom, rtt_ms: 0}}
traffic:
  s:
    place: here
    model: m
    arrivals: {kind: constant, rate_per_s: 20}
    lengths: {prompt: {kind: fixed, tokens: 8}, output: {kind: fixed, tokens: 30}}
run: {horizon_s: 2, replications: 1}
variants: {one: {}, two: {set: {models.m.nodes: 1}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("run")
    (made / "small.yaml").write_text(SCENARIO)
    done = e80sim("run", [str(made / "small.yaml"), "--out", str(made / "run"), "--jobs", "1", "--no-report"])
    assert done.exit_code == 0, done.stderr
    return made / "run"


def test_the_commands_write_a_run_as_trace_as_result_and_as_traffic(folder: Path, tmp_path: Path) -> None:
    options = ["--variant", "one"]
    done = e80sim("trace", ["export", str(folder), "--perfetto", str(tmp_path / "p.json"), *options])
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'p.json'}\n")
    trace = json.loads((tmp_path / "p.json").read_text())
    check_rules(trace)
    assert len(slices(trace, "callers at here", "request")) == 39
    for name in ("vllm_bench", "azure_csv"):
        done = e80sim("export", [str(folder), str(tmp_path / name), "--format", name, *options])
        assert (done.exit_code, done.stdout) == (0, f"{tmp_path / name}\n")
    result = json.loads((tmp_path / "vllm_bench").read_text())
    assert (result["model_id"], result["completed"], result["total_output_tokens"]) == (
        "small/m",
        39,
        39 * 30,
    )
    rows = (tmp_path / "azure_csv").read_text().splitlines()
    assert rows[:2] == ["TIMESTAMP,ContextTokens,GeneratedTokens", "1970-01-01 00:00:00.0000000,8,30"]
    assert rows[2] == "1970-01-01 00:00:00.0500000,8,30"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "the run has 2 variants: choose with --variant one, two"),
        (["--variant", "three"], "--variant three: the run has one, two"),
        (["--variant", "one", "--replication", "1"], "--replication 1: the run has 1, counted from 0"),
        (["--variant", "one", "--model", "x"], "--model x: the run has m"),
        (
            ["--variant", "one", "--format", "excel"],
            "--format excel: there is no such format; there are columns",
        ),
    ],
)
def test_what_cannot_be_exported_is_told(
    folder: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    done = e80sim("export", [str(folder), str(tmp_path / "file"), *options])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"e80sim: {sentence}")
