"""`e80sim gate` as continuous integration calls it."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from e80sim.mistakes import UserError
from reports.spool import Block, Spool
from reports.stored import FilePart, StoredTable
from sim.__main__ import main
from sim.gate.testing import UnmetError, require

SCENARIO = """\
name: gated
models:
  llama:
    id: llama
    llm: llama3.1-8b
    hardware: {preset: hc1}
    context_tokens: 6000
    nodes: 2
network:
  places:
    here: {kind: edge}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 100}
    lengths: {prompt: {kind: fixed, tokens: 50}, output: {kind: fixed, tokens: 20}}
slo: {e2e_ms: 20}
objectives: ["e2e_p95_ms<=50"]
run: {horizon_s: 5, drain_s: 1, replications: 4}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a scenario, and a run of it."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "gated.yaml").write_text(SCENARIO, encoding="utf-8")
    assert main(["gate", str(folder / "gated.yaml"), "--jobs", "1", "--out", str(folder / "before")]) == 0
    return folder


def gate(*arguments: object) -> int:
    return main(["gate", *map(str, arguments), "--jobs", "1"])


def test_a_missed_objective_ends_with_1_and_is_told_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate(folder / "before", "--objective", "e2e_mean_ms>=1", "--objective", "e2e_mean_ms<=1") == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("FAIL          chat of base: e2e_mean_ms is ")
    assert first.endswith(" and has to be at most 1 ms")
    assert second.startswith("PASS ")
    assert last == "FAIL"


def test_what_the_data_cannot_tell_ends_with_3(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(folder / "before", "--objective", "e2e_p99_9_ms<=50") == 3
    assert "A p99.9 needs at least 10,000 requests" in capsys.readouterr().out


def test_a_slower_deployment_is_told_from_the_one_before(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = ("--set", "models.llama.nodes=1", "--set", "objectives=[]", "--baseline", folder / "before")
    assert gate(folder / "gated.yaml", *slower, "--objective", "e2e_mean_ms<=baseline+5%") == 1
    assert gate(folder / "gated.yaml", *slower, "--objective", "e2e_mean_ms>=baseline") == 0
    assert "FAIL          chat of base: e2e_mean_ms is " in capsys.readouterr().out


def test_a_baseline_with_other_requests_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = ("--set", "run.seed=2", "--baseline", folder / "before", "--objective", "e2e_mean_ms<=baseline")
    assert gate(folder / "gated.yaml", *other) == 2
    assert "seeds 1 and 2 differ, so a difference would not be of what changed" in capsys.readouterr().err


def test_junit_tells_missed_from_undecided(folder: Path) -> None:
    asked = ("e2e_mean_ms<=1", "e2e_p99_9_ms<=50", "attainment>=0.5")
    options = [word for text in asked for word in ("--objective", text)]
    assert gate(folder / "before", *options, "--junit", folder / "junit.xml") == 1
    suite = ET.parse(folder / "junit.xml").getroot()[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    assert [case[0].tag for case in suite] == ["failure", "error", "system-out"]


def test_json_holds_every_judgement(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(folder / "before", "--objective", "attainment>=0.5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "pass"
    assert [(one["variant"], one["source"]) for one in found["objectives"]] == [("base", "chat")]


def test_no_objective_at_all_is_a_slip(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(folder / "gated.yaml", "--set", "objectives=[]") == 2
    assert "states no objectives" in capsys.readouterr().err


def test_a_test_holds_a_scenario_to_its_objectives(folder: Path) -> None:
    require(folder / "gated.yaml", "chat: attainment>=90%")
    with pytest.raises(UnmetError, match=r"^FAIL: chat of base: e2e_mean_ms is"):
        require(folder / "gated.yaml", "e2e_mean_ms<=1", settings={"run.replications": 2})
    with pytest.raises(UserError, match="there is no quantity"):
        require(folder / "gated.yaml", "e2e<=1")


def test_long_tables_of_a_gated_run_lie_on_the_disk_and_are_judged_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the estimate before the run counts on: its memory does not grow with the run."""
    long = ("--set", "run.horizon_s=100", "--set", "run.replications=1")
    arguments = (folder / "gated.yaml", "--objective", "e2e_mean_ms<=1", "--json", *long)
    assert gate(*arguments) == 1
    in_memory = capsys.readouterr().out
    written: list[Path] = []
    finish = Spool.finish

    def watched(spool: Spool, rest: Block) -> StoredTable:
        stored = finish(spool, rest)
        written.extend(part.file for part in stored.parts if isinstance(part, FilePart))
        return stored

    monkeypatch.setattr("reports.spool.FIRST_ROWS", 0)
    monkeypatch.setattr("reports.spool.PART_ROWS", 1)
    monkeypatch.setattr(Spool, "finish", watched)
    assert gate(*arguments) == 1
    assert capsys.readouterr().out == in_memory
    assert [file.name for file in written] == ["requests.parquet"]
    assert not written[0].exists()
