import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from reports.compared_runs import DIFF_LINES, compare, read_runs
from reports.run_directory import Run, write
from tests.support.cli import e80sim
from tests.support.synthetic import synthetic_run

LATER_PS = 10**10
SCENARIO = "name: synthetic\nrun:\n  seed: 20\n"


@pytest.fixture(scope="module")
def run() -> Run:
    tables, manifest = synthetic_run(8000, variants=2, replications=4, with_app=False)
    return Run(tables, {**manifest, "commit": "abc"}, SCENARIO, None)


def later(run: Run) -> Run:
    """Every answer ends 10 ms later."""
    requests = run.tables.requests
    ended = pc.add(requests["ended_ps"], LATER_PS)
    at = requests.schema.get_field_index("ended_ps")
    return replace(run, tables=replace(run.tables, requests=requests.set_column(at, "ended_ps", ended)))


def but(run: Run, **manifest: object) -> Run:
    return replace(run, manifest={**run.manifest, **manifest})


def compared(folder: Path, *runs: Run) -> Any:
    paths = [folder / f"run_{number}" for number in range(len(runs))]
    for path, run in zip(paths, runs, strict=True):
        write(path, run)
    return compare(read_runs(paths))


def row(found: Any, metric: str, statistic: str = "mean", source: str = "chat") -> Mapping[str, Any]:
    (one,) = [
        one
        for one in found["rows"]
        if (one["variant"], one["source"], one["metric"], one["statistic"])
        == ("edge", source, metric, statistic)
    ]
    return dict(one)


def test_a_run_beside_itself_differs_in_nothing(tmp_path: Path, run: Run) -> None:
    found = compared(tmp_path, run, run)
    assert found["warnings"] == []
    assert found["paired"] == {"B": {"paired": True, "why": ""}}
    assert found["scenario_diff"] == {"B": []}
    for one in found["rows"]:
        assert one["values"][0] == one["values"][1]
        assert one["differences"][0]["value"] == 0.0


def test_a_shift_of_ten_milliseconds_is_found_without_an_error_when_paired(tmp_path: Path, run: Run) -> None:
    found = compared(tmp_path, run, later(run))
    (difference,) = row(found, "e2e")["differences"]
    assert difference["value"] == pytest.approx(0.01)
    assert difference["high"] - difference["low"] == pytest.approx(0, abs=1e-9)
    assert row(found, "e2e", "p95")["differences"][0]["value"] == pytest.approx(0.01)
    assert row(found, "ttft")["differences"][0]["value"] == 0.0


def test_another_seed_makes_the_same_shift_as_uncertain_as_both_runs(tmp_path: Path, run: Run) -> None:
    found = compared(tmp_path, run, but(later(run), seed=21))
    assert found["paired"]["B"] == {"paired": False, "why": "seeds 20 and 21 differ"}
    one = row(found, "e2e")
    (difference,) = one["differences"]
    assert difference["value"] == pytest.approx(0.01)
    # Two runs with equal spread: the difference is about as wide as the root of 2 times either of them, and
    # t has 6 degrees of freedom instead of 3: 2.447 / 3.182 x 1.414 = 1.0875.
    value = one["values"][0]
    ratio = (difference["high"] - difference["low"]) / (value["high"] - value["low"])
    assert ratio == pytest.approx(1.0875, rel=0.001)


def test_other_arrivals_or_another_number_of_replications_are_not_paired(tmp_path: Path, run: Run) -> None:
    tables, manifest = synthetic_run(8000, variants=2, replications=4, with_app=False, per_second=25)
    other = Run(tables, {**manifest, "commit": "abc"}, SCENARIO, None)
    other = but(other, horizon_s=run.manifest["horizon_s"], warm_up_s=run.manifest["warm_up_s"])
    found = compared(tmp_path, run, other, but(run, replications_done=3), but(run, warm_up_s=6.0))
    assert found["paired"]["B"]["why"] == "the arrivals differ"
    assert found["paired"]["C"]["why"] == "4 and 3 replications"
    assert found["paired"]["D"]["why"] == "they measure different times"


def test_what_makes_runs_hard_to_compare_is_told(tmp_path: Path, run: Run) -> None:
    changed = SCENARIO.replace("seed: 20", "seed: 21") + "".join(f"x{i}: 1\n" for i in range(40))
    other = replace(but(run, commit="def", interrupted=True), scenario_text=changed)
    found = compared(tmp_path, run, other)
    assert found["warnings"] == [
        "A and B: their scenarios differ.",
        "A and B: different commits of e80sim made them (abc and def).",
        "B was interrupted.",
    ]
    diff = found["scenario_diff"]["B"]
    assert "-  seed: 20" in diff
    assert "+  seed: 21" in diff
    assert len(diff) == DIFF_LINES + 1
    assert diff[-1] == "... and 26 more lines"  # 3 of the head, `run:`, the seed twice, 40: 46 in all


def test_a_variant_that_only_one_run_has_is_left_out_and_named(tmp_path: Path, run: Run) -> None:
    facts = run.manifest["facts"]
    alone = but(run, facts={**facts, "variants": facts["variants"][:1]})
    found = compared(tmp_path, run, alone)
    assert "A and B: only one of them has aws_same_metro/chat, aws_same_metro/direct." in found["warnings"]
    refused = [one for one in found["rows"] if one["variant"] == "aws_same_metro"]
    assert refused == []


def cli(*arguments: object) -> Any:
    return e80sim("compare", [str(argument) for argument in arguments])


def test_the_command_prints_a_table_or_json_and_writes_a_page(tmp_path: Path, run: Run) -> None:
    compared(tmp_path, run, later(run))
    folders = (tmp_path / "run_0", tmp_path / "run_1")
    shown = cli(*folders, "--html", tmp_path / "page.html")
    assert shown.exit_code == 0
    assert "B - A: paired by replication" in shown.stdout
    line = next(line for line in shown.stdout.splitlines() if "E2E mean" in line)
    assert "+10.0 ±" in line
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "End-to-end time, mean" in page
    found = json.loads(cli(*folders, "--json").stdout)
    assert [one["letter"] for one in found["runs"]] == ["A", "B"]


def test_what_cannot_be_compared_is_refused_in_a_sentence(tmp_path: Path, run: Run) -> None:
    compared(tmp_path, run, run)
    one = tmp_path / "run_0"
    cases = [
        ([one], "compare takes 2 to 26 run directories, not 1."),
        ([one, tmp_path / "none"], f"{tmp_path / 'none'} is not a directory"),
        ([one, tmp_path], "it has no manifest.json"),
    ]
    for arguments, sentence in cases:
        shown = cli(*arguments)
        assert shown.exit_code == 2
        assert sentence in shown.output
        assert "Traceback" not in shown.output


def test_runs_without_a_common_source_are_refused(tmp_path: Path, run: Run) -> None:
    facts = run.manifest["facts"]
    sources = [{**facts["sources"][0], "name": "other"}]
    other = but(run, facts={**facts, "sources": sources, "sources_by_variant": {}})
    write(tmp_path / "a", run)
    write(tmp_path / "b", other)
    shown = cli(tmp_path / "a", tmp_path / "b")
    assert shown.exit_code == 2
    assert "no other run has the same variant and source" in shown.output


def test_runs_that_measured_nothing_are_refused(tmp_path: Path, run: Run) -> None:
    silent = replace(run, tables=replace(run.tables, requests=run.tables.requests.slice(0, 0)))
    for name in ("one", "two"):
        write(tmp_path / name, silent)
    result = cli(tmp_path / "one", tmp_path / "two")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("e80sim: there is nothing to compare: ")
    assert "no request" in result.stderr
