"""Tables of steps: what is accepted has an end, and keeps its bound."""

from itertools import count, repeat
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator

from traffic.agents import END, STEPS, AgentStep, flaws
from traffic.durations import FixedDuration
from traffic.walks import CUT, Planned, SandboxTimes, Walks

NAMES = ("a", "b", "c", "d")
TIMES = SandboxTimes(FixedDuration(s=0.04), FixedDuration(s=0.01), FixedDuration(s=0.003))


def table(told: dict[str, dict[str, Any]]) -> dict[str, AgentStep]:
    return {name: STEPS[one["kind"]].model_validate(one) for name, one in told.items()}


def fresh(seed: int) -> Any:
    numbers = count(seed * 1000)

    def stream(_purpose: str) -> Generator:
        return np.random.default_rng(next(numbers))

    return stream


def everything(walk: list[Planned]) -> list[Planned]:
    return [one for step in walk for one in (step, *everything_in(step.branches))]


def everything_in(branches: list[list[Planned]]) -> list[Planned]:
    return [one for branch in branches for one in everything(branch)]


then = st.one_of(
    st.sampled_from([*NAMES, END]),
    st.tuples(st.sampled_from(NAMES), st.sampled_from([0.25, 0.75])).map(
        lambda pair: {pair[0]: pair[1], END: 1 - pair[1]}
    ),
)
steps = st.one_of(
    st.builds(lambda then: {"kind": "ask", "then": then}, then),
    st.builds(
        lambda start, copies, then: {"kind": "fan_out", "branches": {start: copies}, "then": then},
        st.sampled_from(NAMES),
        st.integers(1, 3),
        then,
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(NAMES, steps)), st.none() | st.integers(1, 30), st.integers(0, 1000)
)
def test_what_is_accepted_ends_within_its_bound(
    told: dict[str, dict[str, Any]], most_steps: int | None, seed: int
) -> None:
    agent = table(told)
    problems = list(flaws(agent, "a", most_steps))
    # That a step is not reached is wrong, and harmless.
    if any(not problem.sentence.startswith("nothing leads to") for problem in problems):
        return
    walks = Walks(agent, "a", most_steps or 1000, TIMES, repeat(7), fresh(seed))
    for _ in range(10):
        walk = everything(walks.draw())
        assert 1 <= len(walk) <= (most_steps or 1000)
        if most_steps is None:
            assert CUT not in {step.next for step in walk}
        for step in walk:
            assert step.next in {*agent[step.name].shares, CUT}


@pytest.mark.parametrize(
    ("told", "most_steps", "sentence"),
    [
        ({"a": {"kind": "ask", "then": "a"}}, 9, "no end"),
        ({"a": {"kind": "ask", "then": {"a": 0.5, "end": 0.5}}}, None, "state `most_steps`"),
        (
            {
                "a": {"kind": "fan_out", "branches": {"b": 2}},
                "b": {"kind": "fan_out", "branches": {"a": 1}},
            },
            9,
            "fans out into itself",
        ),
    ],
)
def test_an_agent_without_an_end_is_refused(
    told: dict[str, Any], most_steps: int | None, sentence: str
) -> None:
    assert any(sentence in flaw.sentence for flaw in flaws(table(told), "a", most_steps))


def test_the_bound_counts_the_steps_of_all_branches() -> None:
    told: dict[str, dict[str, Any]] = {
        "a": {"kind": "fan_out", "branches": {"b": 2}, "then": "c"},
        "b": {"kind": "ask", "then": "d"},
        "c": {"kind": "ask"},
        "d": {"kind": "ask"},
    }
    agent = table(told)
    walks = {most: Walks(agent, "a", most, TIMES, repeat(7), fresh(1)).draw() for most in (1, 2, 4, 5, 6)}
    names = {most: [step.name for step in everything(walk)] for most, walk in walks.items()}
    assert names == {
        1: ["a"],
        2: ["a", "b"],
        4: ["a", "b", "d", "b"],
        5: ["a", "b", "d", "b", "d"],
        6: ["a", "b", "d", "b", "d", "c"],
    }


def test_a_sandbox_is_made_once_in_each_branch() -> None:
    program = {"kind": "sandbox", "run": {"kind": "fixed", "s": 0.1}}
    told = {
        "a": {**program, "then": "b"},
        "b": {"kind": "fan_out", "branches": {"c": 1}, "then": "d"},
        "c": {**program},
        "d": {**program, "interpreter": "fork"},
    }
    walk = Walks(table(told), "a", 9, TIMES, repeat(7), fresh(1)).draw()
    times_ms = {step.name: step.time_ps // 10**9 for step in everything(walk)}
    assert times_ms == {"a": 150, "b": 0, "c": 150, "d": 103}
