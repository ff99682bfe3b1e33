"""Agents worked out by hand: a lone request of n new tokens takes n ms, each token after its first 10 ms."""

from pathlib import Path
from typing import Any

import pytest

from reports.tables import RunTables
from sim.edge.sandboxes import sandbox_facts, sandbox_times
from sim.run.replications import Task, simulate
from sim.scenario.load import load
from sim.scenario.source_map import ScenarioError
from traffic.durations import FixedDuration
from traffic.walks import SandboxTimes

MS = 10**9
TEXT = """
name: agents
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, prefill_ms_per_token: 1, decode_step_ms: 10, kv_pool_tokens: 9000}
    context_tokens: 1000
    batching: {block_size: 1, enable_prefix_caching: true}
network:
  tls: none
  places:
    here: {kind: custom, rtt_ms: 0}
    away: {kind: custom, rtt_ms: 4}
apps:
  agent:
    place: here
    model: m
    cpu_ms: 3
    cpu_per_call_ms: 1
    steps: %s
traffic:
  people:
    place: here
    app: agent
    arrivals: {kind: constant, rate_per_s: 1, offset_s: 0}
    lengths: {prompt: {kind: fixed, tokens: 20}, output: {kind: fixed, tokens: 3}}
run: {horizon_s: 1, drain_s: 10, replications: 1}
"""
CHAIN = """
      plan: {kind: ask, prompt: {kind: fixed, tokens: 5}, then: look}
      look: {kind: tool, time: {kind: fixed, s: 0.2}, result: {kind: fixed, tokens: 7}, then: tell}
      tell: {kind: ask, output: {kind: fixed, tokens: 2}}
"""
FAN = """
      plan: {kind: ask, then: both}
      both: {kind: fan_out, branches: {quick: 1, slow: 2}, then: merge}
      quick: {kind: tool, time: {kind: fixed, s: 0.05}, result: {kind: fixed, tokens: 4}}
      slow: {kind: tool, time: {kind: fixed, s: 0.3}, then: tell}
      tell: {kind: ask, prompt: {kind: fixed, tokens: 1}, output: {kind: fixed, tokens: 2}}
      merge: {kind: ask, output: {kind: fixed, tokens: 1}}
"""
LOOP = """
      try: {kind: ask, prompt: {kind: fixed, tokens: 2}, then: run}
      run:
        kind: sandbox
        run: {kind: fixed, s: 0.1}
        result: {kind: fixed, tokens: 4}
        then: {try: 0.5, end: 0.5}
"""
Rows = list[dict[str, Any]]


