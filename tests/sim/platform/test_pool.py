"""Nodes that come and go, and what routing makes of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.platform.members import Members
from sim.platform.routing import ROUTING
from sim.time.streams import stream
from tests.support.bench import MS, Diary, limiters_of, make_bench


class FakeNode:
    def __init__(self, index: int) -> None:
        self.index = index
        self.outstanding = 0


class FakeTicket:
    def __init__(self, node: FakeNode) -> None:
        self.node = node


@given(
    st.lists(
        st.tuples(st.sampled_from(["join", "leave", "more", "less", "ask"]), st.integers(0, 7)), max_size=120
    )
)
def test_the_least_loaded_is_the_first_of_the_least_loaded_whatever_happened(moves: list[Any]) -> None:
    nodes: list[Any] = [FakeNode(index) for index in range(8)]
    members, inside = Members(), set[int]()
    choose = ROUTING["least_outstanding"](members, stream(1, 0, "x"))
    for move, index in moves:
        node = nodes[index]
        if move == "join" and index not in inside:
            members.add(node)
            inside.add(index)
        elif move == "leave" and index in inside:
            members.remove(node)
            inside.discard(index)
        elif (move == "more" and index in inside) or (move == "less" and node.outstanding):
            node.outstanding += 1 if move == "more" else -1
            ticket: Any = FakeTicket(node)
            for load in members.loads:
                (load.entered if move == "more" else load.left)(ticket)
        assert len(members) == len(inside)
        if inside and move != "less":  # else several may have left since somebody asked
            least = min((nodes[i].outstanding, i) for i in inside)
            assert choose(None).index == least[1]  # type: ignore[arg-type,union-attr]
            assert [members[i].index for i in range(len(members))] == sorted(inside)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=40))
def test_round_robin_goes_on_behind_the_latest_however_membership_changes(moves: list[Any]) -> None:
    members, inside, latest = Members(), set[int](), -1
    choose = ROUTING["round_robin"](members, stream(1, 0, "x"))
    nodes: list[Any] = [FakeNode(index) for index in range(6)]
    for come, index in moves:
        if come and index not in inside:
            members.add(nodes[index])
            inside.add(index)
        elif not come and index in inside:
            members.remove(nodes[index])
            inside.discard(index)
        if inside:
            latest = min((i for i in inside if i > latest), default=min(inside))
            assert choose(None).index == latest  # type: ignore[arg-type,union-attr]


@pytest.mark.parametrize("routing", ROUTING)
def test_a_node_that_drains_finishes_what_it_has_and_gets_nothing_new(routing: str) -> None:
    b = make_bench(nodes=2, routing=routing)
    pool = b.pool
    first, second = Diary(), Diary()
    b.submit_at(0, b.request(), first)
    b.at(1, lambda: pool.drain(next(node for node in pool.nodes if node.outstanding)))
    b.submit_at(2, b.request(), second)
    b.submit_at(3, b.request(), Diary())
    b.env.run()
    used = [row["node"] for row in b.rows()]
    assert used[1] == used[2] == 1 - used[0]
    assert first.words()[-1] == second.words()[-1] == "ended"


def test_requests_wait_for_a_node_where_none_takes_any() -> None:
    """Prompt 5 ms and 10 ms, two more tokens 20 ms: a lone request takes 35 ms from when it enters."""
    b = make_bench(nodes=1)
    pool = b.pool
    (node,) = pool.nodes
    pool.drain(node)
    waiting, gone = Diary(), Diary()
    b.submit_at(0, b.request(), waiting)
    tickets = b.submit_at(1, b.request(), gone)
    b.at(2, lambda: tickets[0].cancel())
    b.at(50, lambda: pool.join(node))
    b.env.run()
    assert waiting.heard[-1] == ("ended", 85 * MS, "stop")
    assert gone.heard[-1] == ("ended", 2 * MS, "cancelled")
    assert [row["node"] for row in b.rows()] == [0, -1]


def test_who_leaves_while_no_node_takes_him_pays_for_his_prompt_alone() -> None:
    b = make_bench(nodes=1, limits=(100, 100))
    pool = b.pool
    pool.drain(pool.nodes[0])
    tickets = b.submit_at(0, b.request(prompt=5), Diary())
    b.at(1, lambda: tickets[0].cancel())
    b.env.run()
    (limiter,) = limiters_of(b).values()
    assert limiter.tokens.used(1 * MS) == 5  # of a reservation of 5 + 10


def test_a_node_is_made_when_it_gets_its_first_request() -> None:
    members, made = Members(), list[int]()

    def make(index: int) -> Any:
        made.append(index)
        return FakeNode(index)

    choose = ROUTING["round_robin"](members, stream(1, 0, "x"))
    members.open(10_000, make)
    assert (members.ever, made) == (10_000, [])
    assert [choose(None).index for _ in range(3)] == [0, 1, 2]  # type: ignore[arg-type,union-attr]
    assert made == [0, 1, 2]
    assert choose(None) is members.node(3)  # type: ignore[arg-type]
    assert made == [0, 1, 2, 3]
