"""Files of load tools, by hand: each reader gives the one row type, whatever its tool means by a word."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from e80sim.measured import FORMATS, MeasuredError, MeasuredRequests, read_measured

Json = Mapping[str, object]


def written(folder: Path, *objects: Json, indent: int | None = None) -> Path:
    path = folder / "measured.json"
    path.write_text("".join(f"{json.dumps(one, indent=indent)}\n" for one in objects), encoding="utf-8")
    return path


def text_file(folder: Path, text: str) -> Path:
    path = folder / "measured.csv"
    path.write_text(text, encoding="utf-8")
    return path


def rounded(measured: MeasuredRequests) -> list[tuple[object, ...]]:
    """Arrival, sizes, TTFT, TPOT, E2E and error of each row."""
    return [
        (
            round(row.arrival_s, 6),
            row.input_tokens,
            row.output_tokens,
            *(None if time is None else round(time, 6) for time in (row.ttft_ms, row.tpot_ms, row.e2e_ms)),
            row.error,
        )
        for row in measured.rows
    ]


VLLM: Json = {
    "date": "20261128-120000",
    "duration": 2.0,
    "completed": 2,
    "failed": 1,
    "request_throughput": 1.0,
    "input_lens": [10, 20, 30],
    "output_lens": [3, 0, 1],
    "ttfts": [0.1, 0.0, 0.2],
    "itls": [[0.02, 0.04], [], []],
    "latencies": [0.16, 0.0, 0.25],
    "start_times": [1000.5, 1001.0, 1000.0],
    "queue_times": [0.0, 0.0, 0.5],
    "errors": ["", "Too Many Requests", ""],
}


def test_vllm_bench_has_a_place_per_request_and_keeps_those_that_failed(tmp_path: Path) -> None:
    measured = read_measured(written(tmp_path, VLLM))
    assert measured.format == "vllm_bench"
    assert rounded(measured) == [
        (0.0, 30, 1, 200, None, 250, None),
        (0.5, 10, 3, 100, 30, 160, None),
        (1.0, 20, 0, None, None, None, "Too Many Requests"),
    ]
    assert measured.rows[1].itl_ms == (20, 40)
    assert measured.notes == (
        "The client held 1 requests back, up to 0.5 s, before it sent them: times count from the sending.",
        "1 of 3 requests failed.",
    )
    assert len(measured.answered) == 2


def test_vllm_bench_tells_how_many_requests_its_client_had_under_way(tmp_path: Path) -> None:
    note = "The client had at most 256 requests under way: `--max-concurrency 256` replays it so."
    assert note in read_measured(written(tmp_path, {**VLLM, "max_concurrency": 256})).notes
    free = read_measured(written(tmp_path, {**VLLM, "max_concurrency": None})).notes
    assert not any("under way" in told for told in free)


def test_older_vllm_bench_files_have_no_latencies_and_the_gaps_add_up_to_them(tmp_path: Path) -> None:
    older = {name: value for name, value in VLLM.items() if name != "latencies"}
    assert rounded(read_measured(written(tmp_path, older)))[1] == (0.5, 10, 3, 100, 30, 160, None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ttfts": None, "itls": None}, ": a result of vllm bench serve without ttfts, itls: make it with "),
        ({"ttfts": [0.1]}, ": ttfts has 1 places, and start_times 3"),
        (
            {"output_lens": [3, 0, -1]},
            " request 2: output_lens is -1, expected a whole number of tokens from 0",
        ),
        ({"itls": [[0.1], 5, []]}, " request 1: itls is 5, expected a list"),
        ({"ttfts": ["x", 0, 0]}, " request 0: ttfts is 'x', expected a time"),
    ],
)
def test_a_vllm_bench_file_that_cannot_be_used_is_named(tmp_path: Path, change: Json, sentence: str) -> None:
    both = {**VLLM, "errors": ["", "", ""], "output_lens": [3, 1, 1], **change}
    path = written(tmp_path, {name: value for name, value in both.items() if value is not None})
    with pytest.raises(MeasuredError) as told:
        read_measured(path)
    assert str(told.value).removeprefix(str(path)).startswith(sentence)


def test_results_that_were_appended_to_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasuredError, match="it holds 2 results, one behind the other: keep one of them"):
        read_measured(written(tmp_path, VLLM, VLLM))


def aiperf_row(start_ns: int, phase: str = "profiling", error: Json | None = None, **metrics: object) -> Json:
    stated = {name: {"value": value, "unit": "ms"} for name, value in metrics.items()}
    return {
        "metadata": {"request_start_ns": start_ns, "benchmark_phase": phase, "was_cancelled": False},
        "metrics": stated,
        "error": error,
    }


NOW_NS = 1_790_000_000_123_456_789


def test_aiperf_rows_count_in_ns_and_its_warm_up_is_left_out(tmp_path: Path) -> None:
    latencies: dict[str, Any] = {
        "time_to_first_token": 20.0,
        "request_latency": 50.0,
        "output_sequence_length": 4,
    }
    path = written(
        tmp_path,
        aiperf_row(NOW_NS - 10**9, "warmup", input_sequence_length=1, **latencies),
        aiperf_row(
            NOW_NS + 1_500_000_000, input_sequence_length=7, inter_chunk_latency=[10.0, 20.0], **latencies
        ),
        aiperf_row(NOW_NS, input_sequence_length=9, error={"code": 429, "message": "slow down"}),
    )
    measured = read_measured(path)
    assert measured.format == "aiperf_jsonl"
    assert rounded(measured) == [
        (0.0, 9, 0, None, None, None, "slow down"),
        (1.5, 7, 4, 20, 10, 50, None),
    ]
    assert measured.rows[1].itl_ms == (10, 20)
    assert measured.notes == ("1 request of the warm-up is left out.", "1 of 2 requests failed.")


def test_a_file_that_aiperf_made_is_read() -> None:
    """Three requests that AIPerf 0.13.0 sent to `e80sim serve --speed 0.05`, two at a time."""
    measured = read_measured(Path(__file__).parent / "aiperf_profile_export.jsonl")
    assert (measured.format, len(measured.rows), measured.notes) == ("aiperf_jsonl", 3, ())
    first = measured.rows[0]
    assert (first.input_tokens, first.output_tokens, first.cached_tokens) == (166, 12, 0)
    assert first.ttft_ms == pytest.approx(782.470532)
    assert first.e2e_ms == pytest.approx(1878.016763)
    assert first.tpot_ms == pytest.approx(99.595112)  # its own inter_token_latency: chunks were tokens
    assert len(first.itl_ms) == 11
    assert sum(first.itl_ms) == pytest.approx(1878.016763 - 782.470532)


def test_a_unit_of_aiperf_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    row = {**aiperf_row(NOW_NS), "metrics": {"request_latency": {"value": 1, "unit": "hours"}}}
    with pytest.raises(MeasuredError, match=r"request_latency.unit is 'hours', expected ms, ns"):
        read_measured(written(tmp_path, row))


GUIDELLM_REQUEST: Json = {
    "request_start_time": 1_790_000_000.5,
    "request_latency": 0.08,
    "prompt_tokens": 12,
    "output_tokens": 4,
    "time_to_first_token_ms": 20.0,
    "time_per_output_token_ms": 17.5,
    "inter_token_latency_ms": 16.0,
}


def guidellm(*benchmarks: Json) -> Json:
    return {"metadata": {"version": 2}, "config": {}, "benchmarks": list(benchmarks)}


def test_guidellms_time_per_token_has_the_first_token_inside_so_its_itl_is_taken(tmp_path: Path) -> None:
    errored = {"request_start_time": 1_790_000_000.0, "info": {"error": "429"}, "prompt_tokens": None}
    unsent: Json = {"request_start_time": None, "info": {}}
    benchmark = {"requests": {"successful": [GUIDELLM_REQUEST], "incomplete": [unsent], "errored": [errored]}}
    measured = read_measured(written(tmp_path, guidellm(benchmark), indent=2))
    assert measured.format == "guidellm"
    assert rounded(measured) == [(0.0, 0, 0, None, None, None, "429"), (0.5, 12, 4, 20, 16, 80, None)]


def test_a_file_that_guidellm_made_is_read() -> None:
    """Two requests of GuideLLM 0.8.1 against `e80sim serve --speed 0.05`; metrics and texts are cut out."""
    measured = read_measured(Path(__file__).parent / "guidellm.json")
    assert rounded(measured) == [
        (0.0, 127, 12, 257.141113, 111.964833, 1489.438295, None),
        (0.286593, 127, 12, 237.868309, 124.329654, 1609.890938, None),
    ]
    assert [row.cached_tokens for row in measured.rows] == [0, 0]


def test_a_sweep_of_guidellm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasuredError, match="it holds 2 benchmarks: keep one of them"):
        read_measured(written(tmp_path, guidellm({}, {})))


def test_llmservingsim_counts_from_the_engines_queue(tmp_path: Path) -> None:
    rows: list[Json] = [
        {
            "request_id": f"bench-{number}",
            "input_toks": 100,
            "output_toks": 5,
            "arrival_time": 1.7e9,
            "queued_ts": queued,
            "scheduled_ts": queued + 0.001,
            "first_token_ts": queued + 0.1,
            "last_token_ts": queued + 0.5,
        }
        for number, queued in enumerate((50.0, 50.25))
    ]
    measured = read_measured(written(tmp_path, *rows))
    assert measured.format == "llmservingsim_jsonl"
    assert rounded(measured) == [(at, 100, 5, 100, 100, 500, None) for at in (0.0, 0.25)]
    rows[1] = {**rows[1], "last_token_ts": 0.0}
    with pytest.raises(MeasuredError, match=r"line 2: queued_ts 50.25, .* are not in order"):
        read_measured(written(tmp_path, *rows))


BLIS = (
    "request_id,client_id,tenant_id,slo_class,session_id,round_index,prefix_group,prefix_length,streaming,"
    "input_tokens,output_tokens,text_tokens,image_tokens,audio_tokens,video_tokens,reason_ratio,model,"
    "deadline_us,server_input_tokens,arrival_time_us,send_time_us,first_chunk_time_us,last_chunk_time_us,"
    "num_chunks,status,error_message,finish_reason\n"
)


def test_blis_stamps_count_from_the_send_and_the_servers_count_of_tokens_goes_first(tmp_path: Path) -> None:
    text = (
        "0,c,t,s,,0,,0,true,10,5,10,0,0,0,0,,0,12,0,1700000000000000,1700000000005000,1700000000025000,5,ok,,stop\n"
        "1,c,t,s,,0,,0,true,10,0,10,0,0,0,0,,0,0,9,1700000000100000,0,0,0,timeout,gone,\n"
    )
    measured = read_measured(text_file(tmp_path, BLIS + text))
    assert measured.format == "blis_csv"
    assert rounded(measured) == [(0.0, 12, 5, 5, 5, 25, None), (0.1, 10, 0, None, None, None, "gone")]
    planned = "0,c,t,s,,0,,0,true,10,5,10,0,0,0,0,,0,0,2000000,0,0,0,0,ok,,\n"
    assert rounded(read_measured(text_file(tmp_path, BLIS + planned))) == [(0, 10, 5, None, None, None, None)]


def test_inference_perf_has_stamps_of_every_token(tmp_path: Path) -> None:
    row: Json = {
        "start_time": 100.0,
        "end_time": 100.2,
        "request": "{}",
        "response": "",
        "info": {"input_tokens": 8, "output_tokens": 3, "output_token_times": [100.05, 100.1, 100.15]},
        "error": None,
    }
    failed = {**row, "start_time": 101.0, "error": {"error_type": "HTTPError", "error_msg": "429"}}
    path = tmp_path / "per_request.json"
    path.write_text(json.dumps([row, failed]))
    measured = read_measured(path)
    assert measured.format == "inference_perf"
    assert rounded(measured) == [(0.0, 8, 3, 50, 50, 200, None), (1.0, 8, 3, None, None, None, "429")]


OURS = "arrival_s,input_tokens,output_tokens,cached_tokens,ttft_ms,tpot_us,e2e_s,error\n"


def test_our_own_columns_say_their_unit_and_may_be_empty(tmp_path: Path) -> None:
    text = OURS + "5.5,10,2,4,20,7000,0.5,\n5,1,0,,,,,gone\n"
    measured = read_measured(text_file(tmp_path, text))
    assert measured.format == "columns"
    assert rounded(measured) == [(0, 1, 0, None, None, None, "gone"), (0.5, 10, 2, 20, 7, 500, None)]
    assert measured.rows[1].cached_tokens == 4
    lines = '{"arrival_s": 2, "input_tokens": 3, "output_tokens": 4, "e2e_ms": 9.5}\n'
    assert rounded(read_measured(text_file(tmp_path, lines))) == [(0, 3, 4, None, None, 9.5, None)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", " holds no requests: it is empty or blank"),
        ("a,b\n1,2\n", " line 1: no column for the prompt: name one input_toks or prompt_tokens or input_"),
        (OURS, " holds no requests"),
        (OURS + "1,2\n", " line 2: 2 fields, the header has 8"),
        (OURS + "1,2,0,,1,1,1,\n", " line 2: output_tokens is '0', expected a whole number of tokens from 1"),
        (OURS + "-1,2,2,,1,1,1,\n", " line 2: arrival_s is -1, expected a time from 0 on"),
        (
            '{"a": 1, "b": 2}\n',
            ": keys a, b are of no known format of measured requests: llmservingsim_jsonl",
        ),
        ('{"a": 1}\n[2]\n', " line 2: '[2]' is not a JSON object"),
        ('{"a": 1}\n{"a\n', " line 2: '{\"a' is not JSON"),
        ("[1]", " [0]: '1' is not a JSON object"),
        (
            "Type,Name,Request Count\n,Aggregated,5\n",
            " holds no requests, but locust's sums by name, which `e80sim compare RUN --measured`",
        ),
        ('{"aiperf_version": "1", "input_config": {}}', " holds no requests, but AIPerf's summary; give its"),
        (
            '{"load_summary": {}, "successes": {}}',
            " holds no requests, but a summary of inference-perf; give",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = text_file(tmp_path, text)
    with pytest.raises(MeasuredError) as told:
        read_measured(path)
    assert str(told.value).removeprefix(str(path)).startswith(sentence)


def test_a_format_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasuredError, match="there is no format 'locust' of measured requests; there are "):
        read_measured(tmp_path / "none", "locust")


def test_no_two_formats_claim_the_same_file(tmp_path: Path) -> None:
    """The example of each format is told by that format alone."""
    from e80sim.measured.files import read_file

    llmservingsim = dict.fromkeys(
        ("input_toks", "output_toks", "queued_ts", "first_token_ts", "last_token_ts"), 1
    )
    row = "0,c,t,s,,0,,0,true,10,5,10,0,0,0,0,,0,0,2000000,0,0,0,0,ok,,\n"
    files = {
        "vllm_bench": json.dumps(VLLM),
        "aiperf_jsonl": json.dumps(aiperf_row(1)),
        "guidellm": json.dumps(guidellm({})),
        "llmservingsim_jsonl": json.dumps(llmservingsim),
        "blis_csv": BLIS + row,
        "inference_perf": json.dumps([{"start_time": 1, "end_time": 2, "info": {}}]),
        "columns": OURS + "1,2,2,,1,1,1,\n",
    }
    assert set(files) == set(FORMATS)
    for name, text in files.items():
        file = read_file(text_file(tmp_path, text))
        assert [other for other, known in FORMATS.items() if known.tells(file)] == [name]
