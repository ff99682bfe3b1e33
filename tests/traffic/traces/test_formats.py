"""Mooncake's, Vidur's and our own format, and what a trace keeps on its way from one to another."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traffic.traces import (
    FORMATS,
    Trace,
    TraceError,
    read_trace,
    writable,
    writable_sessions,
    write_trace,
)
from traffic.traces.convert import sped_up
from traffic.traces.formats.table import recognised

MOONCAKE = '{"timestamp": 3000, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}\n'
VIDUR = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.052,3180,8\n"
OURS = '{"arrival_ps": 5, "prompt_tokens": 3, "output_tokens": 4, "tenant": "a"}\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.txt"
    path.write_text(text)
    return path


def columns(trace: Trace) -> tuple[list[int], list[int], list[int]]:
    return trace.arrival_ps.tolist(), trace.prompt_tokens.tolist(), trace.output_tokens.tolist()


@pytest.mark.parametrize(
    ("text", "name"), [(MOONCAKE, "mooncake_jsonl"), (VIDUR, "vidur_csv"), (OURS, "jsonl")]
)
def test_a_format_is_recognised_by_its_first_line(tmp_path: Path, text: str, name: str) -> None:
    assert recognised(written(tmp_path, text)) == name
    assert read_trace(written(tmp_path, text)).rows == 1


def test_rows_that_share_a_stamp_stay_where_they_were_recorded(tmp_path: Path) -> None:
    rows = [(0, 10), (60_000, 11), (60_000, 12), (120_000, 13)]
    text = "".join(f'{{"timestamp": {ms}, "input_length": {n}, "output_length": 1}}\n' for ms, n in rows)
    trace = read_trace(written(tmp_path, text))
    assert trace.arrival_ps.tolist() == [0, 60 * 10**12, 60 * 10**12, 120 * 10**12]
    assert trace.prompt_tokens.tolist() == [10, 11, 12, 13]


def test_vidur_seconds_are_taken_to_the_nearest_picosecond(tmp_path: Path) -> None:
    rows = "199.96150599999999,161,11\n2.0e2,5,5\n"
    assert read_trace(written(tmp_path, VIDUR + rows)).arrival_ps.tolist() == [
        0,
        199_909_506_000_000,
        199_948_000_000_000,
    ]


def test_vidur_columns_may_stand_anywhere_among_others(tmp_path: Path) -> None:
    text = "id,num_decode_tokens,arrived_at,num_prefill_tokens\na,8,0.0,3180\nb,9,1.5,20\n"
    assert columns(read_trace(written(tmp_path, text))) == ([0, 1_500_000_000_000], [3180, 20], [8, 9])


def test_our_own_rows_may_say_more_and_keep_every_picosecond(tmp_path: Path) -> None:
    text = OURS + "\n" + OURS.replace("5", "86400000000000006")
    assert read_trace(written(tmp_path, text)).arrival_ps.tolist() == [0, 86_400_000_000_000_001]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("mooncake_jsonl", MOONCAKE + "oops\n", "line 2: 'oops' is not JSON"),
        ("mooncake_jsonl", MOONCAKE + "[1]\n", "line 2: [1] is not a JSON object"),
        (
            "mooncake_jsonl",
            MOONCAKE + '{"timestamp": -3.5, "input_length": 1, "output_length": 1}\n',
            "line 2: timestamp is -3.5, expected a number of ms from 0 on",
        ),
        (
            "mooncake_jsonl",
            MOONCAKE + '{"timestamp": 3000, "input_length": true, "output_length": 1}\n',
            "line 2: input_length is True, expected a whole number from 0 to 10000000",
        ),
        (
            "mooncake_jsonl",
            MOONCAKE + '{"timestamp": 3000, "output_length": 1}\n',
            "line 2: input_length is missing, there are timestamp, output_length",
        ),
        (
            "mooncake_jsonl",
            MOONCAKE + MOONCAKE.replace("3000", "2999"),
            "line 2: 2999 ms is before 3000 ms of line 1, but the rows of a trace must be in order of time",
        ),
        ("mooncake_jsonl", "\n", "holds no rows"),
        (
            "vidur_csv",
            VIDUR + "\n-1,5,5\n",
            "line 4: arrived_at is '-1', expected a number of seconds such as 0.052",
        ),
        ("vidur_csv", VIDUR + "1,5\n", "line 3: '1,5' has 2 columns, expected 3"),
        (
            "vidur_csv",
            VIDUR + "1,5,-1\n",
            "line 3: num_decode_tokens is '-1', expected a whole number from 0 to 10000000",
        ),
        ("vidur_csv", "a,b\n", "line 1: the header is 'a,b', expected 'arrived_at,num_prefill_tokens,"),
        (
            "jsonl",
            OURS + OURS.replace("5", "5.0"),
            "line 2: arrival_ps is 5.0, expected a whole number",
        ),
        (
            "jsonl",
            OURS.replace("3", '"3x"'),
            "line 1: prompt_tokens is '3x', expected a whole number from 0 to 10000000",
        ),
        ("jsonl", OURS + OURS.replace("5", "4"), "line 2: 4 ps is before 5 ps of line 1, but"),
    ],
)
def test_a_malformed_row_is_named_with_its_line_and_value(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TraceError) as caught:
        read_trace(path, name)
    assert str(caught.value).removeprefix(f"{path} ").startswith(sentence)


ROWS = st.lists(
    st.tuples(st.integers(0, 10**16), st.integers(1, 10**7), st.integers(1, 10**7)), min_size=1, max_size=20
)


@settings(deadline=None)  # it writes files
@given(ROWS, st.sampled_from(["azure_csv", "burstgpt_csv", "vidur_csv", "splitwise_csv", "jsonl"]))
def test_a_trace_comes_back_from_a_file_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]], name: str
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    text = "".join(
        f'{{"arrival_ps": {at}, "prompt_tokens": {prompt}, "output_tokens": {output}}}\n'
        for at, prompt, output in sorted(rows)
    )
    first = read_trace(written(folder, text))
    write_trace(first, folder / "other", name)
    assert columns(read_trace(folder / "other", name)) == columns(first)
    assert recognised(folder / "other") == name


SPLITWISE = (
    "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n"
    "0,2,0,0.25,1,374,44\n1,2,0,1.5000000004,1,396,109\n"
)
LLMSERVINGSIM = (
    '{"input_toks": 2361, "output_toks": 532, "arrival_time_ns": 46926808, "input_tok_ids": [1]}\n'
)


@pytest.mark.parametrize(("name", "step_ps"), [("llmservingsim_jsonl", 1000), ("blis_csv", 10**6)])
@settings(deadline=None, max_examples=20)  # it writes files
@given(rows=ROWS)
def test_a_trace_on_the_clock_of_a_format_comes_back_from_it(
    tmp_path_factory: pytest.TempPathFactory, name: str, step_ps: int, rows: list[tuple[int, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    text = "".join(
        f'{{"arrival_ps": {at // step_ps * step_ps}, "prompt_tokens": {prompt}, "output_tokens": {output}}}\n'
        for at, prompt, output in sorted(rows)
    )
    first = read_trace(written(folder, text))
    write_trace(first, folder / "other", name)
    assert columns(read_trace(folder / "other", name)) == columns(first)
    assert recognised(folder / "other") == name


def test_what_splitwise_and_llmservingsim_wrote_is_read(tmp_path: Path) -> None:
    assert recognised(written(tmp_path, SPLITWISE)) == "splitwise_csv"
    trace = read_trace(written(tmp_path, SPLITWISE))
    assert columns(trace) == ([0, 1_250_000_000_400], [374, 396], [44, 109])
    assert "Columns not read: request_id, request_type, application_id, batch_size." in trace.notes
    assert recognised(written(tmp_path, LLMSERVINGSIM)) == "llmservingsim_jsonl"
    trace = read_trace(written(tmp_path, LLMSERVINGSIM * 2))
    assert columns(trace) == ([0, 0], [2361, 2361], [532, 532])
    assert "Keys not read: input_tok_ids." in trace.notes


def test_rounding_to_a_formats_clock_is_told(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, VIDUR + "0.0525000000005,1,1\n"))
    for name, unit in (("llmservingsim_jsonl", "ns"), ("blis_csv", "us")):
        told = write_trace(trace, tmp_path / name, name)
        assert told[0] == f"Times are rounded to the format's {unit}."


def test_what_a_load_tool_measured_is_traffic_too(tmp_path: Path) -> None:
    row = (
        '{{"metadata": {{"request_start_ns": {}, "benchmark_phase": "profiling"}}, "metrics": '
        '{{"input_sequence_length": {{"value": 7, "unit": "tokens"}}, "output_sequence_length": '
        '{{"value": 4, "unit": "tokens"}}}}, "error": {}}}\n'
    )
    text = row.format(5 * 10**18 + 250_000_000, "null") + row.format(5 * 10**18, "null")
    text += row.format(5 * 10**18 + 10**9, '{"message": "429"}')
    path = written(tmp_path, text)
    assert recognised(path) == "measured"
    trace = read_trace(path)
    assert columns(trace) == ([0, 250_000_000_000], [7, 7], [4, 4])
    assert "1 row with 0 output tokens skipped (in line 3)." in trace.notes


def test_mooncakes_format_keeps_milliseconds(tmp_path: Path) -> None:
    text = VIDUR + "0.0534,5,6\n0.0536,7,8\n1.0,9,10\n"
    write_trace(read_trace(written(tmp_path, text)), tmp_path / "other", "mooncake_jsonl")
    assert (tmp_path / "other").read_text().splitlines() == [
        '{"timestamp": 0, "input_length": 3180, "output_length": 8, "hash_ids": [0, 1, 2, 3, 4, 5, 6]}',
        '{"timestamp": 1, "input_length": 5, "output_length": 6, "hash_ids": [7]}',
        '{"timestamp": 2, "input_length": 7, "output_length": 8, "hash_ids": [8]}',
        '{"timestamp": 948, "input_length": 9, "output_length": 10, "hash_ids": [9]}',
    ]


def test_azures_format_is_written_with_the_digits_that_it_needs(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, VIDUR + "86400.0520001,5,6\n"))
    write_trace(trace, tmp_path / "seven", "azure_csv")
    assert (tmp_path / "seven").read_text().splitlines()[1:] == [
        "1970-01-01 00:00:00.0000000,3180,8",
        "1970-01-02 00:00:00.0000001,5,6",
    ]
    write_trace(sped_up(trace, 0.3), tmp_path / "twelve", "azure_csv")
    assert (tmp_path / "twelve").read_text().splitlines()[2] == "1970-01-04 08:00:00.000000333333,5,6"


def test_a_trace_slowed_down_beyond_106_days_is_refused(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, VIDUR + "1000,5,6\n"))
    with pytest.raises(TraceError, match=r"at speed 1e-05 trace\.txt would span more than 106 days"):
        sped_up(trace, 1e-5)


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path, VIDUR)
    with pytest.raises(TraceError, match="exists already: choose a file that does not"):
        write_trace(read_trace(path), path, "jsonl")
    assert path.read_text() == VIDUR
    with pytest.raises(TraceError, match=r"cannot write the trace .*: No such file or directory"):
        write_trace(read_trace(path), tmp_path / "none" / "x", "jsonl")


def test_every_format_has_a_reader_and_a_writer() -> None:
    read_only = {"bailian_jsonl", "measured", "dag_jsonl", "dynamo_trace", "genai_spans"}
    assert set(FORMATS) == {*writable(), *writable_sessions(), *read_only}
    csv = ["azure_csv", "burstgpt_csv", "vidur_csv", "splitwise_csv", "blis_csv"]
    assert writable() == [*csv, "mooncake_jsonl", "jsonl", "llmservingsim_jsonl"]
    assert writable_sessions() == ["sessions_jsonl"]
