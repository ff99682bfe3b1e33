"""Ctrl-C, once and twice, at counted moments: nothing is simulated after it, and what is there is written.

With real processes and a terminal: `tests/e2e/test_interruptions.py`.
"""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reports.run_directory import Run, read
from sim.__main__ import main
from sim.run import cli
from sim.run.replications import SLICES
from sim.run.world import World
from sim.workers import interrupt
from tests.support import repeated

STUDY = """\
name: study
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, decode_step_ms: 1, prefill_ms_per_token: 0.01, kv_pool_tokens: 9000}
    context_tokens: 2000
network: {places: {here: {kind: edge}}}
traffic:
  chat:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 20}
    lengths: {prompt: {kind: fixed, tokens: 50}, output: {kind: fixed, tokens: 20}}
run: {horizon_s: 10, replications: 4}
variants:
  one: {}
  two: {set: {models.m.nodes: 2}}
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupt.SIGNALS}
    yield
    interrupt.listen()
    for number, handler in before.items():
        signal.signal(number, handler)


class Simulated:
    """How many replications began, and how often one went on; the signal comes while the `at`-th goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int | None = None) -> None:
        self.begun: list[str] = []
        self.steps = 0
        run_to, keep_in = World.run_to, World.keep_in

        def counted_run_to(world: World, upto_ps: int) -> None:
            self.steps += 1
            if self.steps == at:
                signal.raise_signal(signal.SIGTERM)
            run_to(world, upto_ps)

        def counted_keep_in(world: World, folder: Path, variant: str) -> None:
            self.begun.append(variant)
            keep_in(world, folder, variant)

        monkeypatch.setattr(repeated, "is_repeated", lambda _task: False)
        monkeypatch.setattr(World, "run_to", counted_run_to)
        monkeypatch.setattr(World, "keep_in", counted_keep_in)


def run(folder: Path, *options: str) -> int:
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    out = str(folder / "out")
    return main(["run", str(folder / "study.yaml"), "--jobs", "1", "--out", out, *options])


WHOLE = 2 * SLICES
"""Times that a replication goes on: to its horizon, and until the last answers are there."""


def test_after_ctrl_c_the_replication_ends_where_it_is_and_no_other_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the sixth of eight: two rounds of both variants were complete."""
    at = 5 * WHOLE + 30
    simulated = Simulated(monkeypatch, at)
    assert run(tmp_path) == 130
    assert simulated.begun == ["one", "two"] * 3
    assert simulated.steps == at
    found = read(tmp_path / "out")
    assert found.manifest["replications_done"] == 2
    assert set(found.tables.requests["replication"].to_pylist()) == {0, 1}
    assert (tmp_path / "out" / "report.html").exists()
    assert not (tmp_path / "out.running").exists()
    told = capfd.readouterr().err
    assert told.count(f"e80sim: {cli.STOPPING}\n") == 1
    assert cli.WRITING not in told


def test_ctrl_c_in_the_first_round_keeps_how_far_that_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of ten seconds; the other variant did not begin."""
    simulated = Simulated(monkeypatch, SLICES // 10)
    assert run(tmp_path, "--no-report") == 130
    assert (simulated.begun, simulated.steps) == (["one"], SLICES // 10)
    assert read(tmp_path / "out").manifest["horizon_s"] == 1.0


def test_ctrl_c_before_draws_of_uncertain_values_leaves_the_run_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = Simulated(monkeypatch, 8 * WHOLE)
    assert run(tmp_path, "--no-report", "--uncertainty", "5") == 130
    assert simulated.steps == 8 * WHOLE
    found = read(tmp_path / "out")
    assert found.manifest["replications_done"] == 4


def at_the_report(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], None]) -> None:
    made = cli._report_of

    def report_of(run: Run) -> bytes:
        ask()
        return made(run)

    monkeypatch.setattr(cli, "_report_of", report_of)


def test_ctrl_c_while_the_report_is_made_changes_nothing_and_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    at_the_report(monkeypatch, lambda: signal.raise_signal(signal.SIGINT))
    assert run(tmp_path) == 0
    assert (tmp_path / "out" / "report.html").exists()
    told = capfd.readouterr().err
    assert told.count(f"e80sim: {cli.WRITING}\n") == 1
    assert cli.STOPPING not in told


def test_a_second_ctrl_c_while_the_report_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_the_report(monkeypatch, twice)
    assert run(tmp_path) == 130
    assert [file.name for file in tmp_path.iterdir()] == ["study.yaml"]
    assert capfd.readouterr().err.endswith("e80sim: stopped at once, as asked; nothing was written\n")


def test_who_wants_no_progress_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Simulated(monkeypatch, SLICES // 2)
    assert run(tmp_path, "--no-report", "--quiet") == 130
    assert capfd.readouterr().err == ""
