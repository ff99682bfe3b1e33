"""AIPerf's sessions in Mooncake's keys, and Bailian's chats."""

import gzip
import json
from pathlib import Path

import pytest

from traffic.traces import TraceError, read_recording, read_trace
from traffic.traces.recording import RecordedTurn

MS, S = 10**9, 10**12

Json = dict[str, object]


def asked(prompt: int, output: int, **more: object) -> Json:
    return {"input_length": prompt, "output_length": output, **more}


def written(folder: Path, *rows: Json, name: str = "trace.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


TALK = (
    asked(1000, 80, session_id="a", timestamp=500.0, hash_ids=[1, 2]),
    asked(70, 50, session_id="a", delay=2000.5),
    asked(30, 5, session_id="b", timestamp=1500),
    asked(10, 5, session_id="a", delay_ms=100),
)


def test_a_delay_counts_from_the_answer_before(tmp_path: Path) -> None:
    a, b = read_recording(written(tmp_path, *TALK)).sessions
    assert (a.name, a.start_ps, b.name, b.start_ps) == ("a", 0, "b", S)
    first = RecordedTurn(1000, 80, prefix=(("line 1", 1000), ("line 1 on", 1080)), sent_ps=0)
    said = 1000 + 80 + 70
    second = RecordedTurn(
        said, 50, (0,), 2_000_500_000_000, prefix=(("line 1", 1000), ("line 1 on", said + 50))
    )
    said += 50 + 10
    third = RecordedTurn(said, 5, (1,), 100 * MS, prefix=(("line 1", 1000), ("line 1 on", said + 5)))
    assert a.turns == (first, second, third)


def test_a_stamped_turn_waits_for_its_stamp_and_for_the_answer_before(tmp_path: Path) -> None:
    rows = (
        asked(100, 5, session_id="a", timestamp=1000),
        asked(10, 5, session_id="a", timestamp=4000, delay=50),
    )
    (session,) = read_recording(written(tmp_path, *rows)).sessions
    second = session.turns[1]
    assert (second.after, second.delay_ps, second.not_before_ps) == ((0,), 50 * MS, 3 * S)


def test_a_file_without_stamps_leaves_the_starts_to_who_replays_it(tmp_path: Path) -> None:
    path = written(tmp_path, asked(10, 5, session_id="a"), asked(10, 5, session_id="a", delay=2))
    (session,) = read_recording(path).sessions
    assert (session.start_ps, session.turns[1].delay_ps) == (None, 2 * MS)


def test_a_row_without_a_session_is_one(tmp_path: Path) -> None:
    rows = [asked(600, 5, timestamp=at, hash_ids=[7, at]) for at in (0, 3)]
    first, second = read_recording(written(tmp_path, *rows)).sessions
    assert first.turns[0].prefix == (("line 1", 600),)
    assert second.turns[0].prefix == (("line 1", 512), ("line 2", 600)), "only the first block is the same"


def test_a_turn_that_failed_is_left_out_and_its_words_are_not(tmp_path: Path) -> None:
    rows = (*TALK[:1], asked(20, 0, session_id="a", delay=9), TALK[1])
    recording = read_recording(written(tmp_path, *rows))
    (session,) = recording.sessions
    assert [turn.prompt_tokens for turn in session.turns] == [1000, 1170]
    assert session.turns[1].after == (0,)
    assert "1 row with 0 output tokens skipped (in line 2)." in recording.notes


def test_a_first_turn_that_failed_leaves_its_words_to_the_second(tmp_path: Path) -> None:
    rows = (asked(600, 0, session_id="a", timestamp=3), asked(70, 5, session_id="a", delay=9))
    (session,) = read_recording(written(tmp_path, *rows)).sessions
    assert session.turns == (RecordedTurn(670, 5, (), 9 * MS, prefix=(("line 1 on", 675),)),)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([asked(1, 1, session_id="a", delay=-1)], "line 1: delay is -1, expected a number of ms from 0 on"),
        (
            [asked(1, 1, session_id="a"), asked(1, 1, session_id="a", timestamp=5)],
            "line 2: timestamp is 5, and the first turn of session_id 'a' has none: state it there, too",
        ),
        (
            [asked(1, 1, session_id="a", timestamp=9), asked(1, 1, session_id="a", timestamp=5)],
            "line 2: turn 'line 2' is before its session began",
        ),
        (
            [asked(1, 1, timestamp=0), asked(1, 1, session_id="b", delay=0)],
            "line 2: session 'b' has no start, and others have",
        ),
        ([asked(0, 1, timestamp=0)], "holds no turns to replay. 1 row with 0 prompt tokens skipped"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, rows: list[Json], sentence: str) -> None:
    with pytest.raises(TraceError, match=sentence):
        read_recording(written(tmp_path, *rows), "mooncake_jsonl")


def chat(chat_id: int, parent: int, at_s: float, prompt: int) -> Json:
    """As in qwen-bailian-usagetraces-anon: stamped in seconds, ids of blocks of 16 tokens."""
    ids = list(range(prompt // 16))
    return asked(prompt, 8, chat_id=chat_id, parent_chat_id=parent, timestamp=at_s, hash_ids=ids)


def test_a_chat_goes_on_from_its_parent_and_not_before_its_stamp(tmp_path: Path) -> None:
    path = written(tmp_path, chat(159, -1, 2.0, 96), chat(160, 159, 4.5, 128), chat(161, 159, 5.0, 96))
    (session,) = read_recording(path).sessions
    assert [(one.after, one.not_before_ps) for one in session.turns] == [
        ((), 0),
        ((0,), 2_500 * MS),
        ((0,), 3 * S),
    ]
    assert session.turns[1].prefix == (("line 1", 96), ("line 2", 128))
    assert session.turns[2].prefix == (("line 1", 96),)


def test_a_chat_whose_parent_the_file_lacks_is_a_first_one(tmp_path: Path) -> None:
    recording = read_recording(written(tmp_path, chat(5, 4, 1.0, 32), chat(6, 5, 2.0, 48)))
    assert [len(session.turns) for session in recording.sessions] == [2]
    assert "Chats whose parent_chat_id is no earlier row, taken for first ones: 1." in recording.notes


def test_a_file_that_gzip_packed_is_read_as_it_is(tmp_path: Path) -> None:
    plain = written(tmp_path, *TALK)
    packed = tmp_path / "trace.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()[:100]) + gzip.compress(plain.read_bytes()[100:]))
    assert read_recording(packed).sessions == read_recording(plain).sessions
    assert read_trace(packed).arrival_ps.tolist() == read_trace(plain).arrival_ps.tolist()
    packed.write_bytes(packed.read_bytes()[:60])
    with pytest.raises(TraceError, match=r"trace.jsonl.gz begins as what gzip makes, and is none"):
        read_recording(packed)
