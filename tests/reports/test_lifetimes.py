"""Node-seconds of nodes that come and go, worked by hand. The window is 100 to 200 s, two replications."""

from typing import Any

import numpy as np
import pytest

from reports.columns import Columns
from reports.levels import Grid
from reports.lifetimes import nodes_over_time, paid_nodes, scaling_json, sentences
from reports.metrics import Window

S = 10**12
WINDOW = Window.of(100.0, 200.0)
NODES = Columns(
    {"replication": np.array([0, 0, 1, 1]), "model": np.zeros(4, np.int64), "node": np.array([0, 1, 0, 1])},
    {"model": ["m"]},
)


def lives(*rows: tuple[int, int, int, int, int]) -> Columns:
    """(replication, ordered, began, drained, ended) in s, -1 for never."""
    replication, *stamps = (np.array(column) for column in zip(*rows, strict=True))
    names = ("ordered_ps", "began_ps", "drained_ps", "ended_ps")
    values: dict[str, Any] = {n: np.where(s < 0, -1, s * S) for n, s in zip(names, stamps, strict=True)}
    values |= {"replication": replication, "model": np.zeros(len(rows), np.int64)}
    return Columns(values, {"model": ["m"]})


LIVES = lives(
    (0, 0, 0, -1, -1),
    (0, 120, 150, 180, 190),
    (0, 130, -1, 140, 140),  # dismissed
    (1, 0, 0, 90, 95),  # over before the window
    (1, 0, 0, -1, -1),
)


def test_a_node_is_paid_for_from_its_order_to_its_end() -> None:
    paid = paid_nodes(NODES, LIVES, WINDOW, [0, 1])["m"]
    assert isinstance(paid, np.ndarray)
    assert paid.tolist() == pytest.approx([1 + 0.7 + 0.1, 1.0])
    assert paid_nodes(NODES, None, WINDOW, [0, 1]) == {"m": 2}


def test_over_time_those_that_take_requests_are_fewer() -> None:
    grid = Grid.of(200 * S, [0, 1])
    there = nodes_over_time(LIVES, "m", 2, grid)
    edges_s = grid.edges_ps / S

    def at(name: str, second: float) -> list[float]:
        bin_of = int(np.searchsorted(edges_s, second, side="right")) - 1
        found: list[float] = there[name][:, bin_of].tolist()
        return found

    assert at("nodes_paid", 135) == pytest.approx([3, 1])
    assert at("nodes_taking", 135) == pytest.approx([1, 1])
    assert at("nodes_taking", 165) == pytest.approx([2, 1])
    assert at("nodes_paid", 185) == pytest.approx([2, 1])
    assert at("nodes_taking", 185) == pytest.approx([1, 1])
    assert nodes_over_time(None, "m", 2, grid)["nodes_paid"].tolist() == np.full(grid.shape, 2.0).tolist()


def test_the_delays_are_named() -> None:
    (row,) = scaling_json(LIVES, WINDOW, [0, 1])
    assert (row["ordered"], row["dismissed"], row["drained"]) == (1.0, 0.5, 1.0)
    assert (row["start_up_s"], row["drain_s"]) == (30.0, 7.5)
    assert row["node_s"] == pytest.approx(140)
    (said,) = sentences([row])
    assert said == (
        "1.4 nodes of m were paid for in the mean; 1 were ordered, and those that were kept took requests "
        "30.0 s later; 0.5 were dismissed while they started; 1 went, empty 7.50 s later."
    )
