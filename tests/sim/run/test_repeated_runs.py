"""The suite runs some of its simulations twice: here, that it would notice a difference."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.network import Link
from sim.run.replications import Task, simulate
from sim.scenario.load import load
from tests.support.repeated import ONE_IN, is_repeated

EDGE = Path(__file__).parents[3] / "scenarios" / "edge-vs-cloud.yaml"


def tasks() -> Iterator[Task]:
    plan = load(EDGE, ["run.horizon_s=2", "run.warm_up_s=0"])
    name, scenario = next(iter(plan.variants.items()))
    return (Task(name, scenario, seed, 0, "fast") for seed in itertools.count())


@pytest.fixture
def task() -> Task:
    return next(task for task in tasks() if is_repeated(task))


def test_about_one_in_twenty_is_repeated_and_always_the_same_ones() -> None:
    chosen = [is_repeated(task) for task in itertools.islice(tasks(), 400)]
    assert 5 <= sum(chosen) <= 40, ONE_IN  # of 20 expected: 4 standard deviations
    assert chosen == [is_repeated(task) for task in itertools.islice(tasks(), 400)]


def test_a_stamp_that_depends_on_what_ran_before_is_noticed(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = itertools.count()
    honest = Link.send

    def send(link: Link, now_ps: int, prompt_tokens: int, user: int) -> object:
        departure = honest(link, now_ps, prompt_tokens, user)
        return replace(departure, arrived_ps=departure.arrived_ps + next(requests))

    monkeypatch.setattr(Link, "send", send)
    with pytest.raises(AssertionError, match="a second run wrote other tables"):
        simulate(task)


def test_a_draw_that_nobody_sees_is_noticed(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the streams that tell a source's users apart, of which this scenario has one: no table has it."""
    links = itertools.count()
    honest = Link._pools

    def pools(link: Link, rng: np.random.Generator) -> object:
        rng.random(next(links))
        return honest(link, rng)

    monkeypatch.setattr(Link, "_pools", pools)
    with pytest.raises(AssertionError, match="random streams stand elsewhere"):
        simulate(task)
