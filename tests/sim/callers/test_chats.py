"""Conversations worked out by hand: a lone request of n new prompt tokens takes n ms, each token after its
first takes 10 ms, and half a round trip is 2 ms.
"""

from pathlib import Path
from typing import Any

import pytest

from reports.tables import RunTables
from sim.run.replications import Task, simulate
from sim.scenario.load import load
from sim.scenario.source_map import ScenarioError

MS = 10**9
TEXT = """
name: chats
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, prefill_ms_per_token: 1, decode_step_ms: 10, kv_pool_tokens: 2000}
    context_tokens: 100
    batching: {block_size: 1, enable_prefix_caching: true}
network:
  tls: none
  places:
    here: {kind: custom, rtt_ms: 4}
traffic:
  talk:
    place: here
    model: m
    arrivals: {kind: constant, rate_per_s: 1, offset_s: 0}
    callers: {kind: chats, turns: {kind: fixed, count: 3}, think: {kind: fixed, s: 0.1}}
    lengths: {prompt: {kind: fixed, tokens: 20}, output: {kind: fixed, tokens: 3}}
run: {horizon_s: 1, drain_s: 10, replications: 1}
"""


def run(folder: Path, *settings: str, text: str = TEXT, engine: str = "fast") -> RunTables:
    file = folder / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    return simulate(Task("base", load(file, settings).base, 7, 0, engine)).tables


def told(tables: RunTables, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in tables.requests.to_pylist()]


def sessions(tables: RunTables) -> list[dict[str, Any]]:
    assert tables.sessions is not None
    found: list[dict[str, Any]] = tables.sessions.to_pylist()
    return found


def test_each_turn_extends_the_one_before_and_leaves_when_its_answer_was_thought_over(tmp_path: Path) -> None:
    """Turn 0: 4 ms to connect, 2 + 20 + 2 x 10 + 2 = 44 for the answer, and 100 to think.

    Of 23 tokens said by then the cache knows 22, for nothing is computed of an answer's last: turn 1 computes
    43 - 22 = 21, which takes 45 ms. Turn 2 is asked at 148 + 145 = 293 ms.
    """
    tables = run(tmp_path)
    rows = told(tables, "session", "turn", "prompt_tokens", "cached_tokens", "intended_ps", "ended_ps")
    assert rows == [
        (0, 0, 20, 0, 0, 48 * MS),
        (0, 1, 43, 22, 148 * MS, 193 * MS),
        (0, 2, 66, 45, 293 * MS, 338 * MS),
    ]
    (session,) = sessions(tables)
    assert (session["turns"], session["planned"], session["ending"]) == (3, 3, "completed")
    assert (session["began_ps"], session["ended_ps"]) == (0, 338 * MS)


def test_a_conversation_ends_where_its_next_turn_would_not_fit_the_context(tmp_path: Path) -> None:
    # Turn k has 20 + 23 k prompt tokens and 3 more to come: turn 3 makes 92, and turn 4 would make 115.
    tables = run(tmp_path, "traffic.talk.callers.turns.count=9")
    assert [prompt for (prompt,) in told(tables, "prompt_tokens")] == [20, 43, 66, 89]
    (session,) = sessions(tables)
    assert (session["turns"], session["planned"], session["ending"]) == (4, 9, "context_limit")
    assert session["ended_ps"] == max(ended for (ended,) in told(tables, "ended_ps"))


def test_a_conversation_whose_first_turn_does_not_fit_asks_nothing(tmp_path: Path) -> None:
    tables = run(tmp_path, "traffic.talk.lengths.prompt={kind: lognormal, median: 100, sigma: 0}")
    assert told(tables, "number") == []
    (session,) = sessions(tables)
    assert (session["turns"], session["ending"], session["ended_ps"]) == (0, "context_limit", 0)


def test_a_conversation_ends_with_an_answer_that_fails(tmp_path: Path) -> None:
    tables = run(tmp_path, "models.m.limits={requests_per_minute: 2, tokens_per_minute: 1000}")
    assert told(tables, "turn", "outcome") == [
        (0, "completed"),
        (1, "completed"),
        (2, "rejected_requests_limit"),
    ]
    (session,) = sessions(tables)
    assert (session["turns"], session["ending"]) == (3, "rejected_requests_limit")


