"""Prompts divided over steps: by hand, as a law, and how often all sizes are divided."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.arrays import Floats
from sim.bounds import ladders_of, node_bounds
from sim.bounds.chunks import Chunks
from sim.scenario.load import load

SCENARIOS = Path(__file__).parents[3] / "scenarios"


def test_a_prompt_takes_as_many_steps_as_its_tokens_fill() -> None:
    chunks = Chunks(np.array([0.0, 100.0, 250.0]), np.array([0.2, 0.3, 0.5]))
    assert chunks.mean(100.0) == pytest.approx(0.3 * 1 + 0.5 * 3)
    assert chunks.mean(125.0) == pytest.approx(0.3 * 1 + 0.5 * 2)
    assert chunks.mean(99.0) == pytest.approx(0.3 * 2 + 0.5 * 3)
    assert chunks.mean(1e9) == pytest.approx(0.8)
    assert Chunks(np.zeros(3), np.full(3, 1 / 3)).mean(5.0) == 0.0


SIZES = st.lists(st.integers(0, 40).map(float) | st.floats(0.0, 40.0), min_size=1, max_size=12)
ROOMS = st.lists(st.integers(1, 45).map(float) | st.floats(1.0, 45.0), min_size=1, max_size=30)


@given(sizes=SIZES, rooms=ROOMS)
def test_answers_are_those_of_dividing_anew_whatever_was_asked_before(
    sizes: list[float], rooms: list[float]
) -> None:
    each, shares = np.array(sizes), np.linspace(0.1, 1.0, len(sizes))
    chunks = Chunks(each, shares)
    for room in rooms:
        assert chunks.mean(room) == float((shares * np.ceil(each / room)).sum())
    assert chunks.divisions <= len(set(rooms))


def test_who_closes_in_on_a_room_soon_divides_nothing_anew() -> None:
    sizes = np.arange(1.0, 4097.0)
    chunks = Chunks(sizes, np.full(len(sizes), 1 / len(sizes)))
    low, high = 0.0, 20.0
    for _ in range(50):
        starts = (low + high) / 2
        taken = starts * (100 + chunks.mean(2048 - 100 * starts))
        low, high = (low, starts) if taken > 1000 else (starts, high)
    assert chunks.divisions <= 20
    assert chunks.mean(5000.0) == chunks.mean(1e6) == 1.0  # prompts of one piece, all with one division
    assert chunks.divisions <= 21


def test_a_ladder_closes_in_on_each_room_once_and_divides_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    made, filled = list[Chunks](), list[float]()

    class Counted(Chunks):
        def __init__(self, *args: Floats) -> None:
            super().__init__(*args)
            made.append(self)

    filling = node_bounds.NodeBounds._filling

    def counted(self: node_bounds.NodeBounds, *args: object) -> node_bounds.NodeLoad:
        filled.append(self.slots)
        return filling(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(node_bounds, "Chunks", Counted)
    monkeypatch.setattr(node_bounds.NodeBounds, "_filling", counted)
    first = next(iter(load(SCENARIOS / "edge-vs-cloud.yaml").variants.values()))
    assert list(ladders_of(first)) == ["llama"]
    # Slots eight times, until they agree with the overhead, and the KV pool.
    assert len(filled) == 9
    assert len(made) == 1
    assert made[0].divisions <= 5
