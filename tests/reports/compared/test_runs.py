import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from reports.compared.compare import DIFF_LINES, MARGIN, compare
from reports.compared.runs import read_runs
from reports.run_directory import Run, write
from reports.stored import whole
from tests.support.cli import e80sim
from tests.support.synthetic import synthetic_run

LATER_PS = 10**10
SCENARIO = "name: synthetic\nrun:\n  seed: 20\n"


@pytest.fixture(scope="module")
def run() -> Run:
    tables, manifest = synthetic_run(8000, variants=2, replications=4, with_app=False)
    return Run(tables, {**manifest, "commit": "abc"}, SCENARIO, None)


def of(run: Run, name: str) -> Any:
    return run.tables.requests[name]


def column(run: Run, name: str, values: Any) -> Run:
    requests = run.tables.requests
    at = requests.schema.get_field_index(name)
    return replace(run, tables=replace(run.tables, requests=whole(requests).set_column(at, name, values)))


def later(run: Run) -> Run:
    """Every answer ends 10 ms later."""
    return column(run, "ended_ps", pc.add(of(run, "ended_ps"), LATER_PS))


def but(run: Run, **manifest: object) -> Run:
    return replace(run, manifest={**run.manifest, **manifest})


def compared(folder: Path, *runs: Run, margin: float = MARGIN) -> Any:
    paths = [folder / f"run_{number}" for number in range(len(runs))]
    for path, run in zip(paths, runs, strict=True):
        write(path, run)
    return compare(read_runs(paths), margin)


