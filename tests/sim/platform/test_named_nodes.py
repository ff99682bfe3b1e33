"""Requests that name their node: worked by hand.

A lone request of the bench, 5 tokens in and 3 out, takes 35 ms on its node.
"""

import pytest

from sim.platform.flow_control import BandSettings, FlowSettings
from sim.platform.rate_limit import Refusal
from sim.platform.routing import ROUTING
from tests.support.bench import MS, Bench, Diary, make_bench


def fates(bench: Bench) -> list[tuple[str, int, int]]:
    return [(row["outcome"], row["node"], row["ended_ps"] // MS) for row in bench.rows()]


@pytest.mark.parametrize("routing", sorted(ROUTING))
def test_it_goes_to_that_node_however_the_platform_would_route(routing: str) -> None:
    b = make_bench(nodes=3, seqs=1, routing=routing, weights={0: 1.0} if routing == "weighted" else None)
    for at in range(3):
        b.submit_at(at, b.request(node=2), Diary())
    b.env.run()
    assert fates(b) == [("completed", 2, 35), ("completed", 2, 70), ("completed", 2, 105)]


def test_routers_of_the_platform_see_the_load_that_came_past_them() -> None:
    b = make_bench(nodes=2)
    b.submit_at(0, b.request(node=0), Diary())
    b.submit_at(1, b.request(), Diary())
    b.env.run()
    assert [row["node"] for row in b.rows()] == [0, 1]


def test_it_pays_nothing_at_the_gateway_and_meets_no_limit() -> None:
    """5 ms at the gateway for others, who may ask once a minute."""
    b = make_bench(gateway_ms=5, concurrency=1, limits=(1, 1000))
    diary = Diary()
    b.submit_at(0, b.request(), Diary())
    b.submit_at(0, b.request(), Diary())
    b.submit_at(0, b.request(node=0), diary)
    b.env.run()
    first, refused, named = b.rows()
    assert (first["admitted_ps"], refused["outcome"]) == (5 * MS, "rejected_requests_limit")
    assert (named["admitted_ps"], named["outcome"]) == (0, "completed")
    assert diary.heard[0] == ("admitted", 0, None), "no limit is told, as there is none"


def test_it_neither_waits_in_the_gateways_queue_nor_takes_a_place_there() -> None:
    b = make_bench(seqs=1, flow=FlowSettings(1, 100, BandSettings()))
    b.submit_at(0, b.request(), Diary())
    b.submit_at(1, b.request(node=0), Diary())
    b.submit_at(2, b.request(), Diary())
    b.env.run()
    first, named, last = b.rows()
    assert (first["admitted_ps"], named["admitted_ps"]) == (0, MS)
    assert last["admitted_ps"] == 35 * MS, "when the first ends: the one between is not the gateway's"
    assert named["started_ps"] == 35 * MS, "in the queue of its node"


def test_it_passes_the_pools_own_queue_into_that_of_its_node() -> None:
    b = make_bench(seqs=1, routing="central_queue")
    for at, node in enumerate((None, None, 0)):
        b.submit_at(at, b.request(node=node), Diary())
    b.env.run()
    assert [row["started_ps"] // MS for row in b.rows()] == [0, 70, 35]


def test_its_node_refuses_it_as_any_other() -> None:
    b = make_bench(nodes=2, max_num_queued_reqs=1)
    diary = Diary()
    b.submit_at(0, b.request(node=1), Diary())
    b.submit_at(1, b.request(node=1), diary)
    b.submit_at(2, b.request(), Diary())
    b.env.run()
    assert [(row["outcome"], row["node"]) for row in b.rows()] == [
        ("completed", 1),
        ("rejected_max_num_queued_reqs", 1),
        ("completed", 0),
    ]
    assert diary.words() == ["admitted", "rejected"]


def test_what_is_too_long_is_refused_and_so_is_a_node_that_takes_nothing() -> None:
    b = make_bench(nodes=2, context=100)
    diary = Diary()
    b.submit_at(0, b.request(98, 3, node=0), Diary())
    b.submit_at(0, b.request(node=5), Diary())
    b.at(1, lambda: b.pool.drain(b.pool.node(0)))
    b.submit_at(2, b.request(node=0), diary)
    b.env.run()
    assert [row["outcome"] for row in b.rows()] == [
        "rejected_context",
        "rejected_no_endpoints",
        "rejected_no_endpoints",
    ]
    assert diary.heard == [("rejected", 2 * MS, Refusal("no_endpoints", 0, 0, 1, None))]


def test_its_caller_may_leave_before_it_arrives_and_while_it_waits() -> None:
    b = make_bench(seqs=1, way_ms=10)
    for leaves_ms in (5, 30, None):
        tickets = b.submit_at(0, b.request(node=0), Diary())
        if leaves_ms is not None:
            b.at(leaves_ms, lambda tickets=tickets: tickets[0].cancel())  # type: ignore[misc]
    b.env.run()
    assert [row["outcome"] for row in b.rows()] == ["cancelled", "cancelled", "completed"]
    assert b.pool.node(0).outstanding == 0
