"""Turns with names and those they wait for, on their way into sessions, and our own format of them."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traffic.traces import TraceError, read_recording, read_trace, write_recording
from traffic.traces.describe_sessions import describe_sessions
from traffic.traces.describe_sessions_text import sessions_text
from traffic.traces.formats.table import recognised
from traffic.traces.recording import RecordedSession, RecordedTurn, Recording

MS = 10**9

Json = dict[str, object]


def turn(name: str, *after: str, session: str = "a", **more: object) -> Json:
    row: Json = {"session_id": session, "turn": name, "prompt_tokens": 10, "output_tokens": 2}
    return row | ({"after": list(after)} if after else {}) | more


def written(folder: Path, *rows: Json) -> Path:
    path = folder / "sessions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


FAN = (
    turn("plan", start_ps=5 * MS, sent_ps=5 * MS),
    turn("left", "plan", delay_ps=MS, sent_ps=9 * MS),
    turn("right", "plan", delay_ps=2 * MS, sent_ps=10 * MS),
    turn("sum", "left", "right", delay_ps=3 * MS, prompt_tokens=30, sent_ps=20 * MS),
)


def test_turns_wait_for_those_that_the_rows_name(tmp_path: Path) -> None:
    path = written(tmp_path, *FAN)
    (session,) = read_recording(path).sessions
    assert recognised(path) == "sessions_jsonl"
    assert [(one.after, one.delay_ps) for one in session.turns] == [
        ((), 0),
        ((0,), MS),
        ((0,), 2 * MS),
        ((1, 2), 3 * MS),
    ]
    assert session.followers() == ((1, 2), (3,), (3,), ())


def test_rows_may_stand_in_any_order_and_sessions_between_each_other(tmp_path: Path) -> None:
    other = turn("x", session="b", start_ps=2 * MS)
    path = written(tmp_path, FAN[0], FAN[3], other, FAN[2], FAN[1])
    first, second = read_recording(path).sessions
    assert (first.name, first.start_ps, second.name, second.start_ps) == ("b", 0, "a", 3 * MS)
    assert [one.after for one in second.turns] == [(), (0,), (0,), (1, 2)]


def test_the_same_turns_can_be_replayed_as_they_were_sent(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, *FAN))
    assert trace.arrival_ps.tolist() == [0, 4 * MS, 5 * MS, 15 * MS]
    assert trace.prompt_tokens.tolist() == [10, 10, 10, 30]


def test_turns_without_stamps_are_replayed_by_who_waits_for_answers_only(tmp_path: Path) -> None:
    path = written(tmp_path, turn("a"), turn("b", "a"))
    assert read_recording(path).sessions[0].start_ps is None
    with pytest.raises(
        TraceError, match="does not say when its turns were sent, only what each of them waits for"
    ):
        read_trace(path)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([turn("a"), turn("b", "c")], "line 2: turn 'b' waits for 'c', which is no turn of session 'a'"),
        ([turn("a"), turn("b", "a", session="b")], "line 2: turn 'b' waits for 'a', which is no turn of"),
        (
            [turn("z"), turn("a", "z", "c"), turn("b", "a"), turn("c", "b"), turn("d", "c")],
            "line 2: turns of session 'a' wait for each other: 'a' after 'c' after 'b' after 'a'",
        ),
        ([turn("a", "a")], "line 1: turns of session 'a' wait for each other: 'a' after 'a'"),
        ([turn("a"), turn("a")], "line 2: session 'a' has a turn 'a' already, in line 1"),
        ([turn("a", output_tokens=0)], "line 1: output_tokens is 0, expected 1 or more"),
        ([turn("a"), turn("b", delay_ps=-1)], "line 2: delay_ps is -1, expected 0 or more"),
        ([turn("a"), turn("b", delay_ps=2**63)], "line 2: turn 'b' waits 106 days after it began"),
        ([turn("a"), turn("b", after="a")], "line 2: after is 'a', expected a list of turns"),
        ([turn("a", prefix=[["x", 4], ["y", 4]])], "line 1: prefix has the end 4, expected ends that grow"),
        ([turn("a", prefix=[["x"]])], r"line 1: prefix has \['x'\], expected pairs"),
        (
            [turn("a", start_ps=0), turn("b", session="b")],
            "line 2: session 'b' has no start, and others have: state it",
        ),
        ([turn("a"), {"turn": "b", "prompt_tokens": 1}], "line 2: session_id is missing"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(tmp_path: Path, rows: list[Json], sentence: str) -> None:
    with pytest.raises(TraceError, match=sentence):
        read_recording(written(tmp_path, *rows))


def test_a_format_without_sessions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "three.csv"
    path.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,100,10\n")
    with pytest.raises(TraceError, match="is read as vidur_csv, which does not say what waits for what"):
        read_recording(path)


def test_sessions_are_described_by_their_turns_and_delays(tmp_path: Path) -> None:
    about = describe_sessions(read_recording(written(tmp_path, *FAN)))
    assert (about["sessions"], about["turns"], about["waiting_for_several"]) == (1, 4, 1)
    assert about["turns_in_a_row"]["max"] == 3
    assert about["delay_s"] is not None
    assert (about["delay_s"]["min"], about["delay_s"]["mean"], about["delay_s"]["max"]) == (
        0.001,
        0.002,
        0.003,
    )
    assert about["shortest_s"]["max"] == 0.005, "the right branch: 2 ms, then 3"
    assert about["prompt_growth"] == 3
    assert "Turns that wait for several answers: 1." in sessions_text(about)


TOKENS = st.integers(1, 1000)
SPANS = st.integers(0, 10**13)


@st.composite
def sessions(draw: st.DrawFn, name: str) -> RecordedSession:
    turns: list[RecordedTurn] = []
    for place in range(draw(st.integers(1, 6))):
        after = tuple(sorted(draw(st.sets(st.integers(0, place - 1), max_size=3)))) if place else ()
        prefix = (("x", draw(TOKENS)),) if draw(st.booleans()) else ()
        turns.append(RecordedTurn(draw(TOKENS), draw(TOKENS), after, draw(SPANS), draw(SPANS), prefix))
    return RecordedSession(name, None, tuple(turns))


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_recording_comes_back_from_our_own_format_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("there") / "back.jsonl"
    wanted = tuple(data.draw(sessions(name)) for name in "ab"[: data.draw(st.integers(1, 2))])
    write_recording(Recording("made", wanted), path, "sessions_jsonl")
    assert read_recording(path).sessions == wanted


@given(st.permutations(range(6)), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
@settings(max_examples=40, deadline=None)
def test_turns_come_after_all_that_they_wait_for_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], waits: set[tuple[int, int]]
) -> None:
    """By depth-first search: an edge to a turn that is being visited closes a circle."""
    after = {place: [str(b) for a, b in waits if a == place] for place in range(6)}

    def circles(place: int, way: tuple[int, ...]) -> bool:
        return place in way or any(circles(int(name), (*way, place)) for name in after[place])

    path = written(tmp_path_factory.mktemp("order"), *(turn(str(place), *after[place]) for place in order))
    if any(circles(place, ()) for place in range(6)):
        with pytest.raises(TraceError, match="wait for each other"):
            read_recording(path)
        return
    (session,) = read_recording(path).sessions
    assert all(before < place for place, one in enumerate(session.turns) for before in one.after)
    assert sum(len(one.after) for one in session.turns) == len(waits)
