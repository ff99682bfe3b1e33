"""Recorded sessions, whatever graph their turns are: none leaves before what it waits for is answered."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.stored import whole
from reports.tables import RunTables
from sim.run.world import World
from sim.scenario.schema import Scenario
from tests.support.study import plan_of, results_of

MS = 10**9
HORIZON_MS = 200
Json = dict[str, Any]

spans = st.sampled_from([0, 1, 7 * MS, 20 * MS + 3])


@st.composite
def sessions(draw: st.DrawFn) -> list[Json]:
    """Rows of a file, of up to four sessions whose turns wait for any of those before them."""
    rows = []
    for session in range(draw(st.integers(1, 4))):
        start_ps = draw(st.integers(0, HORIZON_MS)) * MS
        for turn in range(draw(st.integers(1, 6))):
            after = draw(st.sets(st.integers(0, turn - 1), max_size=3)) if turn else set()
            row = {
                "session_id": f"s{session}",
                "turn": f"t{turn}",
                "prompt_tokens": draw(st.sampled_from([1, 4, 15, 70])),
                "output_tokens": draw(st.sampled_from([1, 5, 20])),
                "after": [f"t{before}" for before in sorted(after)],
                "delay_ps": draw(spans),
                "not_before_ps": draw(spans),
                "prefix": draw(st.sampled_from([[], [["p", 3]], [["p", 2], [f"s{session}", 9]]])),
            }
            rows.append(row | ({"start_ps": start_ps} if turn == 0 else {}))
    return rows


models = st.fixed_dictionaries(
    {
        "id": st.just("m"),
        "llm": st.just("llama3.1-8b"),
        "hardware": st.just(
            {
                "kind": "hardwired_asic",
                "prefill_ms_per_token": 0.2,
                "decode_step_ms": 2,
                "kv_pool_tokens": 120,
                "max_concurrent_sequences": 3,
            }
        ),
        "nodes": st.integers(1, 2),
        "context_tokens": st.just(60),
        "batching": st.booleans().map(lambda caches: {"block_size": 2, "enable_prefix_caching": caches}),
        "limits": st.none() | st.just({"requests_per_minute": 6, "tokens_per_minute": 5000}),
    }
)
sources = st.fixed_dictionaries(
    {
        "place": st.sampled_from(["here", "away"]),
        "model": st.just("m"),
        "lengths": st.just({"kind": "trace"}),
        "timeout_s": st.none() | st.sampled_from([0.01, 0.05]),
        "retry": st.none() | st.just({"like": "openai-python"}),
        "users": st.integers(1, 2),
    }
)


def scenario(model: Json, source: Json) -> Json:
    return {
        "name": "recorded",
        "models": {"m": model},
        "network": {
            "places": {
                "here": {"kind": "custom", "rtt_ms": 0},
                "away": {"kind": "internet", "access": "cable", "near": "aws:us-east-1"},
            }
        },
        "traffic": {"agents": source},
        "run": {"horizon_s": HORIZON_MS / 1000, "replications": 1},
    }


def tables_of(made: Json, engine: str) -> RunTables:
    world = World(Scenario.model_validate(made), 3, 0, engine=engine)
    world.run_to(4 * HORIZON_MS * MS)
    return world.tables("base")


@settings(max_examples=30, deadline=None)
@given(data=st.data(), rows=sessions(), loop=st.booleans(), follows=st.booleans())
def test_no_turn_leaves_before_its_time_and_every_session_ends_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows: list[Json], loop: bool, follows: bool
) -> None:
    path = tmp_path_factory.mktemp("recorded") / "sessions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    loop = loop and len({row["start_ps"] for row in rows if "start_ps" in row}) > 1
    source = data.draw(sources) | {"arrivals": {"kind": "recording", "path": str(path), "loop": loop}}
    if follows:
        source["prefix"] = {"kind": "trace"}
    if follows and not any(row["prefix"] for row in rows):
        del source["prefix"]
    made = scenario(data.draw(models), source)
    tables, again = (tables_of(made, engine) for engine in ("fast", "step"))
    assert tables.sessions is not None
    assert again.sessions is not None
    assert tables.requests.equals(whole(again.requests))
    assert tables.sessions.equals(whole(again.sessions))
    recorded = _recorded(rows)
    found = tables.sessions.to_pylist()
    assert [one["number"] for one in sorted(found, key=lambda one: int(one["began_ps"]))] == list(
        range(len(found))
    )
    for session in found:
        asked = [row for row in _asks(tables) if row["session"] == session["number"]]
        _as_recorded(session, asked, recorded[session["number"] % len(recorded)])


def _recorded(rows: list[Json]) -> list[list[Json]]:
    """By session, in the order of their starts."""
    names = dict.fromkeys(row["session_id"] for row in rows)
    found = [[row for row in rows if row["session_id"] == name] for name in names]
    return sorted(found, key=lambda turns: int(turns[0]["start_ps"]))


def _asks(tables: RunTables) -> list[Json]:
    """What was asked, however many attempts it took."""
    table = tables.requests if tables.asks is None else tables.asks
    found: list[Json] = table.to_pylist()
    return found


def _as_recorded(session: Json, asked: list[Json], recorded: list[Json]) -> None:
    by_turn = {f"t{row['turn']}": row for row in asked}
    assert len(by_turn) == len(asked) == session["turns"] <= session["planned"] == len(recorded)
    for name, row in by_turn.items():
        turn = next(one for one in recorded if one["turn"] == name)
        assert row["prompt_tokens"] == turn["prompt_tokens"]
        before = [by_turn[other] for other in turn["after"]]
        assert all(other["outcome"] == "completed" for other in before)
        free_ps = max([session["began_ps"], *(int(other["ended_ps"]) for other in before)])
        due_ps = max(free_ps + turn["delay_ps"], session["began_ps"] + turn["not_before_ps"])
        assert row["intended_ps"] == due_ps
    failed = {row["outcome"] for row in asked} - {"completed", "unfinished"}
    heard_ps = min((row["ended_ps"] for row in asked if row["outcome"] in failed), default=2**63)
    assert all(row["intended_ps"] <= heard_ps for row in asked)
    if session["ending"] == "completed":
        assert not failed
        assert len(asked) == len(recorded)
    elif session["ending"] != "unfinished":
        assert session["ending"] in failed
    if session["ending"] != "unfinished":
        assert session["ended_ps"] == max(row["ended_ps"] for row in asked)


RECORDING = """
name: recording
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {preset: hc1, kv_pool_tokens: 25000}
    context_tokens: 4000
network:
  places: {home: {kind: internet, access: cable, near: "aws:us-east-1"}}
traffic:
  agents:
    place: home
    model: m
    arrivals: {kind: recording, path: sessions.jsonl, resample: {block_s: 1}}
    lengths: {kind: trace}
run: {horizon_s: 3, replications: 2}
"""


def test_recorded_sessions_leave_the_same_tables_with_any_number_of_jobs(tmp_path: Path) -> None:
    rows = [
        {
            "session_id": f"s{session}",
            "turn": str(turn),
            "prompt_tokens": 50 + session,
            "output_tokens": 20,
            "after": [str(turn - 1)] if turn else [],
            "delay_ps": 100 * MS,
            "start_ps": session * 300 * MS,
        }
        for session in range(8)
        for turn in range(4)
    ]
    (tmp_path / "sessions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = plan_of(RECORDING, tmp_path)
    one, two = (results_of(plan, jobs=jobs) for jobs in (1, 2))
    for name in ("requests", "sessions", "nodes"):
        assert getattr(one.tables, name).equals(getattr(two.tables, name)), name
    assert one.streams == two.streams
