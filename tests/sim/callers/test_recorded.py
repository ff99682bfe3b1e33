"""Recorded sessions worked out by hand: a lone request of n prompt tokens takes n ms, each token after its
first takes 10 ms, and nobody has any way to go. Each of two nodes has one request at a time.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from reports.tables import RunTables
from sim.run.replications import Task, simulate
from sim.scenario.load import load
from sim.scenario.source_map import ScenarioError

MS = 10**9
TEXT = """
name: recorded
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, prefill_ms_per_token: 1, decode_step_ms: 10, kv_pool_tokens: 2000}
    nodes: 2
    context_tokens: 500
    batching: {block_size: 1}
network:
  tls: none
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  agents:
    place: here
    model: m
    arrivals: {kind: recording, path: sessions.jsonl}
    lengths: {kind: trace}
run: {horizon_s: 1, drain_s: 10, replications: 1}
"""
ALONE = "{kind: constant, rate_per_s: 4, offset_s: 0}"
BY_NAME = (
    f"traffic.agents.arrivals={ALONE}",
    "traffic.agents.callers={kind: recorded, path: sessions.jsonl}",
)

NINE = "{kind: fixed, tokens: 9}"

Json = dict[str, Any]


def turn(name: str, prompt: int, *after: str, session: str = "a", **more: Any) -> Json:
    row: Json = {"session_id": session, "turn": name, "prompt_tokens": prompt, "output_tokens": 3}
    return row | ({"after": list(after)} if after else {}) | more


FAN = (
    turn("plan", 50, start_ps=500 * MS, sent_ps=500 * MS),
    turn("left", 20, "plan", delay_ps=5 * MS, sent_ps=600 * MS),
    turn("right", 100, "plan", sent_ps=600 * MS),
    turn("sum", 80, "left", "right", delay_ps=30 * MS, sent_ps=800 * MS),
    turn("aside", 10, "left", delay_ps=1000 * MS, sent_ps=900 * MS),
)


def run(folder: Path, *settings: str, rows: tuple[Json, ...] = FAN, engine: str = "fast") -> RunTables:
    (folder / "sessions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = folder / "scenario.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return simulate(Task("base", load(file, settings).base, 7, 0, engine)).tables


def told(tables: RunTables, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in tables.requests.to_pylist()]


def spans(tables: RunTables) -> list[tuple[int, int, int]]:
    rows = told(tables, "turn", "intended_ps", "ended_ps")
    return [(number, meant // MS, ended // MS) for number, meant, ended in rows]


def session_of(tables: RunTables, number: int = 0) -> Json:
    assert tables.sessions is not None
    found: Json = tables.sessions.to_pylist()[number]
    return found


@pytest.mark.parametrize("engine", ["fast", "step"])
def test_a_turn_leaves_when_all_that_it_waits_for_are_answered_and_its_delay_is_over(
    tmp_path: Path, engine: str
) -> None:
    tables = run(tmp_path, engine=engine)
    # plan: 0 to 70. left: 75 to 115, right beside it: 70 to 190. sum: 190 + 30. aside: 115 + 1000.
    assert sorted(spans(tables)) == [(0, 0, 70), (1, 75, 115), (2, 70, 190), (3, 220, 320), (4, 1115, 1145)]
    session = session_of(tables)
    assert (session["turns"], session["planned"], session["ending"]) == (5, 5, "completed")
    assert (session["began_ps"], session["ended_ps"]) == (0, 1145 * MS)


def test_sent_at_their_stamps_the_same_turns_wait_for_nothing(tmp_path: Path) -> None:
    tables = run(tmp_path, "traffic.agents.arrivals.kind=trace", "run.horizon_s=3")
    assert [meant for (meant,) in told(tables, "intended_ps")] == [0, 100 * MS, 100 * MS, 300 * MS, 400 * MS]
    assert tables.sessions is None


def test_after_a_failure_nothing_more_is_asked_and_what_is_under_way_is_waited_for(tmp_path: Path) -> None:
    rows = (FAN[0], turn("left", 499, "plan"), *FAN[2:])
    tables = run(tmp_path, rows=rows)
    # left is too long for the context and refused at once, when right is asked: 70 to 190
    outcomes = dict(told(tables, "turn", "outcome"))
    assert outcomes == {0: "completed", 1: "rejected_context", 2: "completed"}
    session = session_of(tables)
    assert (session["ending"], session["turns"], session["ended_ps"]) == ("rejected_context", 3, 190 * MS)


def test_what_waits_for_its_delay_when_another_fails_is_not_asked(tmp_path: Path) -> None:
    rows = (turn("a", 20, start_ps=0), turn("b", 10, "a", delay_ps=90 * MS), turn("c", 499, "a"))
    tables = run(tmp_path, rows=rows)
    assert [number for (number,) in told(tables, "turn")] == [0, 2]
    assert session_of(tables)["ended_ps"] == 40 * MS


def test_a_stamped_turn_leaves_at_its_stamp_or_with_the_answer(tmp_path: Path) -> None:
    rows = (
        turn("a", 20, start_ps=100 * MS),
        turn("early", 20, "a", not_before_ps=10 * MS),
        turn("late", 20, "early", not_before_ps=300 * MS, delay_ps=5 * MS),
    )
    assert spans(run(tmp_path, rows=rows)) == [(0, 0, 40), (1, 40, 80), (2, 300, 340)]


def test_sessions_of_a_recording_come_by_other_arrivals_too_round_and_round(tmp_path: Path) -> None:
    rows = (turn("a", 20), turn("b", 30, "a", delay_ps=7 * MS), turn("x", 10, session="b", delay_ps=2 * MS))
    tables = run(tmp_path, *BY_NAME, rows=rows)
    asked = told(tables, "session", "turn", "prompt_tokens", "intended_ps")
    assert [(number, place, prompt, meant // MS) for number, place, prompt, meant in asked] == [
        (0, 0, 20, 0),
        (0, 1, 30, 47),
        (1, 0, 10, 252),
        (2, 0, 20, 500),
        (2, 1, 30, 547),
        (3, 0, 10, 752),
    ]


def test_speed_changes_when_sessions_start_and_none_of_their_delays(tmp_path: Path) -> None:
    rows = (turn("a", 20, start_ps=0), turn("b", 20, "a", delay_ps=60 * MS))
    later = turn("x", 20, session="b", start_ps=800 * MS)
    tables = run(tmp_path, "traffic.agents.arrivals.speed=2", rows=(*rows, later))
    assert spans(tables) == [(0, 0, 40), (1, 100, 140), (0, 400, 440)]


def test_a_prompt_finds_what_the_recording_says_was_said(tmp_path: Path) -> None:
    rows = (
        turn("a", 20, start_ps=0, prefix=[["talk", 23]]),
        turn("b", 50, "a", prefix=[["talk", 53]]),
        turn("x", 20, session="b", start_ps=900 * MS, prefix=[["other", 23]]),
    )
    cached = ("models.m.batching.enable_prefix_caching=true", "models.m.nodes=1")
    tables = run(tmp_path, *cached, "traffic.agents.prefix={kind: trace}", rows=rows)
    # Of 23 tokens the cache has 22: nothing is computed of an answer's last
    assert told(tables, "cached_tokens") == [(0,), (22,), (0,)]


def test_sessions_that_do_not_end_are_recorded_as_such(tmp_path: Path) -> None:
    tables = run(tmp_path, "run.drain_s=0", "run.horizon_s=0.2")
    session = session_of(tables)
    assert (session["ending"], session["turns"], session["ended_ps"]) == ("unfinished", 3, None)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            ("traffic.agents.callers={kind: recorded, path: sessions.jsonl}",),
            "arrivals of kind 'recording' are sessions whose turns wait, and callers of kind 'recorded' are",
        ),
        (
            (f"traffic.agents.lengths={{prompt: {NINE}, output: {NINE}}}",),
            "the turns of recorded sessions have the lengths of the recording: state `lengths",
        ),
        (
            (f"traffic.agents.prefix={{kind: groups, groups: 2, tokens: {NINE}}}",),
            "the turns of recorded sessions have the prefix of the recording",
        ),
        (
            (
                "apps={app: {place: here, model: m}}",
                "traffic.agents.model=null",
                "traffic.agents.app=app",
            ),
            "recorded sessions are held with a model, and this source names an app: state `model`",
        ),
        (("traffic.agents.prefix={kind: trace}",), "sessions.jsonl has no `hash_ids`"),
        (("traffic.agents.arrivals.path=none.jsonl",), r"cannot read the trace .*none\.jsonl"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    tmp_path: Path, settings: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        run(tmp_path, *settings)


def test_a_recording_without_starts_needs_arrivals(tmp_path: Path) -> None:
    rows = (turn("a", 20), turn("b", 30, "a"))
    with pytest.raises(ScenarioError, match="does not say when its sessions start: state other"):
        run(tmp_path, rows=rows)
    with pytest.raises(ScenarioError, match="replay it as sessions, with `callers"):
        run(tmp_path, "traffic.agents.arrivals.kind=trace", rows=rows)


def test_a_circle_is_told_with_its_line(tmp_path: Path) -> None:
    rows = (turn("a", 20, start_ps=0), turn("b", 30, "c"), turn("c", 30, "b"))
    with pytest.raises(
        ScenarioError, match=r"sessions\.jsonl line 2: turns of session 'a' wait for each other"
    ):
        run(tmp_path, rows=rows)
