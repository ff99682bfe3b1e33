import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.check import checked
from reports.html import report_of
from reports.preemptions import preemptions_that_differ
from reports.run_directory import Run, write
from reports.summary import summarise
from tests.support.cli import e80sim
from tests.support.damage import flip
from tests.support.records import manifest, node, preempted, preemptions, request, tables
from tests.support.synthetic import synthetic_run

FILES = (
    "manifest.json",
    "nodes.parquet",
    "report.html",
    "requests.parquet",
    "scenario.yaml",
    "summary.json",
    "user_requests.parquet",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tables, manifest = synthetic_run(160, variants=1, replications=1)
    path = tmp_path_factory.mktemp("runs") / "whole"
    write(path, Run(tables, manifest, "name: synthetic\n", summarise(tables, manifest)), report_of)
    assert tuple(sorted(file.name for file in path.iterdir())) == FILES
    return path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return copytree(whole, tmp_path / "run")


def change(file: Path, path: str, value: object) -> None:
    """What lies at `path`, of keys with dots between, in a file of JSON; None takes it away."""
    document = inner = json.loads(file.read_text(encoding="utf-8"))
    *outer, last = path.split(".")
    for key in outer:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    file.write_text(json.dumps(document), encoding="utf-8")


def test_preemptions_are_as_many_as_nodes_and_requests_count(tmp_path: Path) -> None:
    rows = [request(number=0, preemptions=2), request(number=1), request(number=2, preemptions=1)]
    rows_told = preemptions(preempted(0, 20, 30), preempted(0, 40, 50), preempted(2, 40, None, node=1))
    made = tables({("edge", 0): rows}, nodes=[node(preemptions=2), node(node=1, preemptions=1)])
    facts = manifest()
    for name, kept, findings in (
        ("whole", rows_told, []),
        (
            "less",
            rows_told.slice(1),
            [
                f"preemptions.parquet has 1 of {of} in edge, replication 0, and {table}.parquet counts 2."
                for of, table in (("node 0 of llama", "nodes"), ("request 0", "requests"))
            ],
        ),
        ("older", None, []),
    ):
        run = Run(replace(made, preemptions=kept), facts, "name: hand\n", summarise(made, facts))
        write(tmp_path / name, run)
        assert checked(tmp_path / name).findings == findings


def test_a_row_too_many_is_told_of_a_request_that_was_never_preempted() -> None:
    made = tables({("edge", 0): [request(number=0)]}, nodes=[node()])
    told = preemptions_that_differ(replace(made, preemptions=preemptions(preempted(0, 20, 30))))
    assert [sentence.split(" in edge")[0] for sentence in told] == [
        "preemptions.parquet has 1 of node 0 of llama",
        "preemptions.parquet has 1 of request 0",
    ]


def test_a_whole_run_has_no_finding_and_exit_status_0(run: Path) -> None:
    done = e80sim("report", [str(run), "--check"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{run}: whole and unchanged: 4 files, and ")
    assert checked(run).numbers > 500


def test_a_check_changes_nothing(run: Path) -> None:
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    checked(run)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def unlink(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def says(name: str, path: str, value: object) -> Callable[[Path], None]:
    return lambda run: change(run / name, path, value)


def table_joins(run: Path) -> None:
    (run / "faults.parquet").write_bytes((run / "nodes.parquet").read_bytes())


def report_of_another_run(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    change(run / "manifest.json", "seed", 4)
    (run / "report.html").write_text(page.replace("Where should", "Where could"), encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "findings"),
    [
        (unlink("scenario.yaml"), ["scenario.yaml is missing.", "scenario.yaml cannot be read"]),
        (unlink("summary.json"), ["summary.json is missing."]),
        (unlink("user_requests.parquet"), ["user_requests.parquet is missing.", "summary.json says "]),
        (table_joins, ["faults.parquet is not in manifest.json: ", "faults.parquet lacks the column number"]),
        (
            says("summary.json", "variants.edge.counts.offered", 7),
            ["summary.json says variants.edge.counts.offered is 7, and the tables give "],
        ),
        (
            says("summary.json", "variants.edge.rates", None),
            ["summary.json lacks variants.edge.rates, which the tables give."],
        ),
        (
            says("summary.json", "variants.edge.bonus", 1),
            ["summary.json has variants.edge.bonus, which the tables do not give."],
        ),
        (
            says("summary.json", "format", 1),
            ["summary.json has format 1; this version of e80sim makes format 2."],
        ),
        (says("manifest.json", "digest", None), ["manifest.json has no digest of the run: "]),
        (
            says("manifest.json", "seed", 21),
            ["manifest.json has changed since", "summary.json says seed is 20, and the tables give 21."],
        ),
        (lambda run: flip(run / "report.html", 2_000), ["report.html has changed since it was written"]),
    ],
)
def test_a_finding_is_a_sentence_that_names_the_file(
    run: Path, harm: Callable[[Path], None], findings: list[str]
) -> None:
    harm(run)
    done = e80sim("report", [str(run), "--check"])
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    for finding in findings:
        assert any(line.startswith(f"{run}: {finding}") for line in lines), lines
    assert len(lines) <= 22


def test_a_report_of_another_run_shows_another_digest(run: Path, tmp_path: Path) -> None:
    tables, manifest = synthetic_run(170, variants=1, replications=1)
    write(tmp_path / "other", Run(tables, manifest, "", summarise(tables, manifest)), report_of)
    (run / "report.html").write_bytes((tmp_path / "other" / "report.html").read_bytes())
    assert [finding.partition(":")[0] for finding in checked(run).findings] == [
        "report.html is of another run, or of this one before a file joined it"
    ]


def test_a_summary_with_many_wrong_numbers_is_cut_short(run: Path) -> None:
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    series = summary["variants"]["edge"]["series"]
    series.update(dict.fromkeys(series, 1))
    summary["series_edges_s"] = [one + 1 for one in summary["series_edges_s"]]
    (run / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    *shown, last = checked(run).findings
    assert len(shown) == 20
    assert last.endswith(" more numbers of summary.json differ.")


def test_a_name_of_a_column_that_is_no_text_any_more_is_told(run: Path) -> None:
    file = run / "nodes.parquet"
    file.write_bytes(file.read_bytes().replace(b"busy_ps", b"busy_\x91s"))
    (changed, unread) = checked(run).findings
    assert changed.startswith("nodes.parquet has changed since it was written")
    assert unread.startswith("nodes.parquet cannot be read, the run is damaged: 'utf-8' codec can't decode")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([name for name in FILES if name != "manifest.json"]), st.floats(0, 0.9999))
def test_no_two_bytes_of_any_file_change_unnoticed(whole: Path, name: str, place: float) -> None:
    file = whole / name
    content = file.read_bytes()
    flip(file, int(place * (len(content) - 1)))
    try:
        assert any(finding.startswith(name) for finding in checked(whole).findings)
    finally:
        file.write_bytes(content)
