"""Sweeps from the command line: which cells there are, which are simulated, and what is left of them."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sim.__main__ import main
from sim.scenario.load import load
from sim.study import sweep as sweeping
from sim.study.cell import simulated
from sim.study.design import Design, short_names
from sim.workers.executor import Tell
from tests.sim.study.test_cell import TINY

GRID = ("--grid", "models.m.nodes=1:2", "--grid", "traffic.s.arrivals.rate_per_s=10,20")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return tmp_path / "tiny.yaml"


def swept(file: Path, *options: str, out: str = "out") -> int:
    quiet = ("--jobs", "1", "--quiet")
    return main(["sweep", str(file), "--out", str(file.parent / out), *quiet, *options])


def rows(file: Path, out: str = "out") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((file.parent / out / "cells.json").read_text())
    return found


@pytest.fixture
def simulations(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is simulated."""
    seen: list[object] = []

    def counted(task: Any, tell: Tell) -> object:
        seen.append(task)
        return simulated(task, tell)

    monkeypatch.setattr(sweeping, "simulated", counted)
    return seen


def test_a_grid_has_each_value_with_each_of_the_others(file: Path) -> None:
    assert swept(file, *GRID) == 0
    found = [(row["models.m.nodes"], row["traffic.s.arrivals.rate_per_s"]) for row in rows(file)]
    assert found == [(1, 10), (1, 20), (2, 10), (2, 20)]
    offered = {
        rate: {r["offered_per_s"] for r in rows(file) if r["traffic.s.arrivals.rate_per_s"] == rate}
        for rate in (10, 20)
    }
    assert all(len(values) == 1 for values in offered.values())  # common random numbers
    busy = {row["models.m.nodes"]: row["m.utilisation"] for row in rows(file)}
    assert busy[2] == pytest.approx(busy[1] / 2)


def test_the_tables_say_the_same(file: Path) -> None:
    assert swept(file, *GRID) == 0
    as_json = rows(file)
    with (file.parent / "out" / "cells.csv").open() as text:
        as_csv = list(csv.DictReader(text))
    as_parquet = pq.read_table(file.parent / "out" / "cells.parquet").to_pylist()
    assert [row["s.e2e_p95_s"] for row in as_json] == [row["s.e2e_p95_s"] for row in as_parquet]
    assert [row["s.e2e_p95_s"] for row in as_json] == [float(row["s.e2e_p95_s"]) for row in as_csv]
    assert [row["key"] for row in as_json] == [row["key"] for row in as_csv]


def test_what_is_there_is_not_simulated_again(file: Path, simulations: list[object]) -> None:
    assert swept(file, *GRID) == 0
    assert len(simulations) == 4
    before = rows(file)
    assert swept(file, *GRID) == 0
    assert swept(file, *GRID, "--set", "title=Another title") == 0
    assert len(simulations) == 4
    assert rows(file) == before
    assert swept(file, "--grid", "models.m.nodes=1:3", *GRID[2:]) == 0
    assert len(simulations) == 6


def test_a_cell_that_is_not_whole_is_simulated_again(file: Path, simulations: list[object]) -> None:
    assert swept(file, *GRID) == 0
    before = rows(file)
    cells = sorted((file.parent / "out" / "cells").iterdir())
    (cells[0] / "result.json").write_text("{", encoding="utf-8")
    (cells[1] / "result.json").unlink()
    assert swept(file, *GRID) == 0
    assert len(simulations) == 6
    assert rows(file) == before


def test_the_number_of_processes_changes_no_byte(file: Path) -> None:
    assert swept(file, *GRID) == 0
    assert swept(file, *GRID, "--jobs", "2", out="two") == 0
    for name in ("cells.csv", "cells.json", "cells.parquet", "sweep.json"):
        assert (file.parent / "out" / name).read_bytes() == (file.parent / "two" / name).read_bytes()


def test_shards_come_to_what_the_whole_sweep_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert swept(file, *GRID) == 0
    assert swept(file, *GRID, "--shard", "1/3", out="shared") == 0
    assert main(["sweep", "merge", str(file.parent / "shared"), "--quiet"]) == 2
    assert "2 of 4 cells are missing, the first of them number 2: run their shards" in capsys.readouterr().err
    assert swept(file, *GRID, "--shard", "2/3", out="shared") == 0
    assert swept(file, *GRID, "--shard", "3/3", out="elsewhere") == 0
    folders = [str(file.parent / name) for name in ("shared", "elsewhere")]
    assert main(["sweep", "merge", *folders, "--quiet"]) == 0
    for name in ("cells.csv", "sweep.json"):
        assert (file.parent / "out" / name).read_bytes() == (file.parent / "shared" / name).read_bytes()


