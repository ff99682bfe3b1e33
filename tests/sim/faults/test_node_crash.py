"""Timelines worked out by hand: a prompt of 5 tokens takes 15 ms, each further token 10 ms."""

import pytest

from hwmodels.step_time import AffineStepTime
from sim.faults.ground import Ground
from sim.network import Network
from sim.node.node import Moving
from sim.platform.flow_control import BandSettings, FlowSettings
from sim.scenario.schema import NetworkSection
from sim.time.streams import stream
from tests.support.bench import MS, Bench, Diary, make_bench

LAW = AffineStepTime(dense_ps=(0,) + (10 * MS,) * 4, token_ps=MS)


def ground(bench: Bench) -> Ground:
    nowhere = Network(NetworkSection.model_validate({"places": {"here": {"kind": "edge"}}}))
    return Ground(bench.platform, {"m": LAW}, nowhere, [], lambda name: stream(1, 0, name))


def crash_at(bench: Bench, at_ms: float, moving: Moving, node: int = 0) -> None:
    bench.at(at_ms, lambda: ground(bench).crash("m", node, moving))


def stamps(row: dict[str, int], *names: str) -> list[float]:
    return [row[f"{name}_ps"] / MS for name in names]


@pytest.mark.parametrize("engine", ["step", "fast"])
@pytest.mark.parametrize(
    ("moving", "at_ms", "last_ms"),
    [
        ("without_kv", 20, 46),  # prompt and the one token anew: 16 ms, then 10 ms for the last
        ("with_kv", 20, 41),  # only the one token: 11 ms
        ("without_kv", 15, 41),  # the first token of this very instant counts
        ("without_kv", 14, 49),  # it has none: all begins anew
        ("with_kv", 14, 49),  # half a prompt is not saved
    ],
)
def test_a_request_of_a_dead_node_goes_on_elsewhere_from_its_last_token(
    engine: str, moving: Moving, at_ms: float, last_ms: float
) -> None:
    b, diary = make_bench(nodes=2, engine=engine, way_ms=3), Diary()
    b.submit_at(-3, b.request(), diary)
    crash_at(b, at_ms, moving)
    b.env.run()
    (row,) = b.rows()
    first_ms = 15 if at_ms >= 15 else last_ms - 20
    assert (row["outcome"], row["node"], row["output_tokens"]) == ("completed", 1, 3)
    assert stamps(row, "started", "first", "last", "first_seen", "ended") == [
        0,
        first_ms,
        last_ms,
        first_ms + 3,
        last_ms + 3,
    ]
    assert diary.words() == ["admitted", "first", "ended"]
    assert b.pool.node(0).kernel.free_blocks == b.pool.node(1).kernel.free_blocks == 2000


