"""What a cell is named by: all that its numbers depend on, and nothing else."""

import hashlib
from pathlib import Path

import pytest

from sim.scenario.load import load
from sim.study import cell
from sim.study.cell import CellTask, alone, identity, simulated
from sim.workers import interrupt

TINY = """\
name: tiny
models:
  m: {id: tiny, llm: llama3.1-8b, hardware: {preset: hc1}, context_tokens: 6000}
network:
  places: {here: {kind: edge}}
traffic:
  s:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 20}
    lengths: {prompt: {kind: fixed, tokens: 50}, output: {kind: fixed, tokens: 20}}
run: {horizon_s: 20, replications: 2}
"""


def key(folder: Path, text: str = TINY, *settings: str) -> str:
    file = folder / "tiny.yaml"
    file.write_text(text, encoding="utf-8")
    return identity(load(file, settings).base).key


def test_the_name_is_the_digest_of_a_text_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    found = identity(load(tmp_path / "tiny.yaml").base)
    assert hashlib.sha256(found.text.encode()).hexdigest() == found.key
    assert '"seed":1,"replications":2,' in found.text


@pytest.mark.parametrize(
    "setting",
    [
        "models.m.nodes=2",
        "run.seed=2",
        "run.replications=3",
        "run.horizon_s=21",
        "traffic.s.arrivals.rate_per_s=21",
    ],
)
def test_whatever_changes_numbers_changes_the_name(tmp_path: Path, setting: str) -> None:
    assert key(tmp_path, TINY, setting) != key(tmp_path)


def test_labels_do_not_and_neither_does_what_is_swept(tmp_path: Path) -> None:
    labelled = TINY.replace("name: tiny", "name: other\ntitle: Another\nquestion: Which?")
    assert key(tmp_path, labelled + "sweep: {grid: {models.m.nodes: 1:4}}\n") == key(tmp_path)


def test_another_version_makes_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(tmp_path)
    monkeypatch.setattr(cell, "version", lambda: {"e80sim": "0.0.0"})
    assert key(tmp_path) != before


def test_what_is_in_a_file_counts_and_not_where_it_lies(tmp_path: Path) -> None:
    traced = TINY.replace(
        "arrivals: {kind: poisson, rate_per_s: 20}", "arrivals: {kind: trace, path: trace.csv}"
    ).replace(
        "lengths: {prompt: {kind: fixed, tokens: 50}, output: {kind: fixed, tokens: 20}}",
        "lengths: {kind: trace}",
    )
    rows = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.000,5,5\n1.000,6,5\n"
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder, text in zip(folders, (rows, rows, rows.replace("6,5", "7,5")), strict=True):
        folder.mkdir()
        (folder / "trace.csv").write_text(text, encoding="utf-8")
    one, two, three = (key(folder, traced) for folder in folders)
    assert one == two
    assert one != three


def test_a_cell_keeps_the_numbers_of_its_run_by_replication(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    scenario = alone(load(tmp_path / "tiny.yaml").base)
    found = simulated(CellTask(scenario, "fast"), lambda _share, _note: None)
    assert found is not None
    (source,) = found["sources"]
    mean = source["metrics"]["e2e"]["mean"]
    assert len(mean["by_replication"]) == 2
    assert min(mean["by_replication"]) <= mean["value"] <= max(mean["by_replication"])
    assert source["metrics"]["ttft"]["p99"]["by_replication"] == [None, None]  # 400 requests have no p99
    (work,) = found["work"]
    assert work["output_tokens_per_s"] == pytest.approx(20 * work["requests_per_s"])


def test_a_cell_that_was_cut_short_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    monkeypatch.setattr(interrupt, "asked", lambda: True)
    task = CellTask(load(tmp_path / "tiny.yaml").base, "fast")
    assert simulated(task, lambda _share, _note: None) is None
