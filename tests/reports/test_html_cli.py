import json
from pathlib import Path

import pytest

from reports.cli import build
from reports.run_directory import Run, RunDirectoryError, write
from reports.summary import summarise
from tests.support.cli import e80sim
from tests.support.synthetic import synthetic_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    tables, manifest = synthetic_run(requests=600, variants=2, replications=2)
    write(
        tmp_path / "run",
        Run(tables, manifest, "name: synthetic\n", summarise(tables, manifest)),
        lambda _: b"old",
    )
    return tmp_path / "run"


def test_report_replaces_the_report_and_prints_its_path(run: Path) -> None:
    done = e80sim("report", [str(run)])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(run / "report.html")
    assert "Where should the assistant run?" in (run / "report.html").read_text(encoding="utf-8")


def test_a_report_elsewhere_leaves_the_run_as_it_was(run: Path, tmp_path: Path) -> None:
    assert build(run, tmp_path / "copy.html") == tmp_path / "copy.html"
    assert (run / "report.html").read_text(encoding="utf-8") == "old"
    assert (tmp_path / "copy.html").stat().st_size > 1_000_000


def test_a_run_without_a_summary_is_summarised_again(run: Path) -> None:
    build(run)
    first = (run / "report.html").read_text(encoding="utf-8")
    (run / "summary.json").unlink()
    build(run)
    assert (run / "report.html").read_text(encoding="utf-8") == first


def test_a_summary_of_another_format_is_not_believed(run: Path) -> None:
    current = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    stale = {**current, "schema_version": "1.0", "title": "stale"}
    (run / "summary.json").write_text(json.dumps(stale), encoding="utf-8")
    build(run)
    assert "<title>stale</title>" not in (run / "report.html").read_text(encoding="utf-8")
    assert json.loads((run / "summary.json").read_text(encoding="utf-8")) == current


def test_a_check_that_should_write_is_refused(run: Path, tmp_path: Path) -> None:
    done = e80sim("report", [str(run), "--check", "--out", str(tmp_path / "copy.html")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("e80sim: --check writes nothing, so it takes no --out ")


def test_an_unknown_directory_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    done = e80sim("report", [str(tmp_path / "nowhere")])
    assert done.exit_code == 2
    assert (
        done.stderr.strip()
        == f"e80sim: {tmp_path / 'nowhere'} is not a directory: give the directory of a run."
    )


def test_a_report_that_cannot_be_written_says_where(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="could not be written: No such file or directory"):
        build(run, tmp_path / "missing" / "report.html")