def test_a_conversation_that_has_begun_goes_on_after_the_horizon(tmp_path: Path) -> None:
    assert len(told(run(tmp_path, "run.horizon_s=0.1"), "turn")) == 3
    tables = run(tmp_path, "run.horizon_s=0.1", "run.drain_s=0.1")  # and no longer than the run
    (session,) = sessions(tables)
    assert (session["turns"], session["ending"], session["ended_ps"]) == (2, "unfinished", None)


def test_the_cap_of_a_source_cuts_what_is_said_and_remembered(tmp_path: Path) -> None:
    rows = told(run(tmp_path, "traffic.talk.max_output_tokens=2"), "prompt_tokens", "output_tokens")
    assert rows == [(20, 2), (42, 2), (64, 2)]


def test_each_conversation_has_the_key_of_one_client(tmp_path: Path) -> None:
    """Three requests a minute for each of a thousand keys are enough for three turns, of whichever it is."""
    settings = [
        "traffic.talk.clients={count: 1000}",
        "models.m.limits={requests_per_minute: 3, tokens_per_minute: 100000}",
        "traffic.talk.arrivals.rate_per_s=2",
        "run.horizon_s=3",
    ]
    tables = run(tmp_path, *settings)
    assert [session["ending"] for session in sessions(tables)] == ["completed"] * 6


def test_chats_of_a_caller_go_over_connections_of_his_own(tmp_path: Path) -> None:
    """Chat 0 and 2 are the first caller's: his connection is open when the third begins."""
    settings = ["traffic.talk.users=2", "run.horizon_s=3"]
    cold = told(run(tmp_path, *settings), "session", "turn", "cold")
    assert [one for one in cold if one[1] == 0] == [(0, 0, True), (1, 0, True), (2, 0, False)]
    assert not any(is_cold for _, turn, is_cold in cold if turn)


def test_what_a_source_draws_is_the_same_whatever_another_one_does(tmp_path: Path) -> None:
    random = TEXT.replace("{kind: fixed, tokens: 20}", "{kind: geometric, mean: 20}").replace(
        "{kind: fixed, count: 3}", "{kind: geometric, mean: 2, most: 4}"
    )
    alone = sizes(run(tmp_path, "run.horizon_s=5", text=random))
    other = (
        "traffic.more={place: here, model: m, arrivals: {kind: constant, rate_per_s: 3}, callers: "
        "{kind: chats, turns: {kind: geometric, mean: 3}, think: {kind: exponential, mean: 0.1}}, lengths: "
        "{prompt: {kind: geometric, mean: 3}, output: {kind: fixed, tokens: 3}}}"
    )
    beside = sizes(run(tmp_path, "run.horizon_s=5", other, text=random))
    assert beside == alone
    assert len({prompt for *_, prompt in alone}) > 4


def sizes(tables: RunTables) -> list[tuple[int, int, int]]:
    rows = tables.requests.to_pylist()
    return sorted((r["session"], r["turn"], r["prompt_tokens"]) for r in rows if r["source"] == "talk")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            ["traffic.talk.callers.turns={kind: geometric, mean: 9, most: 3}"],
            "the mean 9 is above most, 3",
        ),
        (["traffic.talk.callers.turns.count=0"], "it must be 1 or more"),
        (["traffic.talk.callers.think.s=-1"], "it must be 0 or more"),
        (["traffic.talk.callers.think={kind: lognormal, median: 5, sigma: 1, high: 2}"], "must lie between"),
        (
            ["apps.bot={place: here, model: m}", "traffic.talk.model=null", "traffic.talk.app=bot"],
            "chats are held with a model",
        ),
        (["traffic.talk.callers.kind=chat"], "`chats`"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(tmp_path: Path, settings: list[str], sentence: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        run(tmp_path, *settings)
    assert sentence in str(refusal.value)
