"""Runs that older versions wrote stay runs: they are read, and what their summaries told is told still.

`golden/run-X.Y.tar.xz` holds the run that the version with schema X.Y of summaries made:

    e80sim run tests/reports/golden/everything.yaml --out X.Y --jobs 1 --uncertainty 5 --no-report
    tar cJf tests/reports/golden/run-X.Y.tar.xz X.Y

Once released such a file never changes. Whoever adds a key to a summary raises `REVISION` in
`reports/summary.py` and adds a run, or makes the newest again where no release has it.
"""

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from reports.check import checked
from reports.cli import build
from reports.run_directory import read
from reports.summary import FORMAT, SCHEMA_VERSION, summarise

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(
    file.name.removeprefix("run-").removesuffix(".tar.xz") for file in GOLDEN.glob("run-*.tar.xz")
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    for version in VERSIONS:
        with tarfile.open(GOLDEN / f"run-{version}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return folder


def shape(document: object, place: str = "") -> Iterator[str]:
    """Every path to a value, with the kind of the value: numbers may differ, what there is may not."""
    if isinstance(document, Mapping):
        yield place
        for key, inner in document.items():
            yield from shape(inner, f"{place}/{key}")
    elif isinstance(document, list):
        yield f"{place}[]"
        for inner in document:
            yield from shape(inner, f"{place}[]")
    else:
        kind = "number" if isinstance(document, int | float) else type(document).__name__
        yield f"{place}: {kind}"


def test_there_is_a_golden_run_of_every_revision() -> None:
    assert VERSIONS[-1] == SCHEMA_VERSION
    assert {version.partition(".")[0] for version in VERSIONS} == {str(FORMAT)}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_summary_of_today_has_all_that_an_older_one_of_its_format_had(runs: Path, version: str) -> None:
    run = read(runs / version)
    told = {key: value for key, value in (run.summary or {}).items() if key != "uncertainty"}
    assert set(shape(told)) <= set(shape(summarise(run.tables, run.manifest)))


def test_a_key_that_joins_a_summary_raises_its_revision(runs: Path) -> None:
    run = read(runs / SCHEMA_VERSION)
    told = {key: value for key, value in (run.summary or {}).items() if key != "uncertainty"}
    joined = set(shape(summarise(run.tables, run.manifest))) - set(shape(told))
    assert not joined, "raise REVISION in reports/summary.py and add a golden run, as above"


@pytest.mark.parametrize("version", VERSIONS[:1])
def test_a_report_of_an_older_run_is_one_of_today(runs: Path, version: str, tmp_path: Path) -> None:
    page = build(runs / version, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What does a summary of this version hold?" in page
    assert 'id="uncertainty"' in page


def test_a_check_of_the_newest_finds_nothing(runs: Path) -> None:
    assert checked(runs / SCHEMA_VERSION).findings == []
