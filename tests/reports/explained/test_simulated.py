"""Chains of simulated runs: the phases of every request add up, and whoever is named was there.

One run in which everything happens at once: a queue at the gateway and at the nodes, limits, a KV pool that
is too small, callers who give up, a node that dies, and clients that try again.
"""

import dataclasses
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.explained import Scene, chain_of, scenes_of
from reports.explained.neighbours import queue_of
from reports.preemptions import preemptions_that_differ
from reports.run_directory import Run, write
from sim.__main__ import main
from sim.run.manifest import manifest
from tests.support.study import plan_of, results_of

BUSY = """\
name: busy
models:
  llama:
    id: llama
    llm: llama3.1-8b
    hardware: {preset: h100_vllm, kv_pool_tokens: 3000}
    nodes: 2
    context_tokens: 2000
    batching: {max_num_seqs: 6}
    limits: {requests_per_minute: 1500, tokens_per_minute: 60000}
    flow_control: {max_concurrency: 16, max_requests: 30}
network:
  site: aws:us-east-1
  places:
    home: {kind: internet, access: cable, near: "aws:us-east-1"}
traffic:
  chat:
    place: home
    tenant: people
    model: llama
    arrivals: {kind: poisson, rate_per_s: 16}
    timeout_s: 6
    lengths: {prompt: {kind: geometric, mean: 200}, output: {kind: geometric, mean: 150}}
  sums:
    place: home
    tenant: office
    model: llama
    arrivals: {kind: poisson, rate_per_s: 2}
    retry: {like: openai-python}
    lengths: {prompt: {kind: fixed, tokens: 600}, output: {kind: fixed, tokens: 40}}
faults:
  dead: {kind: node_crash, model: llama, nodes: [0], requests: requeue, at_s: 8, for_s: 4, restart_s: 1}
run: {horizon_s: 20, replications: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    plan = plan_of(BUSY, tmp_path_factory.mktemp("busy"))
    results = results_of(plan)
    made = manifest(plan, results, datetime(2026, 1, 1, tzinfo=UTC), 0.0)
    return Run(results.tables, made, plan.resolved(), None)


@pytest.fixture(scope="module")
def scene(run: Run) -> Scene:
    (found,) = scenes_of(run, "base")
    return found


def test_everything_happens_in_it(scene: Scene) -> None:
    outcomes = {scene.label(row, "outcome") for row in range(len(scene.requests))}
    assert outcomes >= {"completed", "timeout", "rejected_saturated", "rejected_tokens_limit"}
    assert scene.requests["preemptions"].sum() > 0
    assert (scene.requests["attempt"] > 0).any()
    moved = int(np.flatnonzero(scene.requests["moves"] > 0)[0])
    assert "It was inside a node that was lost once, and went on at node 1." in chain_of(scene, moved).of("")


def test_the_phases_of_every_request_add_up_to_its_time_to_the_picosecond(scene: Scene) -> None:
    ended = 0
    for row in range(len(scene.requests)):
        found = chain_of(scene, row)
        at_ps = found.intended_ps
        for phase in found.phases:
            assert phase.began_ps == at_ps
            assert phase.lasted_ps >= 0
            at_ps += phase.lasted_ps
        if found.ended_ps >= 0:
            assert at_ps == found.ended_ps, found
            ended += 1
    assert ended > 300


def test_whoever_is_named_ahead_was_at_the_node_while_it_waited(scene: Scene) -> None:
    """Against each request's own row, one by one."""
    named = 0
    for row in range(len(scene.requests)):
        me = of(scene, row)
        visit = scene.visits("llama", me["node"]).of(row)
        if visit is None:
            continue
        until = me["started_ps"] if me["started_ps"] >= 0 else me["last_ps"]
        found = queue_of(scene.visits("llama", me["node"]), row, visit)
        for other in (of(scene, int(one)) for one in np.concatenate(found)):
            left = other["last_ps"] if other["last_ps"] >= 0 else other["ended_ps"]
            assert other["node"] == me["node"]
            assert other["number"] != me["number"]
            assert other["admitted_ps"] <= until
            assert left > me["admitted_ps"]
            named += 1
        for other in (of(scene, int(one)) for one in found.ahead):
            assert me["admitted_ps"] < other["started_ps"] <= until
    assert named > 300


