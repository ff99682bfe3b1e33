"""What callers that wait cost beside open-loop requests: events and calls are asserted, times are told."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sim.run.replications import rare_collections
from sim.run.world import World
from sim.scenario.schema import Scenario
from tests.benchmarks.scenarios import GPU, scenario
from tests.support.speeds import Speeds

PS_PER_S = 10**12
AT_ONCE = "traffic.chat.lengths={prompt: {kind: fixed, tokens: %d}, output: {kind: fixed, tokens: 50}}"
THINK = "{kind: exponential, mean: 0.1}"
ALONE = [AT_ONCE % 500, "traffic.chat.arrivals.rate_per_s=140"]
"""Ten prompts of 500 tokens."""
IN_TURNS = [
    AT_ONCE % 50,
    "traffic.chat.arrivals.rate_per_s=14",
    "traffic.chat.callers={kind: chats, turns: {kind: fixed, count: 10}, think: " + THINK + "}",
]
"""One prompt of 50 tokens, one of 150 ... one of 950: ten of 500 on average."""


@rare_collections()
def run(spec: Scenario) -> World:
    world = World(spec, 1, 0, engine="fast")
    world.run_to(round(2 * spec.run.horizon_s * PS_PER_S))
    return world


def events_per_request(world: World) -> float:
    return world.env.queued / world.numbers.next()


def calls_of(run: Callable[[], Any]) -> int:
    """Python functions entered."""
    found = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal found
        found += event == "call"

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


def test_a_conversation_of_ten_turns_costs_little_more_than_ten_requests(
    speeds: Speeds, tmp_path: Path
) -> None:
    alone, in_turns = (
        scenario(tmp_path, GPU, *settings, "run.horizon_s=20") for settings in (ALONE, IN_TURNS)
    )
    worlds = [run(spec) for spec in (alone, in_turns)]
    events = [events_per_request(world) for world in worlds]
    # An answer sets the next question off, where an arrival did, and every tenth begins a process. The rest
    # are steps of nodes, which prompts of other lengths and a start with few conversations make shorter.
    assert events[1] <= 1.2 * events[0], events
    requests = [world.numbers.next() - 1 for world in worlds]
    calls = [calls_of(partial(run, spec)) / n for spec, n in zip((alone, in_turns), requests, strict=True)]
    # 1.34: SimPy's processes, which conversations are, go over a stand-in for its environment.
    assert calls[1] / calls[0] <= 1.35, calls
    ratio = speeds.paired(partial(run, alone), partial(run, in_turns)) * requests[0] / requests[1]
    speeds.note(
        f"ten turns ({events[1]:.2f} events, {calls[1]:.0f} calls)", f"{ratio:10.2f} times ten requests"
    )


def test_closed_loop_users_cost_little_more_than_requests(speeds: Speeds, tmp_path: Path) -> None:
    users = [
        AT_ONCE % 500,
        "traffic.chat.arrivals={kind: ramp, users: 200}",
        "traffic.chat.callers={kind: closed_loop, think: {kind: exponential, mean: 1}}",
    ]
    alone, closed = (scenario(tmp_path, GPU, *settings, "run.horizon_s=20") for settings in (ALONE, users))
    worlds = [run(spec) for spec in (alone, closed)]
    events = [events_per_request(world) for world in worlds]
    assert events[1] - events[0] <= 0.3, events
    requests = [world.numbers.next() - 1 for world in worlds]
    ratio = speeds.paired(partial(run, alone), partial(run, closed)) * requests[0] / requests[1]
    speeds.note(f"closed-loop users ({events[1]:.2f} events)", f"{ratio:10.2f} times open-loop requests")


def chain(tools: int) -> str:
    """Of four calls, with a wait behind each of the first `tools`."""
    names = [name for i in range(4) for name in (f"ask{i}", *[f"wait{i}"] * (i < tools))]
    kinds = {"ask": "ask", "wai": "tool, time: {kind: fixed, s: 0.1}"}
    steps = (
        f"{name}: {{kind: {kinds[name[:3]]}, then: {after}}}"
        for name, after in zip(names, [*names[1:], "end"], strict=True)
    )
    return f"steps: {{{', '.join(steps)}}}"


@pytest.mark.parametrize("tools", [0, 3])
def test_a_step_of_an_agent_costs_an_event_beside_those_of_its_requests(
    speeds: Speeds, tmp_path: Path, tools: int
) -> None:
    common = [AT_ONCE % 500, "traffic.chat.arrivals.rate_per_s=35", "traffic.chat.model=null"]
    common += ["run.horizon_s=20", "traffic.chat.app=a"]
    plain, agent = (
        scenario(tmp_path, GPU, *common, f"apps.a={{place: here, model: llama, {what}}}")
        for what in ("calls: 4", chain(tools))
    )
    # User requests have numbers too, one for four calls.
    events = [events_per_request(run(spec)) * 5 / 4 for spec in (plain, agent)]
    assert events[1] <= events[0] + tools / 4, events
    ratio = speeds.paired(partial(run, plain), partial(run, agent))
    speeds.note(f"agents, {tools} tools in 4 calls ({events[1]:.2f} events)", f"{ratio:10.2f} times an app")


def test_callers_that_nobody_states_cost_no_event(tmp_path: Path) -> None:
    """Nothing but arrivals, ways, steps and answers: the count was the same before there were callers."""
    world = run(scenario(tmp_path, GPU, *ALONE, "run.horizon_s=20"))
    assert not world.traffic.sessions.inside
    assert not len(world.traffic.sessions.records.arrays("number")["number"])
    assert events_per_request(world) <= 5.3


def recorded(file: Path, sessions: int = 280) -> None:
    """Of ten turns with 500 tokens each, 14 sessions a second; an answer takes 0.4 s by their stamps."""
    rows = [
        {
            "session_id": f"s{number}",
            "turn": str(turn),
            "prompt_tokens": 500,
            "output_tokens": 50,
            "sent_ps": number * PS_PER_S // 14 + turn * 507 * PS_PER_S // 1000,
            **({"after": [str(turn - 1)], "delay_ps": PS_PER_S // 10} if turn else {}),
            **({} if turn else {"start_ps": number * PS_PER_S // 14}),
        }
        for number in range(sessions)
        for turn in range(10)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_recorded_session_of_ten_turns_costs_little_more_than_ten_requests(
    speeds: Speeds, tmp_path: Path
) -> None:
    recorded(tmp_path / "sessions.jsonl")
    common = ["traffic.chat.lengths={kind: trace}", "run.horizon_s=20"]
    sent, in_turns = (
        scenario(tmp_path, GPU, *common, f"traffic.chat.arrivals={{kind: {kind}, path: sessions.jsonl}}")
        for kind in ("trace", "recording")
    )
    worlds = [run(spec) for spec in (sent, in_turns)]
    events = [events_per_request(world) for world in worlds]
    assert events[1] <= 1.2 * events[0], events
    requests = [world.numbers.next() - 1 for world in worlds]
    calls = [calls_of(partial(run, spec)) / n for spec, n in zip((sent, in_turns), requests, strict=True)]
    assert calls[1] / calls[0] <= 1.3, calls
    ratio = speeds.paired(partial(run, sent), partial(run, in_turns)) * requests[0] / requests[1]
    speeds.note(
        f"ten recorded turns ({events[1]:.2f} events, {calls[1]:.0f} calls)",
        f"{ratio:10.2f} times ten requests",
    )


def test_an_app_on_a_shared_processor_costs_a_few_events_a_piece_of_work(
    speeds: Speeds, tmp_path: Path
) -> None:
    """Of four calls in a row: a seat is one event, and each of five pieces of work an alarm and its end.

    Other work in between moves the alarm, which leaves the old one behind.
    """
    common = [AT_ONCE % 500, "traffic.chat.arrivals.rate_per_s=35", "traffic.chat.model=null"]
    common += ["run.horizon_s=20", "traffic.chat.app=a"]
    app = "apps.a={place: here, model: llama, calls: 4, cpu_ms: 1, cpu_per_call_ms: 1%s}"
    plain, shared = (
        scenario(tmp_path, GPU, *common, app % what) for what in ("", ", compute: {cpu_mhz: 1500}")
    )
    users = 5  # numbers a user request: its own, and four of calls
    events = [events_per_request(run(spec)) * users for spec in (plain, shared)]
    assert events[1] - events[0] <= 1 + 5 * 3, events
    ratio = speeds.paired(partial(run, plain), partial(run, shared))
    speeds.note(
        f"apps on a shared processor (+{events[1] - events[0]:.2f} events)", f"{ratio:10.2f} times an app"
    )
