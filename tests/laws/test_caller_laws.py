"""Callers that wait for their answers: whatever they are told, each asks one thing at a time and once."""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.stored import whole
from reports.tables import RunTables
from sim.run.world import World
from sim.scenario.schema import Scenario
from tests.support.study import plan_of, results_of

MS = 10**9
HORIZON_MS = 200
Rows = list[dict[str, Any]]


def fixed(**value: float) -> dict[str, Any]:
    return {"kind": "fixed", **value}


def duration(mean: float) -> dict[str, Any]:
    return {"kind": "exponential", "mean": mean}


think = st.one_of(
    st.sampled_from([0.0, 0.001, 0.01]).map(lambda s: fixed(s=s)),
    st.sampled_from([0.001, 0.02]).map(duration),
)
chats = st.fixed_dictionaries(
    {
        "arrivals": st.sampled_from([20, 50, 100]).map(lambda rate: {"kind": "poisson", "rate_per_s": rate}),
        "callers": st.fixed_dictionaries(
            {
                "kind": st.just("chats"),
                "turns": st.sampled_from([fixed(count=3), {"kind": "geometric", "mean": 3, "most": 8}]),
                "think": think,
            }
        ),
        "users": st.integers(1, 3),
    }
)
users = st.fixed_dictionaries(
    {
        "arrivals": st.builds(
            lambda n, over_ms: {"kind": "ramp", "users": n, "over_s": over_ms / 1000},
            st.integers(1, 5),
            st.sampled_from([0, 50]),
        ),
        "callers": st.fixed_dictionaries({"kind": st.just("closed_loop"), "think": think}),
    }
)
common = st.fixed_dictionaries(
    {
        "place": st.sampled_from(["here", "away"]),
        "model": st.just("m"),
        "lengths": st.just({"prompt": fixed(tokens=4), "output": {"kind": "geometric", "mean": 4}}),
        "timeout_s": st.none() | st.sampled_from([0.02, 0.05]),
        "clients": st.none() | st.just({"count": 3, "busiest_half": 1}),
        "stream": st.booleans(),
    }
)
sources = st.tuples(common, chats | users).map(lambda parts: parts[0] | parts[1])


def scenario_of(
    traffic: dict[str, Any], limits: dict[str, Any] | None, nodes: int = 1, *, caches: bool = False
) -> dict[str, Any]:
    chip = {"kind": "hardwired_asic", "prefill_ms_per_token": 0.2, "decode_step_ms": 2, "kv_pool_tokens": 120}
    return {
        "name": "callers",
        "models": {
            "m": {
                "id": "m",
                "llm": "llama3.1-8b",
                "hardware": chip | {"max_concurrent_sequences": 3},
                "nodes": nodes,
                "context_tokens": 60,
                "batching": {"block_size": 2, "enable_prefix_caching": caches},
                "limits": limits,
            }
        },
        "network": {
            "places": {
                "here": {"kind": "custom", "rtt_ms": 0},
                "away": {"kind": "internet", "access": "cable", "near": "aws:us-east-1"},
            }
        },
        "traffic": traffic,
        "run": {"horizon_s": HORIZON_MS / 1000, "replications": 1},
    }


scenarios = st.builds(
    lambda traffic, limits, nodes, caches: scenario_of(
        {f"source{i}": one for i, one in enumerate(traffic)}, limits, nodes, caches=caches
    ),
    st.lists(sources, min_size=1, max_size=3),
    st.none() | st.just({"requests_per_minute": 30, "tokens_per_minute": 5000}),
    st.integers(1, 2),
    st.booleans(),
)


def tables_of(scenario: dict[str, Any], engine: str) -> RunTables:
    world = World(Scenario.model_validate(scenario), 3, 0, engine=engine)
    world.run_to(4 * HORIZON_MS * MS)
    return world.tables("base")


@settings(max_examples=25, deadline=None)
@given(scenarios)
def test_a_session_asks_one_thing_at_a_time_and_both_engines_agree(scenario: dict[str, Any]) -> None:
    tables = tables_of(scenario, "fast")
    again = tables_of(scenario, "step")
    assert tables.requests.equals(whole(again.requests))
    assert tables.sessions is not None
    assert again.sessions is not None
    assert tables.sessions.equals(whole(again.sessions))
    requests = tables.requests.to_pylist()
    assert len({row["number"] for row in requests}) == len(requests)
    asked: dict[tuple[str, int], Rows] = defaultdict(list)
    for row in requests:
        asked[row["source"], row["session"]].append(row)
    sessions = tables.sessions.to_pylist()
    assert {(one["source"], one["number"]) for one in sessions} >= set(asked)
    for session in sessions:
        callers = scenario["traffic"][session["source"]]["callers"]
        of_session = asked[session["source"], session["number"]]
        one_after_the_other(of_session)
        if callers["kind"] == "chats":
            is_a_conversation(session, of_session)
        else:
            goes_on_until_the_horizon(session, of_session)


def one_after_the_other(rows: Rows) -> None:
    rows.sort(key=lambda row: int(row["turn"]))
    assert [row["turn"] for row in rows] == list(range(len(rows)))
    for before, after in pairwise(rows):
        assert before["ended_ps"] is not None
        assert after["intended_ps"] >= before["ended_ps"]
        assert after["number"] > before["number"]