@pytest.mark.parametrize("moving", ["without_kv", "with_kv"])
def test_a_request_that_named_its_node_dies_with_it_and_finds_it_again_after_the_restart(
    moving: Moving,
) -> None:
    """Whoever has chosen a node by himself has to choose another."""
    b = make_bench(nodes=2)
    for at in (0, 30, 60):
        b.submit_at(at, b.request(node=0), Diary())
    b.submit_at(1, b.request(), Diary())  # on node 1
    crash_at(b, 20, moving)
    b.at(50, lambda: ground(b).restart("m", 0))
    b.env.run()
    fates = {row["number"]: (row["outcome"], row["node"], row["ended_ps"] // MS) for row in b.rows()}
    assert fates == {
        1: ("node_lost", 0, 20),
        2: ("rejected_no_endpoints", -1, 30),
        3: ("completed", 0, 95),
        4: ("completed", 1, 36),
    }


@pytest.mark.parametrize(("at_ms", "first"), [(20, ["first"]), (14, [])])
def test_a_request_that_fails_with_its_node_ends_when_its_caller_hears_of_it(
    at_ms: float, first: list[str]
) -> None:
    b, diary = make_bench(nodes=2, way_ms=3, limits=(100, 100)), Diary()
    b.submit_at(-3, b.request(), diary)
    crash_at(b, at_ms, "")
    b.env.run()
    (row,) = b.rows()
    assert (row["outcome"], row["output_tokens"]) == ("node_lost", len(first))
    assert stamps(row, "last", "ended") == [at_ms, at_ms + 3]
    assert diary.words() == ["admitted", *first, "ended"]
    assert diary.heard[-1] == ("ended", (at_ms + 3) * MS, "node_lost")
    # A broken stream leaves no connection to use again, an error does.
    assert len(b.link.released) == 1 - len(first)


def test_who_was_about_to_leave_or_to_end_at_that_instant_does() -> None:
    b, leaves, ends = make_bench(), Diary(), Diary()
    tickets = b.submit_at(0, b.request(output=9), leaves)
    b.submit_at(0, b.request(output=2), ends)
    b.at(30, lambda: tickets[0].cancel())
    crash_at(b, 30, "")  # two prompts take 20 ms, a step 10
    b.env.run()
    assert [row["outcome"] for row in b.rows()] == ["cancelled", "completed"]
    assert (leaves.heard[-1], ends.heard[-1]) == (("ended", 30 * MS, "cancelled"), ("ended", 30 * MS, "stop"))


def test_with_no_other_node_requests_wait_for_the_restart_the_earlier_ones_first() -> None:
    b = make_bench(seqs=1)
    for at in (0, 1, 25):
        b.submit_at(at, b.request(output=2), Diary())
    crash_at(b, 20, "without_kv")
    b.at(50, lambda: ground(b).restart("m", 0))
    b.env.run()
    rows = b.rows()
    assert [row["outcome"] for row in rows] == ["completed"] * 3
    # The first needs 16 ms more for its second token; the others 25 ms each.
    assert [stamps(row, "last")[0] for row in rows] == [66, 91, 116]


def test_fixed_work_in_progress_is_lost_and_done_again_at_the_next_place() -> None:
    b = make_bench(nodes=2, overhead_ms=7, slots=1)
    b.submit_at(0, b.request(), Diary())
    crash_at(b, 5, "without_kv")
    b.env.run()
    (row,) = b.rows()
    assert stamps(row, "started", "last") == [12, 47]


def test_who_leaves_between_a_dead_node_and_the_next_is_gone_at_once() -> None:
    b, diary = make_bench(), Diary()
    tickets = b.submit_at(0, b.request(), diary)
    crash_at(b, 20, "without_kv")
    b.at(30, lambda: tickets[0].cancel())
    b.at(50, lambda: ground(b).restart("m", 0))
    b.env.run()
    (row,) = b.rows()
    assert (row["outcome"], row["output_tokens"], *stamps(row, "last", "ended")) == ("cancelled", 1, 20, 30)
    assert b.pool.node(0).outstanding == 0


def test_a_slow_node_takes_longer_from_its_next_step_on() -> None:
    b = make_bench()
    b.submit_at(0, b.request(output=4), Diary())
    b.at(20, lambda: ground(b).slow("m", 0, 3.0))
    b.at(40, lambda: ground(b).slow("m", 0, 1))
    b.env.run()
    (row,) = b.rows()
    assert stamps(row, "first", "last") == [15, 65]  # 25, then 30 ms, then 10 ms


def test_a_node_that_refuses_more_takes_what_a_dead_one_had_begun() -> None:
    b = make_bench(nodes=2, max_num_queued_reqs=1)
    for _ in range(2):
        b.submit_at(0, b.request(), Diary())
    crash_at(b, 20, "without_kv")
    b.env.run()
    assert [row["outcome"] for row in b.rows()] == ["completed", "completed"]


def test_who_names_a_dead_node_is_refused_and_does_not_move() -> None:
    b, inside, later = make_bench(nodes=2, way_ms=3, limits=(100, 1000)), Diary(), Diary()
    b.submit_at(0, b.request(node=0), inside)
    b.submit_at(30, b.request(node=0), later)
    b.submit_at(30, b.request(node=1), Diary())
    crash_at(b, 20, "without_kv")
    b.at(60, lambda: ground(b).restart("m", 0))
    b.env.run()
    assert [row["outcome"] for row in b.rows()] == ["node_lost", "rejected_no_endpoints", "completed"]
    assert inside.heard[-1] == ("ended", 23 * MS, "node_lost")
    assert later.heard[-1][:2] == ("rejected", 36 * MS)
    assert b.pool.node(0).outstanding == 0


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_who_named_a_dead_node_leaves_no_place_in_the_gateways_queue_that_it_never_took(engine: str) -> None:
    """One at a time for each node that takes any. The third begins anew on node 1 at 25 ms; the fourth waits
    until both are out of the one node that is left.
    """
    b = make_bench(nodes=2, engine=engine, flow=FlowSettings(1, 100, BandSettings()))
    flow = b.platform.gateway.admissions["m"].flow
    assert flow is not None
    for at, node in ((0, 0), (0, None), (1, None), (30, None), (30, 0)):
        b.submit_at(at, b.request(node=node), Diary())
    crash_at(b, 20, "without_kv")
    counts = []
    for at in (19, 21, 31, 61):
        b.at(at, lambda: counts.append((flow.inside, flow.waiting)))
    b.env.run()
    fates = {row["number"]: (row["outcome"], row["node"], row["ended_ps"] // MS) for row in b.rows()}
    assert fates == {
        1: ("node_lost", 0, 20),
        2: ("completed", 1, 40),
        3: ("completed", 1, 60),
        4: ("completed", 1, 95),
        5: ("rejected_no_endpoints", -1, 30),
    }
    assert counts == [(2, 0), (2, 0), (2, 1), (1, 0)]
    assert (flow.inside, flow.waiting) == (0, 0)
    assert b.pool.node(0).outstanding == b.pool.node(1).outstanding == 0
