"""Dynamo's request traces, of agents and of requests that nobody said more of."""

import json
from pathlib import Path

import pytest

from traffic.traces import TraceError, read_recording, read_trace
from traffic.traces.formats.table import recognised
from traffic.traces.recording import RecordedSession

MS = 10**9
BEGAN_MS = 1_777_312_800_000

Json = dict[str, object]


def request(
    name: str, at_ms: int, took_ms: int, session: str | None = None, parent: str | None = None, **more: object
) -> Json:
    """As in Dynamo's docs/agents/request-replay-tracing, with its members of a request."""
    context = {"session_id": session, **({} if parent is None else {"parent_session_id": parent})}
    return {
        "schema": "dynamo.request.trace.v1",
        "event_type": "request_end",
        "event_time_unix_ms": BEGAN_MS + at_ms + took_ms,
        **({} if session is None else {"event_source": "dynamo", "agent_context": context}),
        "request": {
            "request_id": name,
            "model": "my-model",
            "output_tokens": 16,
            "request_received_ms": BEGAN_MS + at_ms,
            "total_time_ms": took_ms,
            "replay": {
                "trace_block_size": 64,
                "input_length": 128,
                "input_sequence_hashes": [14879255164371896291, 274632075616497421],
            },
        }
        | more,
    }


def hashes(*ids: int, tokens: int | None = None) -> Json:
    length = 64 * len(ids) if tokens is None else tokens
    return {"trace_block_size": 64, "input_length": length, "input_sequence_hashes": list(ids)}