def test_every_preemption_is_told_of_a_request_that_was_at_work(run: Run, scene: Scene) -> None:
    """All of them, each within the stamps of both requests, and as many as nodes and requests count."""
    assert list(preemptions_that_differ(run.tables)) == []
    told = 0
    for row in range(len(scene.requests)):
        me, found = of(scene, row), chain_of(scene, row)
        for one in found.absences:
            other = scene.row_of(one.by)
            assert other is not None
            assert scene.value(other, "started_ps") <= one.lost_ps <= scene.value(other, "last_ps")
            assert me["started_ps"] < one.lost_ps <= me["last_ps"]
            assert one.back_ps < me["last_ps"]
            told += 1
        assert len(found.absences) == me["preemptions"]
    assert told > 5


def of(scene: Scene, row: int) -> dict[str, int]:
    return {name: int(values[row]) for name, values in scene.requests.values.items()}


def test_in_a_queue_by_arrival_nobody_passes_whoever_was_not_preempted(scene: Scene) -> None:
    """First come, first served: all who waited are ahead, none came later and passed."""
    for row in range(len(scene.requests)):
        me = of(scene, row)
        visit = scene.visits("llama", me["node"]).of(row) if me["node"] >= 0 else None
        if visit is None or visit.started_ps < 0:
            continue
        found = queue_of(scene.visits("llama", me["node"]), row, visit)
        assert not len(found.passed)
        assert all(of(scene, int(one))["started_ps"] < 0 for one in found.behind)


def test_the_command_tells_the_chain_of_a_number(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    write(folder, run)
    assert main(["explain", str(folder), "--slowest", "3", "--source", "chat"]) == 0
    listed = re.findall(r"^  0/(\d+) +chat", capsys.readouterr().out, re.MULTILINE)
    assert len(listed) == 3
    assert main(["explain", str(folder), "--request", listed[1], "--json"]) == 0
    (chain,) = json.loads(capsys.readouterr().out)
    assert chain["number"] == int(listed[1])
    assert sum(phase["lasted_ps"] for phase in chain["phases"]) == chain["ended_ps"] - chain["intended_ps"]
    page = tmp_path / "page.html"
    assert main(["explain", str(folder), "--quantile", "1", "--source", "chat", "--html", str(page)]) == 0
    assert page.read_text(encoding="utf-8").count("<article ") == 1
    assert capsys.readouterr().out.startswith(f"Request {listed[0]} of chat in base, replication 0: ")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--request", "99999"], "--request 99999: there is none; base has numbers from "),
        (["--quantile", "99"], "--quantile 99: it must be above 0 and at most 1, such as 0.99"),
        (["--variant", "other"], "--variant other: the run has base"),
        (["--source", "other"], "--source other: the run has chat, sums"),
        (["--replication", "3"], "--replication 3: the run has 0"),
        (
            ["--request", "1", "--slowest", "3"],
            "--request, --slowest and --quantile are three ways to choose",
        ),
    ],
)
def test_what_the_run_lacks_is_one_sentence(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    folder = tmp_path / "run"
    write(folder, run)
    assert main(["explain", str(folder), *options]) == 2
    assert f"e80sim: {sentence}" in capsys.readouterr().err


def test_a_run_without_the_later_columns_is_explained_all_the_same(run: Run) -> None:
    older: Any = run.tables.requests
    for name in ("moves", "lost_out_ps", "lost_back_ps"):
        older = older.drop_columns([name])
    tables = dataclasses.replace(run.tables, requests=older)
    (scene,) = scenes_of(dataclasses.replace(run, tables=tables), "base")
    cold = int(np.flatnonzero(scene.requests["cold"] & (scene.requests["arrived_ps"] >= 0))[0])
    said = " ".join(chain_of(scene, cold).of("set_up"))
    assert "Whether segments were lost on the way in or in the set-up is not in the tables" in said
