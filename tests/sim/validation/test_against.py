"""A run against measurements: matched requests, distributions, and a run that is read back as measured."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e80sim.measured import MeasuredError, MeasuredRequest, MeasuredRequests
from reports.compared.measured import against_remarks
from reports.exports.answers import About
from reports.exports.table import write_export
from reports.run_directory import Run, write
from sim.validation.against import Replication, against, kolmogorov_smirnov, replications_of
from sim.validation.matching import NONE, ORDER, SIZE, match
from sim.validation.measured_file import MeasuredFile, measured_file
from tests.support.cli import e80sim
from tests.support.synthetic import synthetic_run

ABOUT = About("mine", "8080/m", 1, datetime(2026, 11, 29, 12, tzinfo=UTC), "e80sim 0.1.0")
READ = (
    "columns",
    "vllm_bench",
    "aiperf_jsonl",
    "guidellm",
    "inference_perf",
    "llmservingsim_jsonl",
    "blis_csv",
)
MEASURED = Path(__file__).parents[2] / "e80sim" / "measured"


def answered(at_s: float, sizes: tuple[int, int], ttft_ms: float, tpot_ms: float) -> MeasuredRequest:
    return MeasuredRequest(at_s, *sizes, ttft_ms, tpot_ms, ttft_ms + tpot_ms * (sizes[1] - 1))


def replication(*rows: MeasuredRequest, number: int = 0) -> Replication:
    return Replication(number, MeasuredRequests("the run", "run", rows))


def file_of(folder: Path, *rows: MeasuredRequest, name: str = "columns") -> MeasuredFile:
    path = folder / f"file.{name}"
    write_export(MeasuredRequests("file", "run", rows), ABOUT, path, name)
    return measured_file(path)


@pytest.fixture(scope="module")
def run() -> Run:
    tables, manifest = synthetic_run(600, variants=1, replications=2, with_app=False)
    return Run(tables, {**manifest, "commit": "abc"}, "name: synthetic\n", None)


@pytest.mark.parametrize("name", READ)
def test_a_run_that_is_read_back_as_measured_differs_in_nothing(tmp_path: Path, run: Run, name: str) -> None:
    sides = replications_of(run, None, None, None)
    path = tmp_path / "file"
    write_export(sides[1].requests, ABOUT, path, name)
    found = against(sides, measured_file(path))
    assert found["matching"]["how"] == ORDER
    assert found["replications"] == [1]  # the only one of the two that has these requests
    assert [one["metric"] for one in found["metrics"]] == ["ttft", "tpot", "e2e"]
    for one in found["metrics"]:
        assert one["mean_error"] == pytest.approx(0, abs=1e-4)
        assert [quantile["error"] for quantile in one["quantiles"]] == pytest.approx([0] * 4, abs=1e-4)
        assert one["by_request"]["mape"] == pytest.approx(0, abs=1e-4)
        assert one["ks"] < 0.02  # files in microseconds round some up
    for one in found["throughput"]:
        assert one["error"] == pytest.approx(0, abs=1e-4)


def test_errors_of_matched_requests_by_hand(tmp_path: Path) -> None:
    measured = file_of(tmp_path, answered(0, (10, 3), 100, 10), answered(2, (20, 5), 200, 20))
    side = replication(answered(0, (10, 3), 110, 10), answered(1, (20, 5), 200, 24))
    found = against([side], measured)
    ttft, tpot, e2e = found["metrics"]
    assert found["matching"] == {"how": ORDER, "pairs": 2, "simulated": 2, "measured": 2}
    assert ttft["mean_error"] == pytest.approx(310 / 300 - 1)
    assert ttft["by_request"] == pytest.approx({"requests": 2, "mape": 0.05, "median": 0.05, "p95": 0.095})
    assert tpot["by_request"]["mape"] == pytest.approx(0.1)
    # 120 and 280 ms measured, 130 and 296 simulated
    assert e2e["measured_mean_ms"] == pytest.approx(200)
    assert e2e["simulated_mean_ms"] == pytest.approx(213)
    assert ttft["quantiles"] == [
        {"percent": 50, "measured_ms": 150, "simulated_ms": 155, "error": pytest.approx(1 / 30)}
    ]  # of two requests no p90
    # From the first send to the last end: 2.28 s, 1.296 s.
    carried = {one["quantity"]: one for one in found["throughput"]}
    assert carried["answered_per_s"]["measured"] == pytest.approx(2 / 2.28)
    assert carried["output_tokens_per_s"]["simulated"] == pytest.approx(8 / 1.296)


SMALL, LARGE = (10, 3), (20, 5)


def of_sizes(*sizes: tuple[int, int]) -> list[MeasuredRequest]:
    return [answered(float(at), size, 1, 1) for at, size in enumerate(sizes)]


def test_requests_in_another_order_match_by_their_size() -> None:
    assert match(of_sizes(SMALL, LARGE), of_sizes(SMALL, LARGE)) == (ORDER, [(0, 0), (1, 1)])
    found = match(of_sizes(SMALL, LARGE, SMALL), of_sizes(LARGE, SMALL, SMALL))
    assert found == (SIZE, [(0, 1), (1, 0), (2, 2)])
    # Nine of ten find one of their size, eight do not do.
    assert match(of_sizes(*[SMALL] * 10), of_sizes(LARGE, *[SMALL] * 9)).how == SIZE
    assert match(of_sizes(*[SMALL] * 10), of_sizes(LARGE, LARGE, *[SMALL] * 8)).how == NONE
    unknown = [replace(row, input_tokens=0) for row in of_sizes(SMALL)]
    assert match(unknown, unknown).how == NONE


@given(st.lists(st.sampled_from([SMALL, LARGE, (5, 5)]), min_size=1, max_size=12), st.randoms())
def test_the_same_sizes_in_any_order_match_each_just_once(sizes: list[tuple[int, int]], random: Any) -> None:
    shuffled = [*sizes]
    random.shuffle(shuffled)
    found = match(of_sizes(*sizes), of_sizes(*shuffled))
    assert sorted(ours for ours, _ in found.pairs) == sorted(theirs for _, theirs in found.pairs)
    assert len(found.pairs) == len(sizes)
    assert all(sizes[ours] == shuffled[theirs] for ours, theirs in found.pairs)


def test_other_requests_are_compared_as_a_whole_and_said_to_be_others(tmp_path: Path) -> None:
    measured = file_of(tmp_path, *(answered(at, (100, 10), 50, 5) for at in range(40)))
    sides = [
        replication(*(answered(at / 2, (200, 10), 50 + spread, 5) for at in range(40)), number=number)
        for number, spread in enumerate((-5, 0, 5))
    ]
    found = against(sides, measured)
    ttft = found["metrics"][0]
    assert found["matching"] == {"how": NONE, "pairs": 0, "simulated": 120, "measured": 40}
    assert ttft["by_request"] is None
    assert ttft["mean_error"] == 0
    # Means of 45, 50 and 55 ms: 4.303 x 5 / sqrt(3) = 12.4 ms of 50.
    assert ttft["mean_error_high"] == pytest.approx(0.2484, rel=1e-3)
    assert ttft["ks"] == pytest.approx(1 / 3)
    told = " ".join(against_remarks(found))
    assert "do not match one for one" in told
    assert "sent a second 2.00 and not 1.00, mean prompt, tokens 200 and not 100" in told
    assert "mean answer" not in told


def test_the_distance_of_two_distributions_by_hand() -> None:
    one, other = np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, np.nan])
    assert kolmogorov_smirnov(one, one) == 0
    assert kolmogorov_smirnov(one, other) == 0.5  # up to 2: two of four and none; up to 3 it is 5/12
    assert kolmogorov_smirnov(one, np.array([9.0])) == 1


STATS = """Type,Name,Request Count,Failure Count,Average Response Time,Requests/s,50%,90%,95%,99%
POST,/v1/chat,100,10,250,4,200,400,500,900
,Aggregated,100,10,250,4,200,400,500,900
"""


def test_locusts_statistics_are_held_against_the_end_to_end_time(tmp_path: Path) -> None:
    path = tmp_path / "load_stats.csv"
    path.write_text(STATS)
    side = replication(*(answered(at, (10, 2), 150, 50) for at in range(10)))
    found = against([side], measured_file(path))
    (e2e,) = found["metrics"]
    assert (found["format"], e2e["metric"], e2e["requests"]["measured"]) == ("locust_csv", "e2e", 100)
    assert e2e["mean_error"] == pytest.approx(200 / 250 - 1)
    assert [one["error"] for one in e2e["quantiles"]] == pytest.approx([0, -0.5, -0.6, -7 / 9])
    assert (e2e["ks"], e2e["by_request"]) == (None, None)
    assert found["throughput"][0]["measured"] == pytest.approx(3.6)  # 4 a second, of which a tenth failed
    assert found["left_out"] == [
        "TTFT: load_stats.csv does not tell it.",
        "TPOT: load_stats.csv does not tell it.",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "Type,Name,Request Count\n,Aggregated,1\n",
            "without the columns Failure Count, Average Response Time",
        ),
        (STATS.replace("Aggregated", "other"), "one row named Aggregated, and here are 0"),
        (STATS.replace(",Aggregated,100", ",Aggregated,0"), "Request Count is 0: nothing was measured"),
        (
            STATS.replace(",Aggregated,100,10,250", ",Aggregated,100,10,soon"),
            "Average Response Time is 'soon'",
        ),
        ("when,how_long\n1,2\n", "no column for the prompt"),
    ],
)
def test_a_file_that_does_not_tell_what_is_needed_is_refused_by_name(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "load_stats.csv"
    path.write_text(text)
    with pytest.raises(MeasuredError, match=sentence):
        measured_file(path)


def cli(*arguments: object) -> Any:
    return e80sim("compare", [str(argument) for argument in arguments])


def test_the_command_takes_files_of_tools_one_after_the_other(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "run", run)
    files = MEASURED / "guidellm.json", MEASURED / "aiperf_profile_export.jsonl"
    page = tmp_path / "page.html"
    shown = cli(tmp_path / "run", "--measured", *files, "--html", page)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("Requests do not match one for one") == 2
    assert "Against guidellm.json the run's means are off by: TTFT" in " ".join(shown.stdout.split())
    assert "aiperf_profile_export.jsonl (aiperf_jsonl)" in page.read_text(encoding="utf-8")
    found = json.loads(cli(tmp_path / "run", "--measured", files[0], "--replication", "1", "--json").stdout)
    assert found["files"][0]["replications"] == [1]


def refusals(folder: Path) -> Sequence[tuple[list[object], str]]:
    run, file = folder / "run", MEASURED / "guidellm.json"
    return [
        ([run, run, "--measured", file], "--measured holds files against one run, and here are 2"),
        ([file, "--measured", file], "here are 0: none"),
        ([run, file], "is a file: measurements go behind --measured, runs are directories"),
        ([run, "--measured", file, "--replication", "2"], "--replication 2: the run has 2, counted from 0"),
        ([run, "--measured", folder / "none.csv"], "No such file or directory"),
        ([run, "--model", "llama"], "--format, --model and --replication go with --measured FILE"),
        ([f"{run}:core", "--measured", file], "has no variant 'core'; it has edge"),
    ]


def test_what_is_no_run_or_no_file_is_refused_in_a_sentence(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "run", run)
    for arguments, sentence in refusals(tmp_path):
        shown = cli(*arguments)
        assert (shown.exit_code, shown.stdout) == (2, ""), arguments
        assert sentence in shown.stderr
        assert shown.stderr.count("\n") == 1
