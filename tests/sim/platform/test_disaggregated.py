"""Prefill here, decode there: when each part happens, and that everything comes back.

A lone prompt of 5 tokens takes 15 ms (10 ms for a step, 1 ms a token), each step with one decode 10 ms. The
first step on a decode node computes the one token that is not in its cache yet: 11 ms. A prompt token takes
1 ms on its way, and each transfer 2 ms more.
"""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.step_time import AffineStepTime
from sim.node.kernel import BatchLimits
from sim.node.node import Node
from sim.node.prefills import PREFILLS
from sim.node.waiting_queue import FirstComeFirstServed
from sim.platform.disaggregated import DisaggregatedPool
from sim.platform.pool import Pool
from sim.platform.routing import ROUTING
from sim.platform.ticket import Ticket
from sim.time.streams import stream
from tests.support.bench import MS, Bench, Diary, make_bench

LAW = AffineStepTime(dense_ps=(0,) + (10 * MS,) * 8, token_ps=MS)


def split_bench(
    *,
    prefill: int = 1,
    decode: int = 1,
    seqs: int = 4,
    kv_blocks: int = 2000,
    engine: str = "step",
    **more: Any,
) -> tuple[Bench, DisaggregatedPool]:
    bench = make_bench(**more)
    env, platform = bench.env, bench.platform
    limits = BatchLimits(seqs, 1000, 1, kv_blocks)
    first_order = env.boundary_orders(prefill + decode)
    pool = DisaggregatedPool(
        env,
        Pool(ROUTING["round_robin"], stream(1, 0, "routing")),
        platform,
        FirstComeFirstServed(),
        places=seqs,
        kv_tokens=kv_blocks,
        transfer_ps=lambda tokens: (2 + tokens) * MS,
    )

    def make(index: int) -> Node[Ticket]:
        kernel = PREFILLS["chunked"][engine](limits, LAW, keep_schedule=True)
        prefills = index < prefill
        listener = pool.prefills if prefills else platform
        return Node(env, index, kernel, listener, order=first_order + index, hands_over=prefills)

    pool.open(prefill, make, decode, make)
    platform.pools["m"] = pool
    return bench, pool


def stages(pool: DisaggregatedPool) -> list[tuple[Any, ...]]:
    """(request, stage, node, began, ended) in ms."""
    columns = pool.stages.arrays("number")
    names = pool.stages.labels.vocabulary()["stage"]
    rows = zip(*(columns[name] for name in ("number", "stage", "node", "began_ps", "ended_ps")), strict=True)
    return [(int(n), names[s], int(node), int(b) / MS, int(e) / MS) for n, s, node, b, e in rows]


def assert_all_came_back(bench: Bench, pool: DisaggregatedPool, blocks: int) -> None:
    assert bench.platform.inside == {}
    for node in pool.nodes:
        kernel = node.kernel
        assert (kernel.free_blocks, kernel.running, kernel.waiting) == (blocks, 0, 0)
        assert (node.outstanding, node.due_ps) == (0, None)
    assert pool._started_ps == {}
    for index in pool._decode.made:
        assert pool._kv[index] == 0
        assert pool._places.has_room(index, 4)


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_a_request_is_prefilled_carried_over_and_decoded(engine: str) -> None:
    b, pool = split_bench(engine=engine)
    diary = Diary()
    b.submit_at(0, b.request(), diary)
    b.env.run()
    assert stages(pool) == [
        (1, "prefill", 0, 0, 15),
        (1, "handover", 0, 15, 15),
        (1, "transfer", 1, 15, 22),
        (1, "decode", 1, 22, 43),
    ]
    assert diary.heard[-2:] == [("first", 15 * MS), ("ended", 43 * MS, "stop")]
    (row,) = b.rows()
    assert (row["node"], row["output_tokens"]) == (1, 3)
    assert [row[name] / MS for name in ("started_ps", "first_ps", "last_ps")] == [0, 15, 43]
    assert_all_came_back(b, pool, 2000)


def test_an_answer_of_one_token_never_leaves_the_prefill_node() -> None:
    b, pool = split_bench()
    b.submit_at(0, b.request(output=1), Diary())
    b.env.run()
    assert stages(pool) == [(1, "prefill", 0, 0, 15)]
    assert b.rows()[0]["node"] == 0
    assert_all_came_back(b, pool, 2000)


