"""Signals, killed processes, full disks, folders one may not write to: what is left is whole, or nothing."""

import codecs
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time  # noqa: TID251 -- to give up on a child that hangs
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq
import pytest

from reports.run_directory import RunDirectoryError, read
from reports.stored import whole
from sim.platform.recorder import FLUSH_ROWS
from sim.scenario.load import load
from tests.support.study import results_of

PATIENCE_S = 180
"""Every wait is for something that comes within a second or two; on a busy machine a minute was too short."""
ROOT = Path(__file__).resolve().parents[2]

STUDY = """\
name: study
models:
  llama:
    id: llama
    llm: llama3.1-8b
    hardware: {{preset: hc1}}
    context_tokens: 6000
network:
  places:
    here: {{kind: edge}}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {{kind: poisson, rate_per_s: 100}}
    lengths: {{prompt: {{kind: fixed, tokens: 50}}, output: {{kind: fixed, tokens: 20}}}}
run: {{horizon_s: {horizon_s}, drain_s: 1, replications: {replications}}}
"""
ONE_LONG = STUDY.format(horizon_s=100_000, replications=1)
"""Ten million requests: minutes, of which a two-hundredth passes between two looks at the outside world."""
MANY_SHORT = STUDY.format(horizon_s=2, replications=10_000)
ONE_SHORT_AND_ONE_ENDLESS = (
    STUDY.format(horizon_s=1_000_000, replications=1)
    + """\
variants:
  short: {set: {traffic.chat.arrivals.rate_per_s: 0.001}}
  endless: {set: {traffic.chat.arrivals.rate_per_s: 1000}}
"""
)
"""Of the endless one even a two-hundredth takes minutes."""


FIRST_ROWS, PART_ROWS = 2 * FLUSH_ROWS, FLUSH_ROWS
SMALL_PARTS = f"""
import sys
import reports.spool
from sim.__main__ import main

reports.spool.FIRST_ROWS, reports.spool.PART_ROWS = {FIRST_ROWS}, {PART_ROWS}
sys.exit(main(sys.argv[1:]))
"""


