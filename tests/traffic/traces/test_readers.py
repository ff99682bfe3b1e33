"""Readers of formats in which a stamp, a row or a length means something of its own."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from traffic.traces import Trace, TraceError, read_trace
from traffic.traces.formats.table import recognised

S, MS = 10**12, 10**9
BURSTGPT = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,0,1087,Conversation log
45,GPT-4,417,276,693,API log
118.5,GPT-4,0,0,0,API log
120,ChatGPT,3,4,7,API log
"""
BAILIAN = (
    '{"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 521, "output_length": 132,'
    ' "type": "text", "turn": 1, "hash_ids": [1089, 1090, 1091]}\n'
)
TURNS = [
    {"session_id": "a", "timestamp": 0.0, "input_length": 1000, "output_length": 80, "hash_ids": [1, 2]},
    {"session_id": "a", "delay": 2000.5, "input_length": 70, "output_length": 50, "hash_ids": [3]},
    {"session_id": "b", "timestamp": 1000, "input_length": 30, "output_length": 5, "group_id": 7},
    {"session_id": "a", "delay": 100, "input_length": 10, "output_length": 5},
]


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.txt"
    path.write_text(text)
    return path


def lines_of(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def mooncake(timestamp: object = 0, **more: object) -> dict[str, Any]:
    return {"timestamp": timestamp, "input_length": 3, "output_length": 4, **more}


def rows_of(trace: Trace) -> list[tuple[int, int, int]]:
    return list(trace)


# Which format


def test_a_long_first_row_is_recognised_wherever_its_keys_stand(tmp_path: Path) -> None:
    row = {"hash_ids": list(range(100_000, 100_260)), **mooncake(input_length=133_000)}
    assert len(json.dumps(row)) > 2000
    assert recognised(written(tmp_path, lines_of(row))) == "mooncake_jsonl"


def test_blank_lines_and_spaces_before_the_first_row_do_no_harm(tmp_path: Path) -> None:
    assert recognised(written(tmp_path, "\n \n  " + lines_of(mooncake()))) == "mooncake_jsonl"
    assert read_trace(written(tmp_path, "\n" + BURSTGPT)).rows == 3


def test_keys_inside_a_text_tell_nothing(tmp_path: Path) -> None:
    row = {"text": '"timestamp" "input_length" "output_length"'}
    with pytest.raises(TraceError, match="starts no known trace format"):
        read_trace(written(tmp_path, lines_of(row)))


@pytest.mark.parametrize("key", ["chat_id", "parent_chat_id", "turn"])
def test_bailians_rows_are_told_from_mooncakes_by_each_of_their_keys(tmp_path: Path, key: str) -> None:
    assert recognised(written(tmp_path, lines_of(mooncake(**{key: 1})))) == "bailian_jsonl"


# Columns


@pytest.mark.parametrize(
    "header",
    ["TIMESTAMP,ContextTokens,GeneratedTokens", "GeneratedTokens,NumImages,TIMESTAMP,ContextTokens"],
)
def test_azures_columns_go_by_their_names(tmp_path: Path, header: str) -> None:
    row = {
        "TIMESTAMP": "2024-05-10 00:00:00.009930+00:00",
        "ContextTokens": "2162",
        "GeneratedTokens": "5",
        "NumImages": "1",
    }
    text = header + "\n" + ",".join(row[name] for name in header.split(",")) + "\n"
    trace = read_trace(written(tmp_path, text))
    assert rows_of(trace) == [(0, 2162, 5)]
    assert ("Columns not read: NumImages." in trace.notes) == ("NumImages" in header)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = "TIMESTAMP,ContextTokens,ContextTokens,GeneratedTokens\n"
    with pytest.raises(TraceError, match=r"line 1: the header .* but 'ContextTokens' stands twice"):
        read_trace(written(tmp_path, text))


# BurstGPT


def test_burstgpts_failed_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    """Of five rows one has no answer and one has neither. The 40 s between the first two stay."""
    trace = read_trace(written(tmp_path, BURSTGPT))
    assert rows_of(trace) == [(0, 472, 18), (40 * S, 417, 276), (115 * S, 3, 4)]
    assert trace.notes == (
        "Read as burstgpt_csv, Timestamp in seconds.",
        "Times count from the first row, whose stamp is 5 s.",
        "1 row with 0 output tokens skipped (in line 3).",
        "1 row with 0 prompt tokens skipped (in line 5).",
        "Columns not read: Model, Total tokens, Log Type.",
    )


def test_burstgpts_newer_columns_do_no_harm(tmp_path: Path) -> None:
    text = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    text += "3.25,s,0.5,GPT-4,9,8,17,API log\n"
    assert rows_of(read_trace(written(tmp_path, text))) == [(0, 9, 8)]


def test_a_file_of_failed_requests_alone_is_refused(tmp_path: Path) -> None:
    text = "Timestamp,Request tokens,Response tokens\n1,5,0\n2,5,0\n"
    sentence = r"holds no rows to replay\. 2 rows with 0 output tokens skipped \(the first in line 2\)\."
    with pytest.raises(TraceError, match=sentence):
        read_trace(written(tmp_path, text))


# Bailian


def test_bailian_stamps_are_seconds(tmp_path: Path) -> None:
    later = json.loads(BAILIAN) | {"timestamp": 62.2, "turn": 2, "parent_chat_id": 159}
    trace = read_trace(written(tmp_path, BAILIAN + lines_of(later)))
    assert rows_of(trace) == [(0, 521, 132), (1_086 * MS, 521, 132)]
    assert trace.notes == (
        "Read as bailian_jsonl, timestamp in seconds.",
        "Times count from the first row, whose stamp is 61.114 seconds.",
        "Keys not read: chat_id, parent_chat_id, type, turn.",
    )
    assert trace.blocks is not None
    assert (trace.blocks.block_tokens, trace.blocks.of_row(1)) == (16, [1089, 1090, 1091])


# Mooncake's keys, as other tools write them


def test_float_stamps_keep_every_digit(tmp_path: Path) -> None:
    text = lines_of(mooncake(0.0), mooncake(0.1), mooncake(1.5e3), mooncake(2_000_000.000001))
    assert read_trace(written(tmp_path, text)).arrival_ps.tolist() == [
        0,
        10**8,
        1_500 * MS,
        2_000_000_000_001_000,
    ]


@pytest.mark.parametrize("stamp", ["NaN", "Infinity", "1e999", '"3"', "-1", "null", "true"])
def test_a_stamp_that_is_no_time_is_refused(tmp_path: Path, stamp: str) -> None:
    text = f'{{"timestamp": {stamp}, "input_length": 3, "output_length": 4}}\n'
    with pytest.raises(TraceError, match=r"line 1: timestamp is .*, expected a number of ms from 0 on"):
        read_trace(written(tmp_path, text), "mooncake_jsonl")


def test_turns_of_a_session_go_on_from_those_before(tmp_path: Path) -> None:
    """Session a: 1000 and 80 tokens, then 70 new ones at 2,000.5 ms, answered with 50, then 10 more."""
    trace = read_trace(written(tmp_path, lines_of(*TURNS)))
    assert rows_of(trace) == [
        (0, 1000, 80),
        (1000 * MS, 30, 5),
        (2000 * MS + MS // 2, 1000 + 80 + 70, 50),
        (2100 * MS + MS // 2, 1000 + 80 + 70 + 50 + 10, 5),
    ]
    assert trace.notes[0] == "Read as mooncake_jsonl, timestamp in ms."
    assert trace.notes[1] == "Rows sorted by time: 1 stood after a later one."
    assert trace.notes[2].startswith("2 turns continue a session: input_length is taken for what is new")
    assert trace.notes[3].startswith(
        "Turns with only a delay after the answer before: 2. No answer is waited"
    )
    assert trace.notes[4:] == ("Keys not read: group_id.",)


def test_of_a_continued_prompt_only_the_full_blocks_of_the_first_are_known(tmp_path: Path) -> None:
    blocks = read_trace(written(tmp_path, lines_of(*TURNS))).blocks
    assert blocks is not None
    assert [blocks.of_row(row) for row in range(4)] == [[1, 2], [], [1], [1]]


def test_a_turn_that_begins_with_the_sessions_first_block_states_its_whole_prompt(tmp_path: Path) -> None:
    whole = {
        "session_id": "a",
        "timestamp": 9,
        "input_length": 1200,
        "output_length": 1,
        "hash_ids": [1, 8, 9],
    }
    trace = read_trace(written(tmp_path, lines_of(TURNS[0], whole)))
    assert rows_of(trace)[1] == (9 * MS, 1200, 1)
    assert trace.blocks is not None
    assert trace.blocks.of_row(1) == [1, 8, 9]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"delay": 5}, "a delay without a timestamp counts from the turn before of the same session_id"),
        ({"delay": 5, "session_id": "new"}, "a delay without a timestamp counts from the turn before"),
        ({"session_id": "a"}, "timestamp is missing, there are input_length"),
        ({"delay": -5, "session_id": "a"}, "delay is -5, expected a number of ms from 0 on"),
        ({"timestamp": 1, "session_id": ["a"]}, r"session_id is \['a'\], expected text"),
        ({"timestamp": 1, "hash_ids": 5}, "hash_ids is 5, expected a list"),
        ({"timestamp": 1, "hash_ids": [5, -1]}, "hash_ids has -1, expected whole numbers from 0 to 2"),
        ({"timestamp": 1, "hash_ids": [2**64]}, "hash_ids has 18446744073709551616, expected"),
        ({"timestamp": 1, "hash_ids": ["x"]}, "hash_ids has 'x', expected whole numbers"),
        (
            {"timestamp": 1, "session_id": "a", "input_length": 9_999_999},
            "input_length, with the session so far, is 10001079, expected a whole number from 0 to 10000000",
        ),
    ],
)
def test_what_makes_no_sense_is_named_with_its_line(
    tmp_path: Path, row: dict[str, Any], sentence: str
) -> None:
    sizes = {"input_length": 3, "output_length": 4}
    with pytest.raises(TraceError, match=f"line 2: {sentence}"):
        read_trace(written(tmp_path, lines_of(TURNS[0], sizes | row)))