def test_a_prefill_node_sends_one_after_the_other() -> None:
    b, pool = split_bench()
    b.submit_at(0, b.request(prompt=5), Diary())
    b.submit_at(0, b.request(prompt=3), Diary())
    b.env.run()
    sent = [row for row in stages(pool) if row[1] == "transfer"]
    assert sent == [(1, "transfer", 1, 18, 25), (2, "transfer", 1, 25, 30)]  # both prefilled after 18 ms


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_where_decode_nodes_are_full_prefill_nodes_fill_up(engine: str) -> None:
    # Decode has one place, which the first has until 22 + 11 + 10 = 43 ms. On the prefill node it keeps 5 of
    # 12 blocks until it is over there, at 22, so the second, which wants 8, starts then. It keeps them until
    # 53, sent at 43, and until then the third, which wants 8 as well, cannot start.
    b, pool = split_bench(seqs=1, kv_blocks=12, engine=engine)
    for prompt in (5, 8, 8):
        b.submit_at(0, b.request(prompt=prompt), Diary())
    b.env.run()
    assert stages(pool)[:8] == [
        (1, "prefill", 0, 0, 15),
        (1, "handover", 0, 15, 15),
        (1, "transfer", 1, 15, 22),
        (1, "decode", 1, 22, 43),
        (2, "prefill", 0, 22, 40),
        (2, "handover", 0, 40, 43),
        (2, "transfer", 1, 43, 53),
        (2, "decode", 1, 53, 74),
    ]
    assert stages(pool)[8] == (3, "prefill", 0, 53, 71)
    assert_all_came_back(b, pool, 12)


@pytest.mark.parametrize("engine", ["step", "fast"])
@pytest.mark.parametrize("leave_ms", [0, 7, 15, 16, 20, 22, 25, 33, 40])
def test_whoever_leaves_at_whatever_stage_leaves_nothing_behind(engine: str, leave_ms: int) -> None:
    b, pool = split_bench(engine=engine, seqs=1)
    diary = Diary()
    tickets = b.submit_at(0, b.request(), diary)
    other = Diary()
    b.submit_at(1, b.request(), other)
    b.at(leave_ms, lambda: tickets[0].cancel())
    b.at(leave_ms, lambda: tickets[0].cancel())
    b.env.run()
    assert [row["outcome"] for row in b.rows()] == ["cancelled", "completed"]
    assert diary.words().count("ended") == 1
    assert b.rows()[0]["ended_ps"] == leave_ms * MS
    assert_all_came_back(b, pool, 2000)


def test_a_prompt_waits_for_kv_memory_where_places_are_free() -> None:
    # 12 blocks hold one prompt of 8 tokens and its answer, and not a second one beside it: that is sent when
    # the first has left, at 18 + 10 + 11 + 10 = 49 ms.
    b, pool = split_bench(seqs=2, kv_blocks=12, prefill=2)
    for _ in range(2):
        b.submit_at(0, b.request(prompt=8), Diary())
    b.env.run()
    assert [row for row in stages(pool) if row[0] == 2][:3] == [
        (2, "prefill", 1, 0, 18),
        (2, "handover", 1, 18, 49),
        (2, "transfer", 2, 49, 59),
    ]
    assert_all_came_back(b, pool, 12)


asks = st.tuples(
    st.integers(0, 60),
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(1, 2),
    st.none() | st.integers(0, 120),
    st.none() | st.integers(1, 120),
)


def _leave(tickets: list[Ticket]) -> None:
    tickets[0].cancel()


def play(shape: dict[str, Any], workload: list[Any], engine: str) -> tuple[Bench, DisaggregatedPool]:
    b, pool = split_bench(**shape, engine=engine)
    for at, prompt, output, samples, leaves, deadline in workload:
        deadline_ps = None if deadline is None else (at + deadline) * MS
        request = b.request(prompt=prompt, output=output, samples=samples, deadline_ps=deadline_ps)
        tickets = b.submit_at(at, request, Diary())
        if leaves is not None:
            b.at(at + leaves, partial(_leave, tickets))
    b.env.run()
    return b, pool


@settings(max_examples=120, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "prefill": st.integers(1, 2),
            "decode": st.integers(1, 2),
            "seqs": st.integers(1, 3),
            "kv_blocks": st.integers(36, 60),
            "way_ms": st.sampled_from([0, 3]),
        }
    ),
    st.lists(asks, min_size=1, max_size=10),
)
def test_every_request_ends_once_everything_comes_back_and_both_engines_agree(
    shape: dict[str, Any], workload: list[Any]
) -> None:
    found = []
    for engine in ("step", "fast"):
        b, pool = play(shape, workload, engine)
        assert_all_came_back(b, pool, shape["kv_blocks"])
        rows = b.rows()
        assert len(rows) == len(workload)
        for row in rows:
            if row["outcome"] == "completed":
                assert row["output_tokens"] == row["samples"] * workload[row["number"] - 1][2]
        for number in {row["number"] for row in rows}:
            mine = [row for row in stages(pool) if row[0] == number]
            assert all(before[4] <= after[3] for before, after in pairwise(mine)), mine
        found.append((rows, stages(pool)))
    assert found[0] == found[1]
