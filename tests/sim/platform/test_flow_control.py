"""Who waits at the gateway, who goes next and who is sent away: worked by hand.

A lone request of the bench, 5 tokens in and 3 out, takes 35 ms on its node; `alone` is one at a time.
"""

from typing import Any

import pytest

from sim.platform.flow_control import FAIRNESS, ORDERS, BandSettings, FlowSettings
from sim.platform.rate_limit import Refusal
from tests.support.bench import MS, Bench, Diary, limiters_of, make_bench

TAKES_MS = 35


def alone(usual: BandSettings | None = None, **changes: Any) -> FlowSettings:
    settings: dict[str, Any] = {"max_concurrency": 1, "max_requests": 100, "usual": usual or BandSettings()}
    return FlowSettings(**settings | changes)


def served(bench: Bench) -> list[int]:
    """Numbers in the order in which they were let pass."""
    passed = [row for row in bench.rows() if row["admitted_ps"] >= 0]
    return [row["number"] for row in sorted(passed, key=lambda row: row["admitted_ps"])]


def fates(bench: Bench) -> list[tuple[str, int]]:
    return [(row["outcome"], row["ended_ps"] // MS) for row in bench.rows()]


def test_whoever_finds_the_nodes_busy_waits_at_the_gateway_and_not_at_a_node() -> None:
    b = make_bench(nodes=2, flow=alone())
    for at in range(4):
        b.submit_at(at, b.request(), Diary())
    b.env.run()
    rows = b.rows()
    assert [row["admitted_ps"] // MS for row in rows] == [0, 1, 35, 36]
    assert [row["node"] for row in rows] == [0, 1, 0, 1]
    assert all(row["started_ps"] == row["admitted_ps"] for row in rows)
    flow = b.platform.gateway.admissions["m"].flow
    assert flow is not None
    assert (flow.inside, flow.waiting, flow._held, flow._bands, flow._priorities) == (0, 0, {}, {}, [])


def test_the_lowest_priority_number_goes_first_whenever_it_came() -> None:
    b = make_bench(flow=alone())
    for at, priority in enumerate((0, 100, 0, -10)):
        b.submit_at(at, b.request(priority=priority), Diary())
    b.env.run()
    assert served(b) == [1, 4, 3, 2]


def test_flows_of_a_band_take_turns_and_a_flood_waits_for_itself() -> None:
    b = make_bench(flow=alone(BandSettings(flow_of=FAIRNESS["round_robin"])))
    owners = [("flood", ""), *[("flood", "")] * 3, ("shop", ""), ("shop", ""), ("other", "shop")]
    for at, (project, fairness_id) in enumerate(owners):
        b.submit_at(at, b.request(project=project, fairness_id=fairness_id), Diary())
    b.env.run()
    # After the first, the flood's second; then the shop's, whose turns the last one takes too.
    assert served(b) == [1, 2, 5, 3, 6, 4, 7]
    strict = make_bench(flow=alone())
    for at, (project, fairness_id) in enumerate(owners):
        strict.submit_at(at, strict.request(project=project, fairness_id=fairness_id), Diary())
    strict.env.run()
    assert served(strict) == [1, 2, 3, 4, 5, 6, 7]


def test_in_the_order_edf_whoever_is_given_up_first_goes_first() -> None:
    b = make_bench(flow=alone(BandSettings(rank=ORDERS["edf"], ttl_ps=500 * MS)))
    for at, deadline_ms in enumerate((None, None, 400, 300, 900)):
        deadline_ps = None if deadline_ms is None else deadline_ms * MS
        b.submit_at(at, b.request(deadline_ps=deadline_ps), Diary())
    b.env.run()
    assert served(b) == [1, 4, 3, 2, 5]  # the last may wait until 504 ms, whatever its caller would


def test_in_the_order_slo_deadline_whose_first_token_is_due_first_goes_first() -> None:
    b = make_bench(way_ms=10, flow=alone(BandSettings(rank=ORDERS["slo_deadline"])))
    for at, objective_ms in enumerate((None, None, 50, 20, 20)):
        objective_ps = None if objective_ms is None else objective_ms * MS
        b.submit_at(at, b.request(ttft_objective_ps=objective_ps), Diary())
    b.env.run()
    assert served(b) == [1, 4, 5, 3, 2]


def test_a_full_queue_refuses_and_so_does_a_full_band() -> None:
    bands = {100: BandSettings(max_requests=1)}
    b = make_bench(limits=(100, 1000), algorithm="sliding_window", flow=alone(max_requests=3, bands=bands))
    diaries = [Diary() for _ in range(6)]
    for at, (priority, diary) in enumerate(zip((0, 100, 100, 0, 0, 0), diaries, strict=True)):
        b.submit_at(at, b.request(priority=priority), diary)
    b.env.run()
    assert [row["outcome"] for row in b.rows()] == [
        "completed",
        "completed",
        "rejected_saturated",
        "completed",
        "completed",
        "rejected_saturated",
    ]
    assert diaries[2].heard == [("rejected", 2 * MS, Refusal("saturated", 1, 1, 1, None))]
    assert diaries[5].heard == [("rejected", 5 * MS, Refusal("saturated", 3, 3, 1, None))]
    limiter = limiters_of(b)["project"]
    assert (limiter.tokens.used(b.env.now), limiter.open) == (4 * 8, 0)


def test_whoever_has_waited_its_time_to_live_is_refused() -> None:
    bands = {5: BandSettings(ttl_ps=1000 * MS)}
    b = make_bench(flow=alone(BandSettings(ttl_ps=20 * MS), bands=bands))
    for at, priority in ((0, 0), (1, 0), (2, 5), (20, 0)):
        b.submit_at(at, b.request(priority=priority), Diary())
    b.env.run()
    ended = TAKES_MS
    assert fates(b) == [
        ("completed", ended),
        ("rejected_ttl_expired", 21),
        ("completed", 3 * ended),
        ("completed", 2 * ended),
    ]


def test_without_a_node_nobody_waits() -> None:
    b = make_bench(flow=alone(BandSettings(ttl_ps=50 * MS)))
    pool = b.pool
    b.submit_at(0, b.request(), Diary())
    b.submit_at(1, b.request(), Diary())
    b.at(2, lambda: pool.drain(pool.nodes[0]))
    b.submit_at(3, b.request(), Diary())
    b.env.run()
    assert fates(b) == [("completed", 35), ("rejected_no_endpoints", 51), ("rejected_no_endpoints", 3)]


def test_whoever_leaves_while_it_waits_makes_room_for_the_next() -> None:
    b = make_bench(limits=(100, 1000), flow=alone(max_requests=1))
    b.submit_at(0, b.request(), Diary())
    tickets = b.submit_at(1, b.request(), Diary())
    b.at(10, lambda: tickets[0].cancel())
    b.submit_at(11, b.request(deadline_ps=30 * MS), Diary())
    b.submit_at(31, b.request(), Diary())
    b.env.run()
    assert fates(b) == [("completed", 35), ("cancelled", 10), ("timeout", 30), ("completed", 70)]
    assert limiters_of(b)["project"].open == 0


def test_a_place_that_a_node_refused_is_free_again() -> None:
    b = make_bench(flow=alone(), max_num_queued_tokens=0)
    for at in range(3):
        b.submit_at(at, b.request(), Diary())
    b.env.run()
    flow = b.platform.gateway.admissions["m"].flow
    assert flow is not None
    assert flow.inside == 0
    assert {outcome for outcome, _ in fates(b)} == {"rejected_max_num_queued_tokens"}


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_who_goes_next_meets_every_node_in_its_next_step(engine: str) -> None:
    # In turns. Node 1 has the second request, whose prompt ends at 20 ms; a step ends there every 10 ms then.
    # The third ends on node 0 at 70 ms, and the fourth goes to node 1, where a step ends at that instant too.
    b = make_bench(nodes=2, routing="round_robin", flow=alone(), engine=engine)
    b.submit_at(0, b.request(), Diary())
    b.submit_at(0, b.request(prompt=10, output=20), Diary())
    for at in (1, 2):
        b.submit_at(at, b.request(), Diary())
    b.env.run()
    rows = b.rows()
    assert (rows[2]["ended_ps"], rows[3]["admitted_ps"], rows[3]["node"]) == (70 * MS, 70 * MS, 1)
    assert rows[3]["started_ps"] == 80 * MS


def test_whoever_leaves_while_it_waits_for_a_node_behind_the_gateway_makes_room_too() -> None:
    b = make_bench(seqs=1, routing="central_queue", flow=alone(max_concurrency=2))
    b.submit_at(0, b.request(), Diary())
    tickets = b.submit_at(1, b.request(), Diary())
    b.submit_at(2, b.request(), Diary())
    b.at(10, lambda: tickets[0].cancel())
    b.env.run()
    assert b.rows()[2]["admitted_ps"] == 10 * MS
    flow = b.platform.gateway.admissions["m"].flow
    assert flow is not None
    assert (flow.inside, flow.waiting) == (0, 0)


def test_a_queue_that_most_have_left_keeps_nothing_of_them() -> None:
    b = make_bench(flow=alone(max_requests=10_000))
    b.submit_at(0, b.request(output=50), Diary())
    waiting = [b.submit_at(1, b.request(), Diary()) for _ in range(500)]
    for tickets in waiting[:499]:
        b.at(2, lambda tickets=tickets: tickets[0].cancel())  # type: ignore[misc]
    b.env.run_before(3 * MS)
    flow = b.platform.gateway.admissions["m"].flow
    assert flow is not None
    assert (flow.waiting, len(flow._held)) == (1, 1)
    (band,) = flow._bands.values()
    assert len(band.flows[""]._heap) <= 3


def test_a_gateway_where_nobody_has_to_wait_costs_no_event() -> None:
    def events(flow: FlowSettings | None) -> int:
        b = make_bench(flow=flow)
        for at in range(20):
            b.submit_at(20 * at, b.request(), Diary())
        b.env.run()
        return b.env.queued

    assert events(alone(max_concurrency=20)) == events(None)