def test_a_session_cannot_stretch_beyond_106_days(tmp_path: Path) -> None:
    late = mooncake(10**10, session_id="b")
    with pytest.raises(TraceError, match="is 115 days after the first row"):
        read_trace(written(tmp_path, lines_of(mooncake(10**10), mooncake(5, session_id="a"), late)))


def test_mooncakes_whole_conversation_trace_keeps_its_stamps_and_blocks() -> None:
    """One id for every 512 tokens begun, and stamps on a grid of 3 s that nobody spread."""
    data = os.environ.get("E80SIM_DATA")
    if data is None:
        pytest.skip("E80SIM_DATA, the folder of raw data, is not set")
    trace = read_trace(Path(data) / "traces" / "mooncake_conversation_trace.jsonl")
    assert (trace.rows, trace.span_ps) == (11_523, 3_396_000 * MS)
    assert trace.arrival_ps[:11].tolist() == [0] * 10 + [3000 * MS]
    assert len(set(trace.arrival_ps.tolist())) == 1133
    assert trace.blocks is not None
    assert len(trace.blocks.ids) == sum(-(-tokens // 512) for tokens in trace.prompt_tokens.tolist())
    assert trace.blocks.of_row(0) == list(range(14))
    assert trace.notes == ("Read as mooncake_jsonl, timestamp in ms.",)