def row(found: Any, metric: str, statistic: str = "mean", variant: str = "edge") -> Mapping[str, Any]:
    wanted = (variant, "chat", metric, statistic)
    (one,) = [
        one
        for one in found["rows"]
        if (one["variant"], one["source"], one["metric"], one["statistic"]) == wanted
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
        assert one["differences"][0]["verdict"] == "same"


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


def test_chance_that_two_runs_do_not_share_is_noise_once_it_is_small(tmp_path: Path, run: Run) -> None:
    ended = of(run, "ended_ps")
    jitter_ps = np.random.default_rng(1).integers(-(10**9), 10**9, len(ended))  # 1 ms, of 145
    jittered = column(run, "ended_ps", pc.add(ended, pa.array(jitter_ps)))
    found = compared(tmp_path, run, jittered, but(run, seed=21), margin=0.03)
    near, apart = row(found, "e2e")["differences"]
    assert (near["verdict"], near["small"]) == ("noise", False)
    # Unpaired, the same numbers differ by 0 and by whatever the spread of both allows: ±5.4 of 145 ms.
    assert apart["value"] == 0.0
    assert apart["verdict"] == "cannot_tell"
    assert found["test"]["counts"]["real"] == 0
    assert found["test"]["tested"] > 0
    assert found["test"]["expected_by_chance"] == pytest.approx(0.05 * found["test"]["tested"])


def test_one_replication_tells_nothing_but_what_is_the_same(tmp_path: Path, run: Run) -> None:
    of_first = pa.array(of(run, "replication").to_numpy() == 0)
    tables = replace(run.tables, requests=whole(run.tables.requests).filter(of_first))
    alone = but(replace(run, tables=tables), replications_done=1)
    found = compared(tmp_path, alone, later(alone))
    assert row(found, "e2e")["differences"][0]["verdict"] == "cannot_tell"
    assert row(found, "ttft")["differences"][0]["verdict"] == "same"
    assert found["test"]["replications_wanted"] is None


def test_a_single_run_stands_for_its_variants_and_names_may_differ(tmp_path: Path, run: Run) -> None:
    away = pa.array([LATER_PS * (name == "aws_same_metro") for name in of(run, "variant").to_pylist()])
    write(tmp_path / "run", column(run, "ended_ps", pc.add(of(run, "ended_ps"), away)))
    found: Any = compare(read_runs([tmp_path / "run"]))
    assert [one["variant"] for one in found["runs"]] == ["edge", "aws_same_metro"]
    assert found["paired"] == {"B": {"paired": True, "why": ""}}
    one = row(found, "e2e", variant="")
    assert one["differences"][0]["value"] == pytest.approx(0.01)
    assert one["differences"][0]["verdict"] == "real"
    assert row(found, "ttft", variant="")["differences"][0]["verdict"] == "same"
    other = compare(read_runs([f"{tmp_path / 'run'}:aws_same_metro", f"{tmp_path / 'run'}:edge"]))
    assert row(other, "e2e", variant="")["differences"][0]["value"] == -one["differences"][0]["value"]


def test_a_number_that_no_run_has_is_left_out(tmp_path: Path, run: Run) -> None:
    silent = column(run, "stream", pa.array([False] * run.tables.requests.num_rows))
    found = compared(tmp_path, silent, silent)
    assert {one["metric"] for one in found["rows"]} == {"e2e", "attainment"}
    assert {one["metric"] for one in compared(tmp_path / "one", run, silent)["rows"]} == {
        "ttft",
        "e2e",
        "attainment",
    }


def test_shares_under_different_objectives_are_not_subtracted(tmp_path: Path, run: Run) -> None:
    facts = run.manifest["facts"]
    other = but(run, facts={**facts, "slo": {**facts["slo"], "e2e_s": 0.1}})
    found = compared(tmp_path, run, other)
    (difference,) = row(found, "attainment", "share")["differences"]
    assert difference["refused"].startswith("The objectives differ, so the shares do not count the same: ")
    assert "E2E ≤ 100 ms" in difference["refused"]
    assert difference["verdict"] == "cannot_tell"
    assert "value" in row(found, "e2e")["differences"][0]


def test_runs_that_completed_different_requests_name_them(tmp_path: Path, run: Run) -> None:
    """Every tenth request of B is lost: the mean moves, though no request that both completed does."""
    lost = np.arange(run.tables.requests.num_rows) % 10 == 0
    outcome = run.tables.requests["outcome"].to_numpy(zero_copy_only=False)
    told = np.where(lost, "timeout", outcome)
    kind = run.tables.requests.schema.field("outcome").type
    other = column(run, "outcome", pa.array(told).cast(kind))
    found = compared(tmp_path, run, other)
    one = next(s for s in found["selections"] if (s["variant"], s["source"]) == ("edge", "chat"))
    assert one["offered"][0] == one["offered"][1] > one["completed"][0]
    assert one["both"] == one["completed"][1]
    assert one["both"] / one["completed"][0] == pytest.approx(0.9, abs=0.02)
    assert one["over_both"]["value"] == 0.0
    assert row(found, "e2e")["differences"][0]["value"] != 0.0
    shown = cli(tmp_path / "run_0", tmp_path / "run_1").stdout
    assert f"Both completed {one['both']:,}, and over those the mean differs by" in " ".join(shown.split())
    assert compared(tmp_path / "more", run, later(run))["selections"] == []


def cli(*arguments: object) -> Any:
    return e80sim("compare", [str(argument) for argument in arguments])


def test_the_command_prints_a_table_or_json_and_writes_a_page(tmp_path: Path, run: Run) -> None:
    compared(tmp_path, run, later(run))
    folders = (tmp_path / "run_0", tmp_path / "run_1")
    shown = cli(*folders, "--html", tmp_path / "page.html")
    assert shown.exit_code == 0
    assert "B against A: of 28 numbers" in shown.stdout
    assert "B - A: paired by replication" in shown.stdout
    line = next(line for line in shown.stdout.splitlines() if "E2E mean" in line)
    assert "+10.0 ±" in line
    assert line.endswith("\N{BLACK UP-POINTING TRIANGLE}         real")  # 10 of 145 ms: not small
    line = next(line for line in shown.stdout.splitlines() if "TTFT mean" in line)
    assert line.endswith("=         same")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "End-to-end time, mean" in page
    assert '<td class="told real">' in page
    assert '<td class="told same"><span aria-hidden="true">=</span> same</td>' in page
    found = json.loads(cli(*folders, "--json").stdout)
    assert [one["letter"] for one in found["runs"]] == ["A", "B"]


def test_what_cannot_be_compared_is_refused_in_a_sentence(tmp_path: Path, run: Run) -> None:
    compared(tmp_path, run, run)
    one = tmp_path / "run_0"
    cases: list[tuple[list[object], str]] = [
        ([f"{one}:edge"], f"compare takes 2 to 26 variants, not 1: {one}:edge is a run of one variant."),
        ([f"{one}:core", one], f"{one} has no variant 'core'; it has edge, aws_same_metro."),
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
    silent = replace(run, tables=replace(run.tables, requests=whole(run.tables.requests).slice(0, 0)))
    for name in ("one", "two"):
        write(tmp_path / name, silent)
    result = cli(tmp_path / "one", tmp_path / "two")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("e80sim: there is nothing to compare: ")
    assert "no request" in result.stderr