def written(folder: Path, *rows: Json) -> Path:
    path = folder / "dynamo.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def waits(session: RecordedSession) -> list[tuple[tuple[int, ...], int]]:
    return [(one.after, one.delay_ps // MS) for one in session.turns]


TOOL: Json = {
    "schema": "dynamo.request.trace.v1",
    "event_type": "tool_end",
    "event_time_unix_ms": BEGAN_MS + 1500,
    "agent_context": {"session_id": "planner"},
    "tool": {"tool_call_id": "call-abc", "tool_class": "web_search", "duration_ms": 420.5},
}
AGENTS = (
    request("p1", 0, 1000, "planner"),
    TOOL,
    request("c1", 1100, 900, "left", "planner"),
    request("c2", 2500, 1500, "left", "planner"),
    request("d1", 1200, 2600, "right", "planner"),
    request("p2", 5000, 1000, "planner"),
    request("x", 3000, 10),
)


def test_requests_wait_for_their_sessions_their_parents_and_their_children(tmp_path: Path) -> None:
    planner, alone = read_recording(written(tmp_path, *AGENTS)).sessions
    # By their starts: p1, c1, d1, c2, p2. The parent waits for what ended at 4000 ms, and for its own.
    assert waits(planner) == [((), 0), ((0,), 100), ((0,), 200), ((1,), 500), ((0, 2, 3), 1000)]
    assert (planner.name, planner.start_ps) == ("planner", 0)
    assert (alone.name, alone.start_ps, len(alone.turns)) == ("request x", 3000 * MS, 1)
    assert [one.sent_ps for one in planner.turns if one.sent_ps is not None][-1] == 5000 * MS


def test_the_same_file_is_a_trace_of_its_requests(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, *AGENTS))
    assert (trace.arrival_ps // MS).tolist() == [0, 1100, 1200, 2500, 3000, 5000]
    assert trace.blocks is not None
    assert trace.blocks.of_row(0) == [14879255164371896291, 274632075616497421]


def test_it_is_known_by_its_events_wrapped_or_not(tmp_path: Path) -> None:
    plain = written(tmp_path, *AGENTS)
    assert recognised(plain) == "dynamo_trace"
    found = read_recording(plain).sessions
    wrapped = written(tmp_path, *({"timestamp": 5, "event": row} for row in AGENTS))
    assert recognised(wrapped) == "dynamo_trace"
    assert read_recording(wrapped).sessions == found


def test_older_files_call_a_session_a_trajectory(tmp_path: Path) -> None:
    rows = [request("a", 0, 10, "run"), request("b", 50, 10, "run"), request("c", 20, 15, "run")]
    for row, (name, parent) in zip(rows, [("t1", None), ("t1", None), ("t2", "t1")], strict=True):
        row["agent_context"] = {"session_id": "run", "trajectory_id": name, "parent_trajectory_id": parent}
    (session,) = read_recording(written(tmp_path, *rows)).sessions
    assert waits(session) == [((), 0), ((0,), 10), ((0, 1), 15)]


def test_a_request_that_began_before_the_one_before_ended_leaves_at_once(tmp_path: Path) -> None:
    rows = (request("a", 0, 100, "s"), request("b", 40, 100, "s"))
    (session,) = read_recording(written(tmp_path, *rows)).sessions
    assert waits(session) == [((), 0), ((0,), 0)]


def test_a_child_that_nobody_has_spawned_yet_counts_from_the_start(tmp_path: Path) -> None:
    rows = (request("p", 0, 100, "p"), request("c", 30, 10, "c", "p"))
    (session,) = read_recording(written(tmp_path, *rows)).sessions
    assert waits(session) == [((), 0), ((), 30)]


def test_times_come_from_what_there_is(tmp_path: Path) -> None:
    rows = [request("a", 0, 100, "s"), request("b", 150, 10, "s", request_received_ms=None)]
    (session,) = read_recording(written(tmp_path, *rows)).sessions
    assert waits(session)[1] == ((0,), 50), "the end less what it took"
    rows[0] = request("a", 0, 100, "s", total_time_ms=None)
    (session,) = read_recording(written(tmp_path, *rows)).sessions
    assert waits(session)[1] == ((0,), 50), "the event was at the end"


def test_equal_hashes_are_equal_beginnings(tmp_path: Path) -> None:
    rows = (
        request("a", 0, 10, "s", replay=hashes(1, 2)),
        request("b", 20, 10, "s", replay=hashes(1, 2, 3, tokens=150)),
        request("c", 40, 10, "t", replay=hashes(1, 9)),
    )
    s, t = read_recording(written(tmp_path, *rows)).sessions
    assert [one.prefix for one in s.turns] == [(("line 1", 128),), (("line 1", 128), ("line 2", 150))]
    assert t.turns[0].prefix == (("line 1", 64), ("line 3", 128))


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    payload = {"event_type": "request_payload", "event_time_unix_ms": 1}
    rows = (*AGENTS[:2], request("f", 10, 5, "planner", output_tokens=0), payload)
    assert read_recording(written(tmp_path, *rows)).notes[1:] == (
        "1 row with 0 output tokens skipped (in line 3).",
        "Events of tools, whose time lies between requests in any case: 1.",
        "Events not read: 1 of type request_payload.",
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [request("a", 0, 10, "a", "b"), request("b", 5, 9, "b", "a")],
            "line 1: sessions are each other's children: 'a' of 'b' of 'a'",
        ),
        (
            [request("a", 0, 1), request("b", 1, 1, replay=hashes(1) | {"trace_block_size": 32})],
            "line 2: input_length is 64, and the 1 input_sequence_hashes of 32 tokens each cover 32",
        ),
        (
            [request("a", 0, 1), request("b", 1, 1, replay=hashes(1, tokens=9) | {"trace_block_size": 16})],
            "line 2: trace_block_size is 16, and 64 in line 1: these hashes cannot be compared",
        ),
        ([request("a", 0, 1, replay=hashes(-1))], "line 1: input_sequence_hashes has -1, expected numbers"),
        (
            [request("a", 0, 1, replay=None)],
            "line 1: request has neither replay.input_length nor input_tokens",
        ),
        ([request("a", 0, 1, output_tokens=None)], "line 1: output_tokens is None, expected a whole number"),
        ([request("a", 0, 1) | {"schema": "other.v2"}], "line 1: schema is 'other.v2', expected 'dynamo.req"),
        ([request("a", 0, 1), {"event_type": "request_end"}], "line 2: request is missing"),
        ([TOOL], "dynamo.jsonl holds no turns to replay. Events of tools"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, rows: list[Json], sentence: str) -> None:
    with pytest.raises(TraceError, match=sentence):
        read_recording(written(tmp_path, *rows))