@pytest.fixture
def round_sandbox_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 ms to make one, 10 to start a program, 3 to fork."""
    times = SandboxTimes(*(FixedDuration(s=s) for s in (0.04, 0.01, 0.003)))
    monkeypatch.setattr("sim.edge.sandboxes.sandbox_times", lambda: times)


def run(folder: Path, steps: str, *settings: str, engine: str = "fast") -> RunTables:
    file = folder / "scenario.yaml"
    file.write_text(TEXT % steps, encoding="utf-8")
    return simulate(Task("base", load(file, settings).base, 7, 0, engine)).tables


def visits(tables: RunTables) -> Rows:
    assert tables.user_requests is not None
    found: Rows = tables.user_requests.to_pylist()
    return found


def steps_of(tables: RunTables) -> Rows:
    assert tables.agent_steps is not None
    found: Rows = tables.agent_steps.to_pylist()
    return found


def told(rows: Rows, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in rows]


def test_a_chain_carries_what_was_said_and_found_from_step_to_step(tmp_path: Path) -> None:
    """3 ms of work; 20 + 5 tokens and two more of the answer: 45 ms, and 1 ms of work; 200 ms for the tool.

    The second prompt has those 25 + 3 and the 7 found; 27 are in the cache, so it takes 8 + 10 ms, and 1.
    """
    tables = run(tmp_path, CHAIN)
    requests = tables.requests.to_pylist()
    assert told(requests, "prompt_tokens", "cached_tokens", "output_tokens", "intended_ps", "ended_ps") == [
        (25, 0, 3, 3 * MS, 48 * MS),
        (35, 27, 2, 249 * MS, 267 * MS),
    ]
    (visit,) = visits(tables)
    assert (visit["calls"], visit["outcome"], visit["cpu_ps"]) == (2, "completed", 5 * MS)
    assert (visit["left_ps"], visit["ended_ps"]) == (268 * MS, 268 * MS)
    assert told(steps_of(tables), "step", "kind", "next", "critical", "ask", "began_ps", "ended_ps") == [
        ("plan", "ask", "look", True, 1, 3 * MS, 49 * MS),
        ("look", "tool", "tell", True, -1, 49 * MS, 249 * MS),
        ("tell", "ask", "end", True, 2, 249 * MS, 268 * MS),
    ]
    assert {row["number"] for row in steps_of(tables)} == {visit["number"]} == {0}


def test_an_agent_goes_on_after_the_last_of_its_branches_which_alone_is_critical(tmp_path: Path) -> None:
    """The plan is over at 3 + 40 + 1 = 44 ms. Both slow branches ask at 344, with 23 + 1 tokens.

    Of the first one's 22 are in the cache: 2 + 10 ms. The other one, alone on the chip after it, finds 23:
    1 + 10 ms, to 367, and 1 of work. Then the agent asks with the 23 tokens said, 4 that the quick branch
    found, and 2 from each slow one: 31, of which 23 are in the cache.
    """
    tables = run(tmp_path, FAN)
    requests = tables.requests.to_pylist()
    assert told(requests, "prompt_tokens", "cached_tokens", "intended_ps", "ended_ps") == [
        (20, 0, 3 * MS, 43 * MS),
        (24, 22, 344 * MS, 356 * MS),
        (24, 23, 344 * MS, 367 * MS),
        (31, 23, 368 * MS, 376 * MS),
    ]
    assert told(steps_of(tables), "step", "critical", "began_ps", "ended_ps") == [
        ("plan", True, 3 * MS, 44 * MS),
        ("both", True, 44 * MS, 368 * MS),
        ("quick", False, 44 * MS, 94 * MS),
        ("slow", False, 44 * MS, 344 * MS),
        ("slow", True, 44 * MS, 344 * MS),
        ("tell", False, 344 * MS, 357 * MS),
        ("tell", True, 344 * MS, 368 * MS),
        ("merge", True, 368 * MS, 377 * MS),
    ]
    (visit,) = visits(tables)
    assert (visit["calls"], visit["cpu_ps"], visit["ended_ps"]) == (4, (3 + 3) * MS, 377 * MS)


@pytest.mark.usefixtures("round_sandbox_times")
@pytest.mark.parametrize(
    ("more", "runs_ms"),
    [
        ([], [150, 110, 110]),  # it makes one and keeps it
        (["apps.agent.steps.run.new=true"], [150, 150, 150]),
        (["apps.agent.steps.run.interpreter=fork"], [143, 103, 103]),
    ],
)
def test_programs_run_in_sandboxes_and_loops_end_with_their_bound(
    tmp_path: Path, more: list[str], runs_ms: list[int]
) -> None:
    again = "apps.agent.steps.run.then={try: 0.999999, end: 0.000001}"
    settings = ["apps.agent.most_steps=6", again, *more]
    rows = steps_of(run(tmp_path, LOOP, *settings))
    assert told(rows, "step", "next") == [("try", "run"), ("run", "try")] * 2 + [
        ("try", "run"),
        ("run", "most_steps"),
    ]
    took = [(row["ended_ps"] - row["began_ps"]) // MS for row in rows if row["kind"] == "sandbox"]
    assert took == runs_ms
    assert {row["network_ps"] for row in rows} == {0}


@pytest.mark.usefixtures("round_sandbox_times")
def test_an_agent_away_from_the_platform_pays_the_way_to_its_sandbox(tmp_path: Path) -> None:
    settings = ["apps.agent.place=away", "traffic.people.place=away", "apps.agent.most_steps=2"]
    rows = steps_of(run(tmp_path, LOOP, *settings))
    (program,) = [row for row in rows if row["kind"] == "sandbox"]
    assert program["network_ps"] == (4 + 4) * MS  # to connect, and there and back
    assert program["ended_ps"] - program["began_ps"] == (8 + 150) * MS


def test_a_question_apart_knows_nothing_and_its_answer_enters_the_next_prompt(
    tmp_path: Path,
) -> None:
    steps = CHAIN.replace("look: {kind: tool, time: {kind: fixed, s: 0.2}, result: {kind: fixed, tokens: 7},",
                          "look: {kind: ask, history: false, prompt: {kind: fixed, tokens: 6},")  # fmt: skip
    requests = run(tmp_path, steps).requests.to_pylist()
    # 20 + 5; 6 apart; 25 + 3 said, and the 3 that were answered apart
    assert told(requests, "prompt_tokens", "output_tokens") == [(25, 3), (6, 3), (31, 2)]


def test_what_branches_found_enters_the_next_prompt_once_and_what_was_known_before_them_too(
    tmp_path: Path,
) -> None:
    steps = """
      look: {kind: tool, time: {kind: fixed, s: 0.1}, result: {kind: fixed, tokens: 7}, then: both}
      both: {kind: fan_out, branches: {more: 2}, then: tell}
      more: {kind: tool, time: {kind: fixed, s: 0.1}, result: {kind: fixed, tokens: 4}}
      tell: {kind: ask}
