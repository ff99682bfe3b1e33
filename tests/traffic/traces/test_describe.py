"""The figures of a trace: by hand on small ones, against published statistics on a large one."""

import csv
import json
import os
from pathlib import Path

import pytest

from traffic.traces import Trace, read_trace
from traffic.traces.describe import Description, describe, window_counts
from traffic.traces.describe_text import description_text

PS = 10**12


def trace_of(folder: Path, stamps_s: list[float], lengths: list[tuple[int, int]] | None = None) -> Trace:
    lengths = lengths or [(10, 20)] * len(stamps_s)
    rows = [
        {"arrival_ps": round(stamp_s * PS), "prompt_tokens": prompt, "output_tokens": output}
        for stamp_s, (prompt, output) in zip(stamps_s, lengths, strict=True)
    ]
    path = folder / "small.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_trace(path)


def data() -> Path:
    folder = os.environ.get("E80SIM_DATA")
    if folder is None:
        pytest.skip("E80SIM_DATA, the folder of raw data, is not set")
    return Path(folder) / "traces"


def test_gaps_of_one_and_three_seconds_vary_by_a_half(tmp_path: Path) -> None:
    """Mean 2, deviation 1. Eleven rows in 20 s: ten gaps, half a request per second."""
    about = describe(trace_of(tmp_path, [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20]))
    assert (about["rows"], about["span_s"], about["mean_rate_per_s"]) == (11, 20, 0.5)
    assert about["cv_of_gaps"] == pytest.approx(0.5)
    assert about["zero_gap_share"] == 0


def test_dispersion_is_the_variance_of_counts_over_their_mean(tmp_path: Path) -> None:
    """Twenty windows of a second with 2, 0, 2, 0 ...: mean 1, variance 1. The last row is in none."""
    stamps_s = [s + part for s in range(0, 20, 2) for part in (0, 0.5)]
    trace = trace_of(tmp_path, [*stamps_s, 20.0])
    assert window_counts(trace, 1).tolist() == [2, 0] * 10
    dispersion = describe(trace)["dispersion"]
    assert dispersion == {"1_s": 1.0, "10_s": None, "60_s": None}


def test_the_busiest_minute_is_told_over_the_mean_rate(tmp_path: Path) -> None:
    """Three rows in the first minute and one in the second: four rows in 120 s, so 3 / 60 over 4 / 120."""
    about = describe(trace_of(tmp_path, [0, 10, 20, 120]))
    assert about["busiest_minute_over_mean"] == pytest.approx(1.5)
    assert about["cv_within_minutes"] == 0


def test_lengths_are_told_by_quantiles_and_correlation(tmp_path: Path) -> None:
    about = describe(trace_of(tmp_path, [0, 1, 2, 3], [(1, 8), (2, 4), (4, 2), (8, 1)]))
    prompt = about["prompt_tokens"]
    assert (prompt["mean"], prompt["min"], prompt["max"], prompt["quantiles"]["p50"]) == (3.75, 1, 8, 3)
    assert prompt["cv"] == pytest.approx(0.7149, abs=1e-4)
    assert about["log_length_correlation"] == pytest.approx(-1)


def test_one_row_tells_little_and_nothing_breaks(tmp_path: Path) -> None:
    about = describe(trace_of(tmp_path, [5]))
    assert about["mean_rate_per_s"] is None
    assert about["cv_of_gaps"] is None
    assert about["log_length_correlation"] is None
    assert about["zero_gap_share"] is None
    assert "mean rate                        -" in description_text(about)
    assert "gaps that are zero               -" in description_text(about)


@pytest.mark.parametrize("tokens", [20, 7, 3_333_333])
def test_lengths_that_never_vary_have_no_correlation(tmp_path: Path, tokens: int) -> None:
    """The logarithm of 20 summed up 7 times is not 7 times itself in floating point."""
    lengths = [(prompt, tokens) for prompt in range(10, 17)]
    about = describe(trace_of(tmp_path, list(range(7)), lengths))
    assert about["log_length_correlation"] is None
    assert about["output_tokens"]["cv"] == 0
    assert f"logarithms: undefined, every output has {tokens:,} tokens" in description_text(about)


def test_two_requests_have_no_correlation(tmp_path: Path) -> None:
    about = describe(trace_of(tmp_path, [0, 1], [(1, 8), (2, 4)]))
    assert about["log_length_correlation"] is None
    assert "logarithms: undefined for two requests" in description_text(about)


