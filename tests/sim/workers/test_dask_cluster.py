"""A real scheduler and two real workers on the loopback make the cells that two local processes make."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from e80sim.mistakes import UserError
from sim.__main__ import main
from sim.workers import dask_cluster
from sim.workers.dask_cluster import DaskCluster
from sim.workers.perform import perform
from sim.workers.version import versions
from tests.sim.study.test_cell import TINY
from tests.support import tasks
from tests.support.dask import two_workers

GRID = ("--grid", "models.m.nodes=1:2", "--grid", "traffic.s.arrivals.rate_per_s=10,20")


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
    def told(_share: float, _note: str) -> None:
        return

    with DaskCluster(cluster) as executor:
        found = {
            one.number: one
            for one in perform(executor, tasks.wrong, [0, 1, 2], total=3, what="tasks", tell=told)
        }
    assert found[0].result == 0
    assert found[1].failure is not None
    assert found[1].failure.why == "the first is wrong"
    assert found[2].failure is not None
    assert found[2].failure.why == "ZeroDivisionError: the second divides by nothing"


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
