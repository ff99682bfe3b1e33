import errno
import os
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from reports import run_directory
from reports.run_directory import Run, RunDirectoryError, add_file, read, write, write_report
from reports.stored import whole, write_stored
from reports.summary import summarise
from reports.tables import gap_table
from tests.support.damage import flip
from tests.support.synthetic import synthetic_run


@pytest.fixture(scope="module")
def run() -> Run:
    tables, manifest = synthetic_run(600, variants=2, replications=2)
    return Run(tables, manifest, "name: synthetic\n", summarise(tables, manifest))


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_a_run_reads_back_as_it_was_written(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "runs" / "a", run, lambda _: b"<html>")
    found = read(tmp_path / "runs" / "a")
    assert found.summary == run.summary
    assert {**found.manifest, **run.manifest} == found.manifest
    assert found.scenario_text == "name: synthetic\n"
    assert found.tables.requests.equals(whole(run.tables.requests))
    assert found.tables.user_requests is not None
    assert run.tables.user_requests is not None
    assert found.tables.user_requests.equals(whole(run.tables.user_requests))
    assert summarise(found.tables, found.manifest) == run.summary
    assert (tmp_path / "runs" / "a" / "report.html").read_text() == "<html>"


def test_gaps_read_back_where_they_were_counted(tmp_path: Path, run: Run) -> None:
    bins = {
        "model": [0, 0],
        "from_ps": [10, 1024],
        "to_ps": [11, 1026],
        "mean_ps": [10, 1025],
        "gaps": [7, 5],
    }
    gaps = gap_table("edge", 0, bins, {"model": ["llama"]})
    write(tmp_path / "a", replace(run, tables=replace(run.tables, gaps=gaps)))
    found = read(tmp_path / "a").tables.gaps
    assert found is not None
    assert found.equals(gaps)
    write(tmp_path / "b", run)
    assert read(tmp_path / "b").tables.gaps is None


def test_the_same_run_writes_the_same_bytes_and_so_does_a_run_read_back(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "a", run)
    write(tmp_path / "b", run)
    write(tmp_path / "c", read(tmp_path / "a"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "c")
    assert len(contents(tmp_path / "a")) == 6


def disk_full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_full_disk_leaves_nothing_and_says_so_in_a_sentence(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second_table_fails(path: Path, *of_table: Any) -> None:
        (disk_full if path.name == "nodes.parquet" else write_stored)(path, *of_table)

    monkeypatch.setattr(run_directory, "write_stored", second_table_fails)
    with pytest.raises(RunDirectoryError, match=r"/a: No space left on device\.$"):
        write(tmp_path / "a", run)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["_sync", "_fill", "json_text"])
def test_an_interrupt_leaves_nothing_and_stays_an_interrupt(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(run_directory, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a", run)
    assert list(tmp_path.iterdir()) == []


def test_a_run_never_overwrites_another(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "a", run)
    before = contents(tmp_path / "a")
    with pytest.raises(RunDirectoryError, match="exists already"):
        write(tmp_path / "a", run)
    assert contents(tmp_path / "a") == before


def test_a_place_that_is_a_file_is_named_in_the_error(tmp_path: Path, run: Run) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match=r"could not be written to .*file/a: "):
        write(tmp_path / "file" / "a", run)


def test_a_report_is_replaced_whole_or_not_at_all(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", run, lambda _: b"old")
    write_report(tmp_path / "a", "new")
    assert (tmp_path / "a" / "report.html").read_text() == "new"
    monkeypatch.setattr(run_directory, "_sync", disk_full)
    with pytest.raises(RunDirectoryError, match="No space left"):
        write_report(tmp_path / "a", "newer")
    assert (tmp_path / "a" / "report.html").read_text() == "new"
    assert len(contents(tmp_path / "a")) == 7


def truncate(path: Path) -> None:
    file = path / "requests.parquet"
    file.write_bytes(file.read_bytes()[:-20])


def other_format(path: Path) -> None:
    (path / "manifest.json").write_text('{"format": 9}')


def not_json(path: Path) -> None:
    (path / "manifest.json").write_text('{"format": 1')


def list_json(path: Path) -> None:
    (path / "summary.json").write_text("[]")


def no_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def no_nodes(path: Path) -> None:
    (path / "nodes.parquet").unlink()


def other_table(path: Path) -> None:
    (path / "requests.parquet").write_bytes((path / "nodes.parquet").read_bytes())


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (truncate, r"requests\.parquet cannot be read, the run is damaged: "),
        (other_format, "has format 9; this version of e80sim reads format 2"),
        (not_json, r"manifest\.json cannot be read, the run is damaged: "),
        (list_json, r"summary\.json does not hold a JSON object"),
        (no_manifest, r"is not the directory of a run: it has no manifest\.json"),
        (no_nodes, r"nodes\.parquet cannot be read"),
        (other_table, r"requests\.parquet lacks the column number"),
    ],
)
def test_a_damaged_run_is_refused_with_its_file(
    tmp_path: Path, run: Run, harm: Callable[[Path], None], sentence: str
) -> None:
    write(tmp_path / "a", run)
    harm(tmp_path / "a")
    with pytest.raises(RunDirectoryError, match=sentence) as refusal:
        read(tmp_path / "a")
    assert "\n" not in str(refusal.value)


def test_two_flipped_bytes_within_a_page_are_noticed_when_the_table_is_read(tmp_path: Path, run: Run) -> None:
    """Without checksums of pages four of five such flips would read as other numbers."""
    write(tmp_path / "a", run)
    file = pq.ParquetFile(tmp_path / "a" / "requests.parquet")
    place = file.schema_arrow.names.index("intended_ps")
    column = file.metadata.row_group(0).column(place)
    flip(tmp_path / "a" / "requests.parquet", column.data_page_offset + column.total_compressed_size // 2)
    with pytest.raises(RunDirectoryError, match=r"requests\.parquet cannot be read.* checksum"):
        read(tmp_path / "a")


def test_a_file_that_joins_a_run_joins_its_digest(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "a", run)
    before = read(tmp_path / "a").manifest
    after = add_file(tmp_path / "a", "client.jsonl", "{}\n").manifest
    assert after == read(tmp_path / "a").manifest
    assert set(after["files"]) - set(before["files"]) == {"client.jsonl"}
    assert after["files"]["client.jsonl"] == sha256(b"{}\n").hexdigest()
    assert after["digest"] != before["digest"]


def test_equal_runs_have_one_digest_whenever_they_were_made(tmp_path: Path, run: Run) -> None:
    later = replace(run, manifest={**run.manifest, "created": "2026-02-02T00:00:00Z", "wall_s": 7.5})
    seeded = replace(run, manifest={**run.manifest, "seed": 21})
    digests = []
    for name, one in {"a": run, "b": later, "c": seeded}.items():
        write(tmp_path / name, one)
        digests.append(read(tmp_path / name).manifest["digest"])
    assert digests[0] == digests[1] != digests[2]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="nowhere is not a directory"):
        read(tmp_path / "nowhere")


def test_a_summary_with_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        run_directory.json_text({"value": float("nan")})
