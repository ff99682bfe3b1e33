"""What goes out in the format of a tool comes back as it was, but for what the format has no place for."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from e80sim.measured import MeasuredRequest, MeasuredRequests, read_measured
from e80sim.mistakes import UserError
from reports.exports import spread
from reports.exports.answers import About
from reports.exports.table import EXPORTS, write_export

ABOUT = About("mine", "8080/m", 1, datetime(2026, 11, 29, 12, tzinfo=UTC), "e80sim 0.1.0")
READ_BACK = (
    "columns",
    "vllm_bench",
    "aiperf_jsonl",
    "guidellm",
    "inference_perf",
    "llmservingsim_jsonl",
    "blis_csv",
)
KEEPS_FAILED = frozenset(READ_BACK) - {"llmservingsim_jsonl"}
KEEPS_CACHED = frozenset({"columns", "aiperf_jsonl", "guidellm"})


def answered(
    arrival_s: float, sizes: tuple[int, int], ttft_ms: float, tpot_ms: float, cached: int
) -> MeasuredRequest:
    e2e_ms = ttft_ms + tpot_ms * (sizes[1] - 1)
    return MeasuredRequest(arrival_s, *sizes, ttft_ms, tpot_ms if sizes[1] > 1 else None, e2e_ms, cached)


TIMES_MS = st.integers(1, 10_000_000).map(lambda us: us / 1000)
SIZES = st.tuples(st.integers(1, 10**6), st.integers(1, 50))
ANSWERED = st.builds(
    answered, st.integers(0, 10**9).map(lambda us: us / 1e6), SIZES, TIMES_MS, TIMES_MS, st.just(0)
)
FAILED = st.builds(
    lambda us, sizes, error: MeasuredRequest(us / 1e6, sizes[0], sizes[1], error=error),
    st.integers(0, 10**9),
    SIZES,
    st.sampled_from(["rejected_requests_limit", "timeout"]),
)


def measured(rows: Sequence[MeasuredRequest]) -> MeasuredRequests:
    rows = sorted(rows, key=lambda row: row.arrival_s)
    shifted = (replace(row, arrival_s=row.arrival_s - rows[0].arrival_s) for row in rows)
    return MeasuredRequests("mine", "run", tuple(shifted))


def comparable(row: MeasuredRequest, name: str) -> list[object]:
    """Sizes of requests that failed are the tools' own business, and gaps are not what is compared here."""
    if row.error is not None:
        return [pytest.approx(row.arrival_s, abs=2e-6), row.error]
    times = [
        None if ms is None else pytest.approx(ms, rel=1e-6, abs=2e-3)
        for ms in (row.ttft_ms, row.tpot_ms, row.e2e_ms)
    ]
    if name == "inference_perf" and row.output_tokens == 1:
        times[0] = None  # the tool has no time to the first token where there is no second
    cached = [row.cached_tokens] if name in KEEPS_CACHED else []
    return [pytest.approx(row.arrival_s, abs=2e-6), row.input_tokens, row.output_tokens, *times, *cached]


def as_read(row: MeasuredRequest, name: str) -> list[object]:
    if row.error is not None:
        return [row.arrival_s, row.error]
    cached = [row.cached_tokens] if name in KEEPS_CACHED else []
    return [
        row.arrival_s,
        row.input_tokens,
        row.output_tokens,
        row.ttft_ms,
        row.tpot_ms,
        row.e2e_ms,
        *cached,
    ]


@settings(max_examples=40, deadline=None)  # it writes files
@given(first=ANSWERED, others=st.lists(ANSWERED | FAILED, max_size=6), name=st.sampled_from(READ_BACK))
def test_measured_requests_come_back_from_the_file_of_a_tool(
    tmp_path_factory: pytest.TempPathFactory, first: MeasuredRequest, others: list[MeasuredRequest], name: str
) -> None:
    rows = [first, *(row for row in others if row.error is None or name in KEEPS_FAILED)]
    requests = measured(rows)
    path = tmp_path_factory.mktemp("exports") / "file"
    write_export(requests, ABOUT, path, name)
    back = read_measured(path)
    assert back.format == name
    assert sorted(map(repr, (as_read(row, name)[1:] for row in back.rows if row.error))) == sorted(
        map(repr, (as_read(row, name)[1:] for row in requests.rows if row.error))
    )
    for found, row in zip(back.answered, requests.answered, strict=True):
        assert as_read(found, name) == comparable(row, name)