def test_a_shared_folder_takes_no_other_sweep(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert swept(file, *GRID, "--shard", "1/2") == 0
    assert swept(file, *GRID, "--shard", "2/2", "--set", "run.seed=5") == 2
    assert "holds another sweep, 4 cells of tiny" in capsys.readouterr().err


def test_samples_are_spread_over_their_ranges_and_alike_each_time(file: Path) -> None:
    options = (
        "--lhs",
        "models.m.nodes=1..4",
        "--lhs",
        "traffic.s.arrivals.rate_per_s=10.0..20",
        "--samples",
        "4",
    )
    assert swept(file, *options) == 0
    found = rows(file)
    assert sorted(row["models.m.nodes"] for row in found) == [1, 2, 3, 4]
    quarters = sorted(int((row["traffic.s.arrivals.rate_per_s"] - 10) // 2.5) for row in found)
    assert quarters == [0, 1, 2, 3]
    assert swept(file, *options, out="again") == 0
    assert rows(file, "again") == found


def test_the_file_can_say_what_is_swept_and_variants_are_swept_alike(file: Path) -> None:
    text = TINY + (
        "variants:\n  small: {}\n  large: {set: {models.m.nodes: 3}}\n"
        "sweep:\n  zip: {traffic.s.arrivals.rate_per_s: [10, 20], run.horizon_s: [20, 10]}\n"
    )
    file.write_text(text, encoding="utf-8")
    assert swept(file) == 0
    found = [(row["variant"], row["run.horizon_s"], row["m.paid_nodes"]) for row in rows(file)]
    assert found == [("small", 20, 1), ("large", 20, 3), ("small", 10, 1), ("large", 10, 3)]


def test_a_cell_that_fails_is_told_and_the_others_are_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(task: Any, tell: Tell) -> object:
        if task.scenario.models["m"].nodes == 2:
            raise MemoryError("no room")
        return simulated(task, tell)

    monkeypatch.setattr(sweeping, "simulated", failing)
    assert swept(file, "--grid", "models.m.nodes=1:3") == 1
    assert "1 of 3 cells failed, the first of them so: it failed 3 times" in capsys.readouterr().err
    assert [row["status"] for row in rows(file)] == ["done", "failed", "done"]
    assert rows(file)[1]["why"].endswith("MemoryError: no room")
    monkeypatch.setattr(sweeping, "simulated", simulated)
    assert swept(file, "--grid", "models.m.nodes=1:3") == 0


def test_the_answer_comes_first(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(file.parent / "out")
    assert main(["sweep", str(file), *GRID, "--out", out, "--jobs", "1"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "All 4 cells keep up with what is asked."
    assert said[1].startswith("TTFT p95 lies between ")
    assert said[-1] == f"{out}/report.html"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "nothing is varied: write a section `sweep`"),
        (
            ("--grid", "models.m.noodes=1:2"),
            "models.m.noodes=1: `models.m.noodes` is not a known setting; did you",
        ),
        (("--grid", "models.n.nodes=1:2"), "models.n.nodes=1: there is no model `n`; there are `m`"),
        (("--grid", "models.m.nodes=0:2"), "models.m.nodes=0: `models.m.nodes` is 0: it must be 1 or more"),
        (
            ("--grid", "models.m.nodes=2:1"),
            "--grid models.m.nodes=2:1: `sweep.grid.models.m.nodes`: 2:1 is empty",
        ),
        (("--grid", "models.m.nodes"), "--grid models.m.nodes: write it as field=values"),
        (("--lhs", "models.m.nodes=1..4"), "--lhs: say how many samples with --samples"),
        (("--lhs", "models.m.nodes=4..1", "--samples", "3"), "4..1 is empty: the lower end comes first"),
        ((*GRID, "--shard", "3/2"), "--shard 3/2: write it as 3/16"),
    ],
)
def test_what_cannot_be_swept_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    assert swept(file, *options) == 2
    assert sentence in capsys.readouterr().err
    assert not (file.parent / "out").exists()


def test_merging_what_is_no_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "merge", str(tmp_path)]) == 2
    assert f"{tmp_path} is not the folder of a sweep: it has no sweep.json" in capsys.readouterr().err


def test_fields_go_by_as_few_words_as_tell_them_apart() -> None:
    fields = ["models.a.nodes", "models.b.nodes", "run.seed", "nodes"]
    assert short_names(fields) == {
        "models.a.nodes": "a.nodes",
        "models.b.nodes": "b.nodes",
        "run.seed": "seed",
        "nodes": "nodes",
    }


def test_every_point_of_a_design_comes_once(file: Path) -> None:
    section = "sweep.grid={run.seed: [1, 2]}", "sweep.samples={count: 3, ranges: {models.m.nodes: 1..9}}"
    design = Design(load(file, section).base.sweep, 1)
    points = [(point["run.seed"], point["models.m.nodes"]) for point in design.points()]
    assert len(points) == design.section.cells == 6
    assert points[:3] == [(1, nodes) for _, nodes in points[3:]]
