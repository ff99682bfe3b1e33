"""What was done to recorded traffic stands in `check` and in the notes of a run, once each."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sim.__main__ import main
from sim.run.manifest import manifest
from tests.support.study import plan_of, results_of

SCENARIO = """\
name: traced
models:
  llama: {id: llama, llm: llama3.1-8b, hardware: {preset: hc1}, context_tokens: 6000}
network:
  places:
    here: {kind: edge}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: trace, path: rows.csv}
    lengths: {kind: trace}
run: {horizon_s: 2, replications: 1}
variants:
  one: {}
  two: {set: {models.llama.nodes: 2}}
  longer: {set: {traffic.chat.arrivals.spread: even}}
"""
BEGINNING = (
    "`chat`, the trace rows.csv: Read as burstgpt_csv, Timestamp in seconds. Times count from the first row, "
    "whose stamp is 7 s. 1 row with 0 output tokens skipped (in line 4). "
)
END = " Beyond the horizon of 2 s and so not sent: 1 of 4 rows."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = "Timestamp,Request tokens,Response tokens\n7,10,5\n8,10,5\n8,10,0\n8,10,5\n9,10,5\n"
    (tmp_path / "rows.csv").write_text(rows)
    return tmp_path


def expected() -> list[str]:
    bursts = (
        "33% of the gaps are zero, and stamps that differ do so by 1 s or more: a coarse clock, or requests "
        "that came in batches. Replayed as recorded, rows of one stamp arrive at one instant; `spread: even` "
        "or `uniform` spreads them until the next tick."
    )
    moved = (
        "`spread: even` moved 1 of 4 rows within the clock's tick of 1 s: "
        "by 0.5 s on average and 0.5 s at most."
    )
    return [BEGINNING + bursts + END, BEGINNING + moved + END]


def test_a_run_notes_what_was_done_to_its_trace(folder: Path) -> None:
    plan = plan_of(SCENARIO, folder)
    results = results_of(plan)
    notes = manifest(plan, results, datetime(2026, 1, 1, tzinfo=UTC), 0.0)["notes"]
    assert [note for note in notes if "rows.csv" in note] == expected()


def test_check_tells_it_before_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "scenario.yaml").write_text(SCENARIO)
    assert main(["check", str(folder / "scenario.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("Note:") and "How far" not in line]
    assert told == [f"Note: {note}" for note in expected()]