"""
    (request,) = run(tmp_path, steps).requests.to_pylist()
    assert request["prompt_tokens"] == 20 + 7 + 2 * 4


def test_an_agent_ends_with_a_call_that_fails(tmp_path: Path) -> None:
    limits = "models.m.limits={requests_per_minute: 1, tokens_per_minute: 1000}"
    tables = run(tmp_path, CHAIN, limits)
    (visit,) = visits(tables)
    assert (visit["outcome"], visit["calls"]) == ("rejected_requests_limit", 2)
    assert [row["step"] for row in steps_of(tables)] == ["plan", "look", "tell"]


def test_what_is_on_its_way_when_the_run_is_over_is_unfinished(tmp_path: Path) -> None:
    tables = run(tmp_path, CHAIN, "run.horizon_s=0.05", "run.drain_s=0.05")
    (visit,) = visits(tables)
    assert (visit["outcome"], visit["ended_ps"], visit["calls"]) == ("unfinished", None, 1)
    assert told(steps_of(tables), "step", "ended_ps") == [("plan", 49 * MS), ("look", None)]


def test_branches_by_chance_come_as_often_as_stated(tmp_path: Path) -> None:
    steps = """
      plan: {kind: tool, time: {kind: fixed, s: 0.001}, then: {a: 0.2, b: 0.3, end: 0.5}}
      a: {kind: tool, time: {kind: fixed, s: 0.001}}
      b: {kind: tool, time: {kind: fixed, s: 0.001}}
    """
    rows = steps_of(run(tmp_path, steps, "traffic.people.arrivals.rate_per_s=4000"))
    after = [row["next"] for row in rows if row["step"] == "plan"]
    assert len(after) == 4000
    for name, share in (("a", 0.2), ("b", 0.3), ("end", 0.5)):
        # 4 standard deviations of a binomial: at most 0.032
        assert after.count(name) / 4000 == pytest.approx(share, abs=4 * (share * (1 - share) / 4000) ** 0.5)


def test_a_step_more_leaves_the_draws_of_the_others_alone(tmp_path: Path) -> None:
    steps = """
      plan: {kind: ask, prompt: {kind: geometric, mean: 30}, then: tell}
      tell: {kind: ask, prompt: {kind: geometric, mean: 30}, output: {kind: geometric, mean: 5}}
