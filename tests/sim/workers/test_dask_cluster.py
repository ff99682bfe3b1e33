"""A real scheduler and two real workers on the loopback make the cells that two local processes make."""

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import KilledWorker

from e80sim.mistakes import UserError
from sim.__main__ import main
from sim.study.cell import Identity
from sim.study.store import CellStore
from sim.workers import dask_cluster, interrupt
from sim.workers.dask_cluster import DaskCluster
from sim.workers.perform import perform
from sim.workers.version import versions
from tests.sim.study.test_cell import TINY
from tests.support import tasks
from tests.support.dask import two_workers, until_there, worker

GRID = ("--grid", "models.m.nodes=1:2", "--grid", "traffic.s.arrivals.rate_per_s=10,20")


def untold(_share: float, _note: str) -> None:
    return


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    with two_workers(tmp_path_factory.mktemp("dask")) as address:
        yield address


def test_two_workers_of_a_cluster_make_the_cells_of_two_processes(cluster: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    file, quiet = str(tmp_path / "tiny.yaml"), "--quiet"
    here, there = (str(tmp_path / name) for name in ("here", "there"))
    assert main(["sweep", file, *GRID, quiet, "--out", here, "--jobs", "2"]) == 0
    assert main(["sweep", file, *GRID, quiet, "--out", there, "--scheduler", cluster]) == 0
    found = {path.relative_to(here): path.read_bytes() for path in Path(here).rglob("*") if path.is_file()}
    other = {path.relative_to(there): path.read_bytes() for path in Path(there).rglob("*") if path.is_file()}
    assert len(found) == 13  # two files of each of four cells, and five of the sweep
    assert found == other


def test_an_error_on_a_worker_is_that_of_its_task_alone(cluster: str) -> None:
    with DaskCluster(cluster) as executor:
        found = {
            one.number: one
            for one in perform(executor, tasks.wrong, [0, 1, 2], total=3, what="tasks", tell=untold)
        }
    assert found[0].result == 0
    assert found[1].failure is not None
    assert found[1].failure.why == "the first is wrong"
    assert found[2].failure is not None
    assert found[2].failure.why == "ZeroDivisionError: the second divides by nothing"


def test_the_tasks_of_a_worker_that_is_lost_are_done_by_others(cluster: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    given = [(number, marks) for number in range(8)]
    with worker(tmp_path, cluster, **{tasks.VICTIM: "1"}) as victim:
        until_there(cluster, workers=3)
        with DaskCluster(cluster) as executor:
            found = perform(executor, tasks.lost_with_its_worker, given, total=8, what="tasks", tell=untold)
            assert sorted(one.result for one in found) == list(range(8))
        assert victim.wait(60) == -signal.SIGKILL
    lost = (marks / "lost").read_text()
    assert len(list(marks.glob(f"{lost}.*"))) == 2  # begun on the victim, and again elsewhere


def test_a_task_that_loses_worker_after_worker_is_given_up_with_the_reason() -> None:
    class Lost:
        def result(self) -> Any:
            last: Any = SimpleNamespace(address="tcp://lost:1")
            raise KilledWorker("task", last, 3)

    _, failure = dask_cluster._outcome(Lost())
    assert failure is not None
    assert (failure.why, failure.final) == (
        "the workers that worked on it were lost, perhaps for want of memory",
        True,
    )


class Deserted:
    """The client of a cluster whose only worker is lost, with the task that it was at."""

    status = "running"

    def __init__(self) -> None:
        self.workers = {"tcp://lost:1": 1}

    def nthreads(self) -> Mapping[str, int]:
        return self.workers

    def run(self, *_asked: object, **_how: object) -> Mapping[str, object]:
        return {}

    def submit(self, *_task: object, **_how: object) -> object:
        self.workers = {}
        return SimpleNamespace(key="task", add_done_callback=lambda _tell: None)

    def cancel(self, _futures: object) -> None: ...

    def close(self) -> None: ...


def test_a_cluster_without_any_worker_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"LOOK_S": 0.001, "COUNT_S": 0.0, "ALONE_S": 0.01}.items():
        monkeypatch.setattr(dask_cluster, name, seconds)
    monkeypatch.setattr(dask_cluster, "_client", lambda _scheduler: Deserted())
    with DaskCluster("tcp://deserted:1") as executor:
        executor.submit(0, tasks.doubled, 1)
        with pytest.raises(UserError, match="has had no workers for 0 s: start some, and the same command"):
            executor.ended(lambda _number, _share: None)


@pytest.fixture
def interruptible(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command changes of signals is put back."""
    before = {number: signal.getsignal(number) for number in interrupt.SIGNALS}
    monkeypatch.setattr(interrupt, "_asked", False)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("interruptible")
def test_after_an_interrupt_the_cells_that_ended_on_a_cluster_are_kept(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    out = tmp_path / "out"
    grid = ("--grid", "run.seed=1:12", "--quiet", "--out", str(out), "--scheduler", cluster)
    honest = CellStore.write

    def written_and_interrupted(store: CellStore, identity: Identity, result: Mapping[str, Any]) -> None:
        honest(store, identity, result)
        if not interrupt.asked():
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(CellStore, "write", written_and_interrupted)
    assert main(["sweep", str(tmp_path / "tiny.yaml"), *grid]) == 130
    kept = sorted(path.parent for path in out.glob("cells/*/result.json"))
    # The first, and of the four that were under way, with the one drawn meanwhile, those that ended in time.
    assert 1 <= len(kept) <= 6
    assert f"interrupted: {len(kept)} of 12 cells are in {out}" in capsys.readouterr().err
    before = {folder: (folder / "result.json").stat().st_mtime_ns for folder in kept}
    monkeypatch.setattr(CellStore, "write", honest)
    assert main(["sweep", str(tmp_path / "tiny.yaml"), *grid]) == 0
    assert len(list(out.glob("cells/*/result.json"))) == 12
    assert {folder: (folder / "result.json").stat().st_mtime_ns for folder in kept} == before


def test_workers_of_another_version_are_refused(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def other() -> Mapping[str, str]:
        return versions() | {"e80sim": "9.9"}

    monkeypatch.setattr(dask_cluster, "versions", other)
    with pytest.raises(
        UserError, match=r"tcp://127\.0\.0\.1:\d+ has e80sim .* and this is 9\.9: client and workers"
    ):
        DaskCluster(cluster)


def test_a_worker_that_came_later_is_refused_by_its_task() -> None:
    wanted = versions() | {"python": "2.7"}
    with pytest.raises(UserError, match=r"a worker has python .* and this is 2\.7"):
        dask_cluster._perform(wanted, tasks.doubled, 1)


def test_where_no_scheduler_answers_that_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 0.2)
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    out = ("--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9")
    assert main(["sweep", str(tmp_path / "tiny.yaml"), *GRID, *out]) == 2
    assert "--scheduler tcp://127.0.0.1:9: no Dask scheduler answers there" in capsys.readouterr().err