def test_equal_gaps_do_not_vary_at_all(tmp_path: Path) -> None:
    """Their sum is beyond the whole numbers that floating point has, so their mean is not one of them."""
    rows = [
        {"arrival_ps": n * 3_333_333_333_333_331, "prompt_tokens": 5, "output_tokens": 5} for n in range(8)
    ]
    path = tmp_path / "even.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert describe(read_trace(path))["cv_of_gaps"] == 0


def test_what_was_done_to_the_rows_is_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "shifted.csv"
    path.write_text("arrived_at,num_prefill_tokens,num_decode_tokens,user\n12.5,3,4,a\n13,3,0,b\n14,6,2,c\n")
    about = describe(read_trace(path))
    assert about["notes"] == [
        "Read as vidur_csv, arrived_at in seconds.",
        "Times count from the first row, whose stamp is 12.5 s.",
        "1 row with 0 output tokens skipped (in line 3).",
        "Columns not read: user.",
    ]
    assert "1 row with 0 output tokens skipped (in line 3)." in description_text(about)


def test_many_equal_stamps_are_warned_of(tmp_path: Path) -> None:
    about = describe(trace_of(tmp_path, [0, 0, 0, 1, 2]))
    assert about["zero_gap_share"] == 0.5
    assert about["warnings"][0].startswith(
        "50% of the gaps are zero, and stamps that differ do so by 1 s or more: a coarse clock, or requests"
    )
    assert describe(trace_of(tmp_path, [0, 0, 1, 2, 3, 4]))["warnings"] == []


def as_azure_tables_tell(about: Description) -> dict[str, float | None]:
    return {
        "rows": about["rows"],
        "cv": about["cv_of_gaps"],
        "idc_1s": about["dispersion"]["1_s"],
        "idc_10s": about["dispersion"]["10_s"],
        "idc_60s": about["dispersion"]["60_s"],
        "cv_60s_window_median": about["cv_within_minutes"],
        "max_over_mean_rate_60s": about["busiest_minute_over_mean"],
        "zero_frac": about["zero_gap_share"],
        "dur_s": about["span_s"],
    }


def test_the_azure_conversation_trace_is_described_as_its_statistics_tell() -> None:
    about = describe(read_trace(data() / "AzureLLMInferenceTrace_conv.csv"))
    with (data() / "arrival_stats.csv").open(encoding="utf-8") as file:
        arrivals = next(row for row in csv.DictReader(file) if row["what"] == "azure2023_conv")
    for name, value in as_azure_tables_tell(about).items():
        expected = float(arrivals["n"]) + 1 if name == "rows" else float(arrivals[name])
        assert value == pytest.approx(expected, rel=1e-6), name
    assert about["mean_rate_per_s"] == pytest.approx(5.53014, abs=1e-5)
    with (data() / "length_fits.csv").open(encoding="utf-8") as file:
        fits = {row["what"]: row for row in csv.DictReader(file)}
    for lengths, what in ((about["prompt_tokens"], "input"), (about["output_tokens"], "output")):
        fit = fits[f"azure2023_conv_{what}"]
        found = {"mean": lengths["mean"], "cv": lengths["cv"], "min": lengths["min"], "max": lengths["max"]}
        for name, value in {**found, **lengths["quantiles"]}.items():
            assert value == pytest.approx(float(fit[name]), rel=1e-9), name
    assert about["log_length_correlation"] == pytest.approx(0.088, abs=0.0006)
    assert about["warnings"] == []


def test_figures_that_a_coarse_clock_hides_are_left_out() -> None:
    """Mooncake's grid of 3 s: only minutes tell of the callers. Counts of stamps give 2.95."""
    about = describe(read_trace(data() / "mooncake_conversation_trace.jsonl"))
    assert about["rows"] == 11_523
    assert about["zero_gap_share"] == pytest.approx(0.902, abs=0.001)
    assert about["clock_tick_s"] == 2.997
    assert (about["cv_of_gaps"], about["cv_within_minutes"]) == (None, None)
    assert about["dispersion"] == {"1_s": None, "10_s": None, "60_s": pytest.approx(2.95, abs=0.01)}
    assert about["warnings"][0].startswith(
        "90% of the gaps are zero, and stamps that differ do so by 2.997 s or more: a coarse clock"
    )