class Child:
    """`e80sim` with a terminal as its stderr, in a process group of its own."""

    def __init__(self, folder: Path, *arguments: str, program: Sequence[str] = ("-m", "sim")) -> None:
        self._terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            start_new_session=True,
        )
        os.close(theirs)
        self.said = ""
        self._letters = codecs.getincrementaldecoder("utf-8")()

    def until(self, seen: Callable[[], object]) -> None:
        """Read the terminal until `seen` is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not seen():
            assert time.monotonic() < deadline, self.said
            if select.select([self._terminal], [], [], 0.02)[0] and not self._listen():
                break
        assert seen(), self.said

    def _listen(self) -> bool:
        try:
            heard = os.read(self._terminal, 65536)
        except OSError:  # the other side is closed
            return False
        self.said += self._letters.decode(heard)
        return bool(heard)

    def until_it_says(self, pattern: str) -> None:
        self.until(lambda: re.search(pattern, self.said))

    def end(self) -> tuple[int, str]:
        """Exit status and stdout, once it and all its workers are gone."""
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        while select.select([self._terminal], [], [], 0)[0] and self._listen():
            pass
        self.until_alone()
        assert "Traceback" not in self.said, self.said
        return self.process.returncode, out

    def until_alone(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.group():
            assert time.monotonic() < deadline, "workers outlive it"
            time.sleep(0.02)

    def workers(self) -> list[int]:
        def told(process: int) -> bool:
            try:
                return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
            except OSError:  # gone since
                return False

        return [process for process in self.group() if told(process)]

    def group(self) -> list[int]:
        """Living processes of its group, itself included."""
        return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if self._is_mine(stat)]

    def _is_mine(self, stat: Path) -> bool:
        try:
            state, _parent, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # gone since
            return False
        return int(group) == self.process.pid and state != "Z"

    def close(self) -> None:
        os.close(self._terminal)
        if self.group():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()  # closes its pipe, too


@contextmanager
def child(folder: Path, study: str, *options: str, program: Sequence[str] = ("-m", "sim")) -> Iterator[Child]:
    (folder / "study.yaml").write_text(study, encoding="utf-8")
    command = ("run", "study.yaml", "--out", "out", "--no-report", "--force", *options)
    running = Child(folder, *command, program=program)
    try:
        yield running
    finally:
        running.close()


def left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "study.yaml")


def test_ctrl_c_keeps_what_the_first_replication_reached(tmp_path: Path) -> None:
    with child(tmp_path, ONE_LONG, "--jobs", "1") as running:
        running.until_it_says(r"study .* \d+%")
        running.process.send_signal(signal.SIGINT)
        status, out = running.end()
    assert status == 130
    assert out.splitlines()[-1] == "out"
    run = read(tmp_path / "out")
    assert run.manifest["interrupted"]
    assert run.summary is not None
    assert run.summary["interrupted"]
    horizon_s = run.manifest["horizon_s"]
    assert 500 <= horizon_s < 100_000
    assert any("interrupted" in note for note in run.summary["notes"])
    assert 90 * horizon_s < run.tables.requests.num_rows < 110 * horizon_s
    assert left_behind(tmp_path)[0] == "out"
    assert not [name for name in left_behind(tmp_path) if "partial" in name]


@pytest.mark.parametrize("whom", ["everybody", "the parent"])
def test_ctrl_c_keeps_the_replications_that_were_complete(tmp_path: Path, whom: str) -> None:
    """A terminal tells all processes in front of it, `kill -INT` only the one."""
    with child(tmp_path, MANY_SHORT, "--jobs", "2", "--json") as running:
        running.until_it_says(r"\d\d of 10000 replications")
        if whom == "everybody":
            os.killpg(running.process.pid, signal.SIGINT)
        else:
            running.process.send_signal(signal.SIGINT)
        status, out = running.end()
    assert status == 130
    run = read(tmp_path / "out")
    assert run.manifest["interrupted"]
    done = run.manifest["replications_done"]
    assert 10 <= done < 10_000
    assert set(run.tables.requests["replication"].to_pylist()) == set(range(done))
    assert f"{done} of 10000 replications" in run.manifest["notes"][0]
    assert f'"replications": {done}' in out


def test_ctrl_c_while_the_workers_still_start_is_heard(tmp_path: Path) -> None:
    with child(tmp_path, MANY_SHORT, "--jobs", "2") as running:
        running.until(lambda: len(running.group()) >= 3)
        os.killpg(running.process.pid, signal.SIGINT)
        status, _ = running.end()
    assert status == 130
    assert left_behind(tmp_path) == [] or read(tmp_path / "out").manifest["interrupted"]


def test_a_second_ctrl_c_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    with child(tmp_path, ONE_SHORT_AND_ONE_ENDLESS, "--jobs", "2") as running:
        running.until_it_says("1 of 2 replications")
        running.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(0.5)  # it waits for the end of a step that takes minutes
        running.process.send_signal(signal.SIGINT)
        status, out = running.end()
    assert status == 130
    assert out == ""
    assert running.said.count("stopping: what is complete is written") == 1
    assert "stopped at once, as asked; nothing was written" in running.said
    assert left_behind(tmp_path) == []


def test_sigterm_is_heard_like_ctrl_c(tmp_path: Path) -> None:
    with child(tmp_path, MANY_SHORT, "--jobs", "2") as running:
        running.until_it_says(r"\d\d of 10000 replications")
        os.killpg(running.process.pid, signal.SIGTERM)
        status, _ = running.end()
    assert status == 130
    assert 10 <= read(tmp_path / "out").manifest["replications_done"] < 10_000


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    with child(tmp_path, ONE_SHORT_AND_ONE_ENDLESS, "--jobs", "2") as running:
        running.until_it_says("1 of 2 replications")
        assert len(running.group()) >= 3
        running.process.kill()
        running.process.communicate(timeout=PATIENCE_S)
        running.until_alone()
    assert [name for name in left_behind(tmp_path) if not name.startswith("out.running")] == []


def test_a_killed_run_leaves_the_rows_that_left_and_no_report_is_made_of_them(tmp_path: Path) -> None:
    """100 requests arrive in a second; rows are counted in blocks. Parts are an eighth of what they are."""
    with child(tmp_path, ONE_LONG, "--jobs", "1", program=("-c", SMALL_PARTS)) as running:
        rows = tmp_path / "out.running" / "base.0"
        running.until(lambda: len(list(rows.glob("requests-*.parquet"))) >= 2)
        running.process.kill()
        running.process.communicate(timeout=PATIENCE_S)
        running.until_alone()
    found = [pq.read_table(file) for file in sorted(rows.glob("requests-*.parquet"))]
    numbers = [number for table in found for number in table["number"].to_pylist()]
    assert len(numbers) == len(set(numbers)) == FIRST_ROWS + FLUSH_ROWS + PART_ROWS * (len(found) - 1)
    assert found[0]["source"].to_pylist()[:2] == ["chat", "chat"]
    with pytest.raises(
        RunDirectoryError, match=rf"killed.* {len(numbers):,} requests of base, replication 0"
    ):
        read(tmp_path / "out.running")
    status, said = told(tmp_path, ["report", "out.running", "--check"], sys.stdout)
    assert (status, "No report is made of a part" in said) == (2, True)
    status, said = told(tmp_path, ["run", "study.yaml", "--out", "out", "--dry-run", "--force"], sys.stdout)
    assert (status, "choose another --out, or remove it" in said) == (2, True)


def test_what_a_killed_worker_was_at_is_done_again(tmp_path: Path) -> None:
    """The run ends as if nothing had been: every replication once, and none of them twice."""
    study = STUDY.format(horizon_s=10, replications=40)
    with child(tmp_path, study, "--jobs", "2") as running:
        running.until_it_says(r"[1-9] of 40 replications")
        os.kill(running.workers()[0], signal.SIGKILL)
        running.until(lambda: running.process.poll() is not None)
        status, _ = running.end()
    assert status == 0
    run = read(tmp_path / "out")
    assert run.manifest["replications_done"] == 40
    assert not run.manifest["interrupted"]
    (tmp_path / "study.yaml").write_text(study, encoding="utf-8")
    assert run.tables.requests.equals(whole(results_of(load(tmp_path / "study.yaml")).tables.requests))


def test_a_replication_that_is_lost_three_times_is_told(tmp_path: Path) -> None:
    with child(tmp_path, ONE_SHORT_AND_ONE_ENDLESS, "--jobs", "2") as running:
        running.until_it_says("1 of 2 replications")
        while running.process.poll() is None:
            for worker in running.workers():
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            time.sleep(0.05)
        status, _ = running.end()
    assert status == 130
    assert "a replication was lost three times with its process, perhaps for want of memory" in running.said


def test_ctrl_c_keeps_the_cells_of_a_sweep_that_were_complete(tmp_path: Path) -> None:
    """The same command then goes on, and simulates only the others."""
    (tmp_path / "study.yaml").write_text(STUDY.format(horizon_s=5, replications=1), encoding="utf-8")
    sweep = ("sweep", "study.yaml", "--out", "out", "--grid", "run.seed=1:30", "--jobs", "2", "--no-report")
    running = Child(tmp_path, *sweep)
    try:
        running.until_it_says(r"[1-9] of 30 cells")
        running.process.send_signal(signal.SIGINT)
        running.until(lambda: running.process.poll() is not None)
        status, _ = running.end()
    finally:
        running.close()
    assert status == 130
    said = re.search(
        r"interrupted: (\d+) of 30 cells are in out; the same command goes on from", running.said
    )
    assert said is not None
    cells = [path for path in (tmp_path / "out" / "cells").iterdir() if (path / "result.json").exists()]
    assert 1 <= len(cells) == int(said[1]) < 30
    before = {path: path.stat().st_mtime_ns for path in cells}
    again = subprocess.run(
        [sys.executable, "-m", "sim", *sweep, "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in cells} == before
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 30


# Disks


def finished(
    folder: Path, *options: str, prepare: Callable[[], None] | None = None, **environment: str
) -> tuple[int, str, str]:
    (folder / "study.yaml").write_text(STUDY.format(horizon_s=20, replications=2), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "sim", "run", "study.yaml", "--jobs", "1", "--quiet", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        preexec_fn=prepare,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory, mounted at `folder`."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "e80sim-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk takes root, and more rights than root has here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small_is_told_before_the_run(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "size=32k") as small:
        status, out, err = finished(tmp_path, "--out", "disk/out")
        assert left_behind(small) == []
    assert (status, out) == (2, "")
    assert err == (
        "e80sim: disk/out needs about 3.24 MB, and 32.8 kB are free on its disk: choose another with --out, "
        "or run it with --force\n"
    )


def test_a_disk_that_fills_up_meanwhile_does_not_lose_the_run(tmp_path: Path) -> None:
    (tmp_path / "spare").mkdir()
    with disk(tmp_path / "disk", "size=32k") as small:
        status, out, err = finished(tmp_path, "--out", "disk/out", "--force", TMPDIR=str(tmp_path / "spare"))
        assert left_behind(small) == []
    assert status == 2
    (kept,) = (tmp_path / "spare").glob("*/out")
    assert out == f"{kept / 'report.html'}\n"
    assert read(kept).summary is not None
    assert err == (
        "e80sim: The run could not be written to disk/out: No space left on device. "
        f"It is in {kept} instead.\n"
    )


def test_a_file_that_may_not_grow_leaves_nothing_half_written(tmp_path: Path) -> None:
    def no_file_beyond_8_kb() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    status, out, err = finished(tmp_path, "--out", "out", prepare=no_file_beyond_8_kb)
    assert left_behind(tmp_path) == []
    assert (status, out) == (2, "")
    assert err == "e80sim: The run could not be written to out: File too large.\n"


def test_a_folder_that_may_not_be_written_to_is_told_before_the_run(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    if os.geteuid() == 0:  # whom permissions do not stop
        with disk(locked, "ro"):
            told = finished(tmp_path, "--out", "locked/out")
    else:
        locked.mkdir(mode=0o555)
        told = finished(tmp_path, "--out", "locked/out")
    assert told == (2, "", f"e80sim: locked/out cannot be made: {locked} cannot be written to\n")


# Whoever reads


@pytest.mark.parametrize(
    "command",
    [["check", "study.yaml"], ["schema"], ["run", "study.yaml", "--out", "out"], ["--help"], ["--version"]],
)
def test_a_full_disk_behind_stdout_is_one_sentence(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.format(horizon_s=2, replications=2), encoding="utf-8")
    with Path("/dev/full").open("w") as full:
        status, err = told(tmp_path, command, full)
    assert status == 2
    assert err.splitlines()[-1] == "e80sim: stdout: No space left on device"
    assert command[0] != "run" or read(tmp_path / "out").summary is not None


def test_a_reader_who_has_read_enough_hears_no_complaint(tmp_path: Path) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    with os.fdopen(ours, "w") as closed:
        assert told(tmp_path, ["schema"], closed) == (1, "")


def told(folder: Path, command: list[str], stdout: IO[str]) -> tuple[int, str]:
    """Exit status and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "sim", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_run_goes_on_when_nobody_listens_to_its_progress(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.format(horizon_s=2, replications=2), encoding="utf-8")
    theirs, ours = os.pipe()
    os.close(theirs)
    with os.fdopen(ours, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "sim", "run", "study.yaml", "--out", "out"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=closed,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 0
    assert read(tmp_path / "out").summary is not None