"""
    more = steps.replace("then: tell", "then: look") + (
        "      look: {kind: tool, time: {kind: exponential, mean: 0.1}, then: tell}"
    )
    plain, longer = (
        told(run(tmp_path, one, "run.horizon_s=8").requests.to_pylist(), "prompt_tokens", "output_tokens")
        for one in (steps, more)
    )
    assert plain == longer
    assert len(set(plain)) > 10


def test_a_closed_loop_user_of_an_agent_has_walks_of_his_own(tmp_path: Path) -> None:
    arrivals = "traffic.people.arrivals={kind: ramp, users: 2}"
    callers = "traffic.people.callers={kind: closed_loop, think: {kind: fixed, s: 0.01}}"
    settings = ["apps.agent.most_steps=20", arrivals, callers]
    quick, slow = (
        told(visits(run(tmp_path, LOOP, *settings, f"models.m.hardware.decode_step_ms={ms}")), "calls")
        for ms in (1, 60)
    )
    assert quick[:2] == slow[:2]  # the first of each user, who begin at once
    assert len(quick) > len(slow) > 2
    assert sorted(set(quick)) != [(1,)]


def test_measured_times_of_sandboxes_come_from_the_catalogue() -> None:
    times, facts = sandbox_times(), sandbox_facts()
    assert times.create.median == 0.037  # type: ignore[attr-defined]
    assert times.fork.median == 0.0035  # type: ignore[attr-defined]
    assert {fact.confidence for fact in facts.values()} == {"measured"}


@pytest.mark.parametrize(
    ("steps", "settings", "sentence"),
    [
        (LOOP, [], "can come back to step `try` any number of times: state `most_steps`"),
        (LOOP.replace("{try: 0.5, end: 0.5}", "try"), ["apps.agent.most_steps=9"], "the agent has no end"),
        (LOOP.replace("end: 0.5", "end: 0.4"), [], "add up to 0.9"),
        (CHAIN.replace("then: look", "then: lok"), [], "there is no step `lok`; did you mean `look`?"),
        (CHAIN.replace("then: look", "then: tell"), [], "nothing leads to step `look`"),
        (CHAIN, ["apps.agent.start=plann"], "did you mean `plan`?"),
        (CHAIN, ["apps.agent.calls=3"], "`calls` means nothing to an agent"),
        (FAN.replace("slow: 2", "slow: 2, both: 1"), [], "step `both` fans out into itself"),
        (FAN.replace("slow: 2", "slow: 101"), [], "it must be 100 or less"),
        (FAN.replace("slow: 2", "sloow: 2"), [], "did you mean `slow`?"),
        (CHAIN.replace("tell:", "end:").replace("then: tell", "then: end"), [], "call the step otherwise"),
        (
            FAN.replace("slow: 2", "slow: 100").replace("then: tell", "then: more")
            + "      more: {kind: fan_out, branches: {tell: 100}}\n",
            [],
            "may take 10,",
        ),
        (CHAIN.replace("kind: tool", "kind: tol"), [], "`tool`"),
        (CHAIN.replace("tell: {kind: ask,", "tell: {kind: ask, history: false,"), [], "state its `prompt`"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(
    tmp_path: Path, steps: str, settings: list[str], sentence: str
) -> None:
    with pytest.raises(ScenarioError) as refusal:
        run(tmp_path, steps, *settings)
    assert sentence in str(refusal.value), str(refusal.value)


def test_a_plain_app_has_no_steps_to_bound(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(TEXT % CHAIN, encoding="utf-8")
    with pytest.raises(ScenarioError, match="`most_steps` means nothing to an app without `steps`"):
        load(file, ["apps.agent={place: here, model: m, most_steps: 4}"])