def is_a_conversation(session: dict[str, Any], rows: Rows) -> None:
    assert session["turns"] == len(rows) <= session["planned"]
    said = 0
    for row in rows:
        assert row["prompt_tokens"] == said + 4
        said = row["prompt_tokens"] + row["output_tokens"]
    *before, last = [row["outcome"] for row in rows] or ["completed"]
    assert set(before) <= {"completed"}
    if session["ending"] == "completed":
        assert (last, len(rows)) == ("completed", session["planned"])
    elif session["ending"] == "context_limit":
        assert last == "completed"
        assert len(rows) < session["planned"]
    elif session["ending"] == "unfinished":
        assert last in {"unfinished", "completed"}
    else:
        assert session["ending"] == last
    if session["ending"] != "unfinished" and rows:
        assert session["ended_ps"] == rows[-1]["ended_ps"]


def goes_on_until_the_horizon(session: dict[str, Any], rows: Rows) -> None:
    assert session["ending"] in {"horizon", "unfinished"}
    assert session["turns"] == len(rows) >= 1
    assert all(row["intended_ps"] < HORIZON_MS * MS for row in rows)
    assert all(after["intended_ps"] - before["intended_ps"] >= MS for before, after in pairwise(rows))
    assert all(row["prompt_tokens"] == 4 for row in rows)


AGENT = {
    "plan": {"kind": "ask", "then": {"fan": 0.5, "run": 0.5}},
    "fan": {"kind": "fan_out", "branches": {"look": 2, "deep": 1}, "then": "run"},
    "look": {"kind": "tool", "time": duration(0.005), "then": {"plan": 0.0, "sum": 0.5, "end": 0.5}},
    "sum": {"kind": "ask", "history": False, "prompt": fixed(tokens=2)},
    "deep": {"kind": "fan_out", "branches": {"look": 2}, "then": "sum"},
    "run": {"kind": "sandbox", "run": duration(0.005), "then": {"plan": 0.4, "end": 0.6}},
}
agents = st.builds(
    lambda common, arrivals, most_steps, place, limits: {
        "most_steps": most_steps,
        "place": place,
        "limits": limits,
        "source": {name: value for name, value in common.items() if name != "model"}
        | {"app": "a"}
        | arrivals,
    },
    common,
    users
    | st.just({"arrivals": {"kind": "poisson", "rate_per_s": 40}})
    | st.just({"arrivals": {"kind": "constant", "rate_per_s": 50}, "users": 3}),
    st.sampled_from([1, 4, 30]),
    st.sampled_from(["here", "away"]),
    st.none() | st.just({"requests_per_minute": 40, "tokens_per_minute": 5000}),
)


@settings(max_examples=30, deadline=None)
@given(agents)
def test_what_a_user_waits_for_is_one_step_after_the_other_and_both_engines_agree(
    told: dict[str, Any],
) -> None:
    scenario = scenario_of({"source0": told["source"]}, told["limits"])
    app = {
        "place": told["place"],
        "model": "m",
        "cpu_ms": 1,
        "most_steps": told["most_steps"],
        "steps": AGENT,
    }
    tables, again = (tables_of(scenario | {"apps": {"a": app}}, engine) for engine in ("fast", "step"))
    for name in ("requests", "user_requests", "agent_steps"):
        assert getattr(tables, name).equals(getattr(again, name)), name
    assert tables.user_requests is not None
    assert tables.agent_steps is not None
    visits, requests = tables.user_requests.to_pylist(), tables.requests.to_pylist()
    numbers = [row["number"] for row in (*visits, *requests)]
    assert len(set(numbers)) == len(numbers)
    steps: dict[int, Rows] = defaultdict(list)
    for row in tables.agent_steps.to_pylist():
        steps[row["number"]].append(row)
    asked = sorted(row["ask"] for rows in steps.values() for row in rows if row["kind"] == "ask")
    assert asked == sorted(row["number"] for row in requests)
    for visit in visits:
        assert len(steps[visit["number"]]) <= told["most_steps"]
        if visit["outcome"] == "completed":
            are_one_after_the_other(visit, steps[visit["number"]])


def are_one_after_the_other(visit: dict[str, Any], rows: Rows) -> None:
    """Steps of the critical path. Branches stand for their fan-outs."""
    path = [row for row in rows if row["critical"] and row["kind"] != "fan_out"]
    path.sort(key=lambda row: (int(row["began_ps"]), int(row["ended_ps"])))
    at_ps = visit["arrived_ps"] + MS  # of work
    for row in path:
        assert row["began_ps"] == at_ps
        at_ps = row["ended_ps"]
    assert visit["left_ps"] == at_ps


TWO_KINDS = """
name: two-kinds
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {preset: hc1, kv_pool_tokens: 25000}
    context_tokens: 4000
network:
  places: {home: {kind: internet, access: cable, near: "aws:us-east-1"}}
traffic:
  talk:
    place: home
    model: m
    arrivals: {kind: poisson, rate_per_s: 3}
    callers: {kind: chats, turns: {kind: geometric, mean: 4}, think: {kind: exponential, mean: 1}}
    lengths: &short {prompt: {kind: geometric, mean: 50}, output: {kind: geometric, mean: 50}}
  people:
    place: home
    model: m
    arrivals: {kind: ramp, users: 5, over_s: 3}
    callers: {kind: closed_loop, think: {kind: lognormal, median: 0.5, sigma: 1}}
    lengths: *short
run: {horizon_s: 5, replications: 2}
"""


def test_callers_leave_the_same_tables_with_any_number_of_jobs(tmp_path: Path) -> None:
    plan = plan_of(TWO_KINDS, tmp_path)
    one, two = (results_of(plan, jobs=jobs) for jobs in (1, 2))
    for name in ("requests", "sessions", "nodes"):
        assert getattr(one.tables, name).equals(getattr(two.tables, name)), name
    assert one.streams == two.streams