EXAMPLE = measured(
    [
        answered(0.0, (10, 3), 100, 30, 4),
        answered(0.5, (20, 5), 200, 10, 0),
        MeasuredRequest(1.0, 7, 0, error="rejected_requests_limit"),
    ]
)


def written(folder: Path, name: str) -> str:
    write_export(EXAMPLE, ABOUT, folder / name, name)
    return (folder / name).read_text(encoding="utf-8")


def test_vllm_bench_states_what_its_arrays_add_up_to(tmp_path: Path) -> None:
    result = json.loads(written(tmp_path, "vllm_bench"))
    # From the first send to the last end: the third call, refused at 1.0 s.
    assert (result["duration"], result["completed"], result["failed"]) == (1.0, 2, 1)
    assert (result["total_input_tokens"], result["total_output_tokens"]) == (30, 8)
    assert result["mean_ttft_ms"] == 150
    assert result["std_ttft_ms"] == 50
    assert result["p99_ttft_ms"] == pytest.approx(199)
    assert result["mean_itl_ms"] == pytest.approx((2 * 30 + 4 * 10) / 6)
    assert result["itls"] == [[0.03, 0.03], [0.01] * 4, []]
    assert result["output_lens"] == [3, 5, 0]


def test_aiperfs_summary_has_its_tags_and_its_errors(tmp_path: Path) -> None:
    summary = json.loads(written(tmp_path, "aiperf"))
    assert summary["schema_version"] == "1.4"
    assert summary["request_count"] == {"unit": "requests", "avg": 2}
    assert summary["time_to_first_token"]["p50"] == 150
    assert summary["inter_token_latency"]["avg"] == 20
    assert summary["error_summary"][0]["count"] == 1


def test_guidellms_time_per_output_token_has_the_first_token_inside(tmp_path: Path) -> None:
    (benchmark,) = json.loads(written(tmp_path, "guidellm"))["benchmarks"]
    requests = benchmark["requests"]["successful"]
    assert requests[0]["time_per_output_token_ms"] == pytest.approx(160 / 3)
    assert requests[0]["inter_token_latency_ms"] == 30
    assert benchmark["metrics"]["request_totals"] == {
        "successful": 2,
        "incomplete": 0,
        "errored": 1,
        "total": 3,
    }
    assert benchmark["metrics"]["time_to_first_token_ms"]["successful"]["percentiles"]["p50"] == 150


def test_locusts_rows_count_failures_in(tmp_path: Path) -> None:
    head, one, every = (line.split(",") for line in written(tmp_path, "locust_csv").splitlines())
    row = dict(zip(head, every, strict=True))
    assert one[2:] == every[2:]
    assert (row["Name"], row["Request Count"], row["Failure Count"]) == ("Aggregated", "3", "1")
    assert (row["Median Response Time"], row["50%"], row["100%"]) == ("200", "200", "240")


def test_llm_ds_report_keeps_to_its_schema(tmp_path: Path) -> None:
    report = yaml.safe_load(written(tmp_path, "llm_d"))
    assert report["version"] == "0.2.1"
    aggregate = report["results"]["request_performance"]["aggregate"]
    assert aggregate["requests"]["total"] == 3
    assert aggregate["requests"]["failures"] == 1
    assert aggregate["latency"]["time_to_first_token"]["p50"] == 150
    assert aggregate["latency"]["time_to_first_token"]["units"] == "ms"
    assert aggregate["throughput"]["output_token_rate"] == {"units": "tokens/s", "mean": 8.0}


def test_what_a_format_leaves_out_is_told(tmp_path: Path) -> None:
    (told,) = write_export(EXAMPLE, ABOUT, tmp_path / "file", "llmservingsim_jsonl")
    assert told == "1 requests that failed or were not streamed are left out."
    assert "mean gap" in write_export(EXAMPLE, ABOUT, tmp_path / "other", "vllm_bench")[0]


def test_of_too_many_tokens_each_request_has_one_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "MOST_GAPS", 5)
    told = write_export(EXAMPLE, ABOUT, tmp_path / "file", "vllm_bench")
    assert told == ["Each request has one gap for all of its tokens: there would be more than 5."]
    assert [row.itl_ms for row in read_measured(tmp_path / "file").rows] == [(60,), (40,), ()]


def test_a_file_that_exists_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(UserError, match="exists already: choose a file that does not"):
        write_export(EXAMPLE, ABOUT, path, "columns")
    assert path.read_text() == "mine"


def test_every_format_that_is_read_is_written_too() -> None:
    assert set(READ_BACK) < set(EXPORTS)
