"""Nodes that come and go, by hand. A request holds a node for 10 ms: a prompt of 8 tokens, and 2 more."""

from typing import Any

import pytest
from pydantic import ValidationError

from sim.faults.scaling import Fleet, QueueScaling, ScheduleScaling, UtilisationScaling
from sim.run.world import World
from sim.scenario.schema import Scenario

MS = 10**9
S = 10**12
LENGTHS = {"prompt": 8, "output": 3}


def world(scaling: dict[str, Any], engine: str = "fast", *, every_ms: float = 100, **sections: Any) -> World:
    chip = {"kind": "hardwired_asic", "decode_step_ms": 1, "prefill_ms_per_token": 1, "kv_pool_tokens": 4000}
    spec = {
        "name": "scaled",
        "models": {
            "m": {
                "id": "m",
                "llm": "llama3.1-8b",
                "hardware": chip,
                "context_tokens": 2000,
                "nodes": 1,
                "scaling": {"max_nodes": 3, "start_up_s": 0.5, "every_s": 0.1, **scaling},
            }
        },
        "network": {"tls": "none", "places": {"here": {"kind": "custom", "rtt_ms": 0}}},
        "traffic": {
            "s": {
                "place": "here",
                "model": "m",
                "arrivals": {"kind": "constant", "rate_per_s": 1000 / every_ms},
                "lengths": {
                    "prompt": {"kind": "fixed", "tokens": 8},
                    "output": {"kind": "fixed", "tokens": 3},
                },
            }
        },
        "run": {"horizon_s": 4, "replications": 1},
        **sections,
    }
    made = World(Scenario.model_validate(spec), 1, 0, engine=engine)
    made.run_to(8 * S)
    return made


def lives(made: World) -> list[tuple[Any, ...]]:
    """(node, ordered, began, drained, ended), in ms, -1 for never."""
    table = made.tables("base").lifetimes
    assert table is not None
    names = ("ordered_ps", "began_ps", "drained_ps", "ended_ps")
    stamps = zip(
        *([-1 if at is None else at // MS for at in table[n].to_pylist()] for n in names), strict=True
    )
    return [(node, *row) for node, row in zip(table["node"].to_pylist(), stamps, strict=True)]


def test_a_schedule_orders_nodes_that_take_requests_a_start_up_later_and_drains_the_last() -> None:
    steps = [{"at_s": 1.0, "nodes": 3}, {"at_s": 2.0, "nodes": 2}]
    assert lives(world({"kind": "schedule", "steps": steps})) == [
        (0, 0, 0, -1, -1),
        (1, 1000, 1500, -1, -1),
        (2, 1000, 1500, 2000, 2100),  # it was busy or not: it ends at the next look
    ]


def test_a_node_that_is_still_starting_is_dismissed_first() -> None:
    steps = [{"at_s": 1.0, "nodes": 2}, {"at_s": 1.3, "nodes": 1}, {"at_s": 2.0, "nodes": 2}]
    assert lives(world({"kind": "schedule", "steps": steps})) == [
        (0, 0, 0, -1, -1),
        (1, 1000, -1, 1300, 1300),
        (1, 2000, 2500, -1, -1),
    ]


def test_requests_that_wait_bring_nodes_and_calm_lets_them_go() -> None:
    # 125 requests in a second against the 100 that one node serves: more than four wait at 300 ms. The second
    # node works off what has come together, and nobody waits when the policy may act again. Where it goes at
    # once, all of it comes again: how many wait does not tell whether a node can be spared.
    made = world({"kind": "queue", "out_above": 4, "cool_down_s": 1.0}, every_ms=8)
    assert lives(made) == [
        (0, 0, 0, -1, -1),
        (1, 300, 800, 1300, 1400),
        (1, 2300, 2800, 3300, 3400),
    ]
    assert {row["outcome"] for row in made.tables("base").requests.to_pylist()} == {"completed"}


def test_a_dead_node_is_replaced_and_too_many_go_when_it_is_back() -> None:
    crash = {
        "kind": "node_crash",
        "model": "m",
        "nodes": [0],
        "requests": "requeue",
        "at_s": 1.05,
        "for_s": 1.0,
    }
    scaling = {"kind": "utilisation", "out_above": 0.99, "in_below": 0.0, "cool_down_s": 5.0, "max_nodes": 1}
    made = world(scaling, faults={"dead": crash})
    # It is back at 2,050 ms; one too many may go when the policy has cooled down.
    assert lives(made) == [(0, 0, 0, -1, -1), (1, 1100, 1600, 6100, 6200)]
    assert {row["outcome"] for row in made.tables("base").requests.to_pylist()} == {"completed"}


def test_a_number_that_is_given_again_has_an_empty_cache() -> None:
    steps = [{"at_s": 0.1, "nodes": 2}, {"at_s": 1.0, "nodes": 1}, {"at_s": 1.5, "nodes": 2}]
    made = world({"kind": "schedule", "steps": steps})
    assert [life[0] for life in lives(made)] == [0, 1, 1]
    assert all(node.kernel.free_blocks == made.kv_blocks["m"] for node in made.platform.pools["m"].nodes)


FLEET = Fleet(now_s=10, nodes=4, taking=4, waiting=0, running=0, places=10)
BOUNDS = {"max_nodes": 9, "start_up_s": 1}


@pytest.mark.parametrize(("waiting", "wanted"), [(17, 6), (16, 4), (5, 4), (4, 2), (0, 2)])
def test_the_queue_policy_adds_above_one_bound_and_takes_at_the_other(waiting: int, wanted: int) -> None:
    policy = QueueScaling.model_validate({"out_above": 4, "in_below": 1, "step": 2, **BOUNDS})
    assert policy.wanted(FLEET._replace(waiting=waiting)) == wanted


@pytest.mark.parametrize(("running", "wanted"), [(33, 5), (32, 4), (13, 4), (12, 3)])
def test_the_utilisation_policy_goes_by_the_share_of_the_places(running: int, wanted: int) -> None:
    policy = UtilisationScaling.model_validate({"out_above": 0.8, "in_below": 0.3, **BOUNDS})
    assert policy.wanted(FLEET._replace(running=running)) == wanted


@pytest.mark.parametrize(
    ("kind", "slip", "words"),
    [
        (QueueScaling, {"out_above": 1, "in_below": 2}, "above out_above"),
        (UtilisationScaling, {"out_above": 0.5, "in_below": 0.5}, "not below"),
        (ScheduleScaling, {"steps": [{"at_s": 1, "nodes": 1}], "min_nodes": 2}, "not within min_nodes"),
        (ScheduleScaling, {"steps": [{"at_s": 2, "nodes": 1}, {"at_s": 1, "nodes": 2}]}, "in the order"),
        (QueueScaling, {"out_above": 1, "min_nodes": 10}, "above max_nodes"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(kind: Any, slip: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        kind.model_validate({**BOUNDS, **slip})
