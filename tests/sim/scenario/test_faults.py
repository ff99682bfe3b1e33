"""Faults that make no sense are refused in a sentence, with their line."""

from pathlib import Path

import pytest

from sim.scenario.load import load
from sim.scenario.source_map import ScenarioError

SCENARIO = """
name: faulty
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {preset: h100_vllm}
    nodes: 3
    context_tokens: 8192
network:
  places: {edge: {kind: edge}}
traffic:
  s:
    place: edge
    model: m
    arrivals: {kind: constant, rate_per_s: 1}
    lengths: {prompt: {kind: fixed, tokens: 8}, output: {kind: fixed, tokens: 3}}
run: {horizon_s: 60, replications: 1}
"""
CRASH = "{kind: node_crash, model: m, nodes: [1], requests: fail, at_s: 10, for_s: 5}"


def told(folder: Path, *faults: str, settings: tuple[str, ...] = ()) -> str:
    file = folder / "faulty.yaml"
    lines = "".join(f"  fault{number}: {fault}\n" for number, fault in enumerate(faults))
    file.write_text(f"{SCENARIO}faults:\n{lines}", encoding="utf-8")
    with pytest.raises(ScenarioError) as raised:
        load(file, settings)
    return str(raised.value).removeprefix(str(folder) + "/")


@pytest.mark.parametrize(
    ("slip", "right"),
    [
        ("nodes: [1]", "nodes: [3]"),
        ("model: m", "model: n"),
        ("at_s: 10", "at_s: 60"),
        ("requests: fail", "requests: fail, kv: kept"),
        ("for_s: 5", "restart_s: 5"),
        ("nodes: [1]", "nodes: []"),
        ("at_s: 10", "at_s: 10, mtbf_s: 9"),
        ("at_s: 10, for_s: 5", "mtbf_s: 9"),
        ("at_s: 10, for_s: 5", "at_s: 9, mttr_s: 3"),
        ("requests: fail, ", ""),
        ("node_crash", "node_crush"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(tmp_path: Path, slip: str, right: str) -> None:
    said = told(tmp_path, CRASH.replace(slip, right))
    assert said.startswith("faulty.yaml:20: ")
    assert "\n" not in said


def test_the_node_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    said = told(tmp_path, CRASH.replace("[1]", "[0, 7]"))
    assert said.endswith("`m` has no node 7: its 3 are numbered from 0")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            "{kind: region_cut, place: paris, at_s: 1, for_s: 1}",
            "there is no place `paris`; there are `edge`",
        ),
        ("{kind: hop_outage, hop: cabel, at_s: 1, for_s: 1}", "no hop of this kind on any path here `cabel`"),
        ("{kind: packet_loss, hop: fabric, loss_per_segment: 0.1, at_s: 1}", "`for_s` is missing"),
        ("{kind: packet_loss, hop: fabric, loss_per_segment: 1, at_s: 1, for_s: 1}", "0.9 or less"),
    ],
)
def test_a_path_that_cannot_break_is_refused(tmp_path: Path, fault: str, words: str) -> None:
    assert words in told(tmp_path, fault)


@pytest.mark.parametrize(
    "other",
    [
        "{kind: slow_node, model: m, nodes: all, factor: 2, at_s: 14, for_s: 5}",
        "{kind: slow_node, model: m, nodes: [1], factor: 2, at_s: 2}",
        "{kind: node_crash, model: m, nodes: [1], requests: fail, mtbf_s: 100, mttr_s: 5}",
    ],
)
def test_two_faults_of_one_node_at_once_are_refused(tmp_path: Path, other: str) -> None:
    assert "node 1 of m is broken by" in told(tmp_path, CRASH, other)


def test_one_after_the_other_and_of_different_nodes_are_not(tmp_path: Path) -> None:
    file = tmp_path / "faulty.yaml"
    later = CRASH.replace("at_s: 10", "at_s: 16")
    elsewhere = "{kind: node_crash, model: m, nodes: [0, 2], requests: requeue, mtbf_s: 9, mttr_s: 5}"
    file.write_text(f"{SCENARIO}faults: {{a: {CRASH}, b: {later}, c: {elsewhere}}}\n", encoding="utf-8")
    assert list(load(file).base.faults) == ["a", "b", "c"]


def test_nodes_that_divide_the_work_cannot_crash(tmp_path: Path) -> None:
    said = told(tmp_path, CRASH, settings=("models.m.disaggregated={prefill_nodes: 1}",))
    assert "divide prefill and decode" in said
