"""Which node takes a request, under each policy, and what routers know of the load of nodes."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from sim.platform.holders import MOST_HOLDERS, Holders
from sim.platform.loads import KvTokens, Late, Outstanding
from sim.platform.members import AffinityLimit, Members, Signal
from sim.platform.routing import ROUTING
from sim.scenario.check import problems
from sim.scenario.schema import Scenario
from sim.time.streams import stream
from sim.time.timeline import Alarm, Timeline
from tests.laws.test_worlds_agree import IN_STEP
from tests.support.bench import MS, Bench, Diary, make_bench

# A lone request of 5 prompt and 3 output tokens takes 15 ms for its first token and 10 ms for each of the
# others: 35 ms.


def nodes_of(bench: Bench) -> list[int]:
    bench.env.run()
    return [row["node"] for row in bench.rows()]


def test_least_kv_goes_by_tokens_where_least_outstanding_goes_by_requests() -> None:
    def sent(routing: str) -> list[int]:
        b = make_bench(nodes=2, routing=routing)
        for at, prompt in ((0, 90), (1, 5), (2, 5), (3, 5)):
            b.submit_at(at, b.request(prompt=prompt), Diary())
        return nodes_of(b)

    assert sent("least_outstanding") == [0, 1, 0, 1]
    assert sent("least_kv") == [0, 1, 1, 1]


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_least_kv_counts_answers_as_they_grow(engine: str) -> None:
    # First tokens come after 16 and 15 ms, the others every 10 ms: at 25.5 ms there are 6 + 1 tokens on
    # node 0 and 5 + 2 on node 1, at 26 ms 6 + 2.
    b = make_bench(nodes=2, routing="least_kv", engine=engine)
    b.submit_at(0, b.request(prompt=6, output=9), Diary())
    b.submit_at(0, b.request(prompt=5, output=9), Diary())
    tokens: list[tuple[int, int]] = []
    load = b.pool._members.loads[0]
    assert isinstance(load, KvTokens)
    for at in (14.5, 15, 15.5, 25.5, 26, 26.5, 106.5):
        b.at(at, lambda: tokens.append((load[0], load[1])))
    b.submit_at(25.6, b.request(prompt=1, output=1), Diary())
    b.submit_at(27, b.request(prompt=1, output=1), Diary())
    assert nodes_of(b)[2:] == [0, 1]  # the first of equals; then 6 + 2 + 1 against 5 + 2
    assert tokens == [(6, 5), (6, 5), (6, 6), (7, 7), (8, 7), (9, 7), (0, 0)]


def test_two_random_nodes_are_different_and_the_less_loaded_one_is_taken() -> None:
    members = Members()
    choose = ROUTING["power_of_two"](members, stream(1, 0, "x"))
    members.open(3, FakeNode)  # type: ignore[arg-type]
    fakes: list[Any] = [members.node(index) for index in range(3)]
    for fake, outstanding in zip(fakes, (5, 1, 0), strict=True):
        fake.outstanding = outstanding
        for load in members.loads:
            load.entered(SimpleNamespace(node=fake))  # type: ignore[arg-type]
    taken = Counter(choose(None).index for _ in range(3000))  # type: ignore[arg-type,union-attr]
    # Of the three pairs 2 wins two and 1 wins one, so 2 : 1; the busiest never does.
    assert taken[0] == 0
    assert abs(taken[2] - 2000) < 80


class FakeNode:
    def __init__(self, index: int) -> None:
        self.index = index
        self.outstanding = 0

    def output_tokens(self) -> int:
        return 0


def test_weights_are_shares_also_when_members_change() -> None:
    members = Members(weights={0: 3, 2: 0})
    choose = ROUTING["weighted"](members, stream(1, 0, "x"))
    members.open(3, FakeNode)  # type: ignore[arg-type]
    taken = Counter(choose(None).index for _ in range(4000))  # type: ignore[arg-type,union-attr]
    assert taken[2] == 0
    assert abs(taken[0] - 3000) < 90
    members.remove(members.node(0))
    assert {choose(None).index for _ in range(50)} == {1}  # type: ignore[arg-type,union-attr]
    members.remove(members.node(1))
    assert choose(None).index == 2  # type: ignore[arg-type,union-attr]


def test_in_a_central_queue_whoever_is_first_takes_the_first_place() -> None:
    # Two nodes of one place. The third and fourth wait for whoever is through: at 35 ms node 1 (0 has 50 ms).
    b = make_bench(nodes=2, seqs=1, routing="central_queue")
    b.submit_at(0, b.request(prompt=30), Diary())
    diaries = [Diary() for _ in range(3)]
    for diary in diaries:
        b.submit_at(0, b.request(), diary)
    assert nodes_of(b) == [0, 1, 1, 0]
    assert [diary.heard[-1][1] for diary in diaries] == [35 * MS, 70 * MS, 95 * MS]


def test_whoever_leaves_a_central_queue_makes_way() -> None:
    b = make_bench(nodes=1, seqs=2, routing="central_queue", queue="fair", limits=(100, 1000))
    b.submit_at(0, b.request(), Diary())
    wants_both, wants_one = Diary(), Diary()
    tickets = b.submit_at(1, b.request(samples=2), wants_both)
    b.submit_at(2, b.request(), wants_one)
    b.at(5, lambda: tickets[0].cancel())
    assert nodes_of(b) == [0, -1, 0]
    assert wants_both.words()[-1] == "ended"
    assert b.rows()[2]["started_ps"] == 15 * MS  # the end of the step under way when the place was free


def test_urgent_requests_pass_in_a_central_queue() -> None:
    b = make_bench(nodes=1, seqs=1, routing="central_queue", queue="priority")
    b.submit_at(0, b.request(), Diary())
    patient, urgent = Diary(), Diary()
    b.submit_at(1, b.request(priority=5), patient)
    b.submit_at(2, b.request(priority=0), urgent)
    b.env.run()
    assert urgent.heard[-1][1] < patient.heard[-1][1]


def readings(interval_ms: int, delay_ms: int, looks_ms: list[float]) -> list[int]:
    """Of node 0, which gets a request at 1 ms and another at 12 ms, and is idle from 23 ms on."""
    env, members = Timeline(), Members()
    members.open(1, FakeNode)  # type: ignore[arg-type]
    node: Any = members.node(0)
    late = Late(env, Outstanding(members), interval_ms * MS, delay_ms * MS)
    late.join(0)
    ticket: Any = type("FakeTicket", (), {"node": node})

    def to(outstanding: int) -> None:
        (late.entered if outstanding > node.outstanding else late.left)(set_to(outstanding))

    def set_to(outstanding: int) -> Any:
        node.outstanding = outstanding
        return ticket

    seen: list[int] = []
    for at_ms, outstanding in ((1, 1), (12, 2), (23, 0)):
        Alarm(env, at_ms * MS, lambda alarm: to(alarm.subject), outstanding)
    for look in looks_ms:
        Alarm(env, round(look * MS), lambda _: seen.append(late[0]))
    env.run()
    return seen


def test_a_reading_is_known_when_it_has_arrived() -> None:
    assert readings(0, 0, [1, 11.9, 12, 23]) == [1, 1, 2, 0]
    assert readings(0, 5, [5.9, 6, 16.9, 17, 27.9, 28]) == [0, 1, 1, 2, 2, 0]


def test_nodes_are_read_at_multiples_of_the_interval() -> None:
    assert readings(10, 0, [9.9, 10.1, 19.9, 20.1, 29.9, 30.1]) == [0, 1, 1, 2, 2, 0]
    assert readings(10, 5, [14.9, 15, 24.9, 25, 34.9, 35]) == [0, 1, 1, 2, 2, 0]


def test_the_herd_runs_to_the_node_that_was_idle_at_the_last_reading() -> None:
    b = make_bench(nodes=3, routing="least_outstanding", late_ms=(10, 0))
    for at in (1, 2, 3, 11, 12, 21):
        b.submit_at(at, b.request(), Diary())
    assert nodes_of(b) == [0, 0, 0, 1, 1, 2]


def test_old_signals_cost_no_event_while_nothing_happens() -> None:
    b = make_bench(nodes=3, routing="least_kv", late_ms=(1, 0))
    b.submit_at(0, b.request(), Diary())
    b.env.run()
    assert b.env.now <= 37 * MS  # read until the node is idle, and once more


def scenario(**changes: Any) -> Scenario:
    data: dict[str, Any] = {**IN_STEP, "models": {name: dict(m) for name, m in IN_STEP["models"].items()}}  # type: ignore[attr-defined]
    data["models"]["a"].update(changes)
    return Scenario.model_validate(data)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"routing": "weighted"}, "routing `weighted` needs `node_weights`"),
        ({"routing": "random", "node_weights": {0: 1}}, "`node_weights` mean nothing to routing `random`"),
        ({"routing": "round_robin", "load_signals": {"delay_ms": 1}}, "looks at no load"),
        ({"routing": "central_queue", "load_signals": {"interval_ms": 1}}, "looks at no load"),
        ({"routing": "least_kv", "load_signals": {"delay_ms": 1}}, "`load_signals` needs `interval_ms`"),
        ({"routing": "prefix_affinity"}, "they cache no prefixes"),
        ({"routing": "random", "affinity": {}}, "`affinity` means nothing to routing `random`"),
        ({"disaggregated": {"prefill_nodes": 2}}, "of 2 nodes leave none to decode"),
        (
            {"disaggregated": {"prefill_nodes": 1}, "batching": {"admission": "static"}},
            "with `static` admission nobody joins a batch",
        ),
        ({"routing": "least_queue"}, "least_outstanding"),
    ],
)
def test_what_means_nothing_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        scenario(**changes)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({2: 1.0}, "`a` has no node 2: its 2 are numbered from 0"),
        ({0: 0.0, 1: 0.0}, "every node of `a` has the weight 0: who should take its requests?"),
        ({0: 0.0}, None),
    ],
)
def test_weights_are_of_nodes_that_there_are(weights: dict[int, float], sentence: str | None) -> None:
    found = [problem.sentence for problem in problems(scenario(routing="weighted", node_weights=weights))]
    assert found == ([] if sentence is None else [sentence])


def test_a_policy_that_looks_at_load_takes_old_signals() -> None:
    for policy in ("least_outstanding", "least_kv", "power_of_two"):
        scenario(routing=policy, load_signals={"interval_ms": 50, "delay_ms": 5})


def test_as_seen_is_asked_once_for_each_signal() -> None:
    asked: list[Signal] = []

    def note(signal: Signal) -> Signal:
        asked.append(signal)
        return signal

    ROUTING["power_of_two"](Members(as_seen=note), stream(1, 0, "x"))
    assert len(asked) == 1


class CachingNode(FakeNode):
    """Keeps whatever it had."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.held: dict[str, int] = {}

    def cached_tokens(self, request: Any) -> int:
        return max((self.held.get(name, 0) for name, _ in request.prefix), default=0)


class Asking:
    def __init__(self, *prefix: tuple[str, int]) -> None:
        self.prefix = prefix
        self.request = self
        self.node: Any = None


class AffinityRouter:
    def __init__(self, nodes: int, limit: AffinityLimit | None = None) -> None:
        self.members = Members(affinity=limit)
        self._choose = ROUTING["prefix_affinity"](self.members, stream(1, 0, "x"))
        self.members.open(nodes, CachingNode)  # type: ignore[arg-type]

    def ask(self, *prefix: tuple[str, int]) -> int:
        """It stays inside; the node caches it."""
        asking: Any = Asking(*prefix)
        node: Any = self._choose(asking)
        asking.node = node
        node.outstanding += 1
        node.held.update(dict(prefix))
        for load in self.members.loads:
            load.entered(asking)
        return int(node.index)


def test_prompts_that_begin_alike_go_to_one_node_and_the_others_to_the_least_loaded() -> None:
    router = AffinityRouter(3)
    assert [router.ask(("a", 100)) for _ in range(3)] == [0, 0, 0]
    assert router.ask(("b", 100)) == 1
    assert router.ask() == 2
    assert router.ask(("a", 100), ("talk", 300)) == 0


def test_a_node_too_far_ahead_gives_way_and_the_next_becomes_a_holder_too() -> None:
    router = AffinityRouter(2, AffinityLimit(ahead=2, ratio=1.0))
    # The fourth finds 3 requests ahead on node 0, which is too far. Then both hold it, and the less loaded of
    # the two goes first.
    assert [router.ask(("a", 100)) for _ in range(8)] == [0, 0, 0, 1, 1, 1, 0, 1]


def test_what_a_cache_gave_up_is_no_reason_to_go_there() -> None:
    router = AffinityRouter(2)
    router.ask(("a", 100))
    node: Any = router.members.node(0)
    node.held.clear()
    assert router.ask(("a", 100)) == 1  # the least loaded: nobody holds anything


def test_holders_are_few_and_the_oldest_are_forgotten() -> None:
    holders = Holders(most_origins=2)
    for index in range(MOST_HOLDERS + 2):
        holders.join(index)
        asking: Any = Asking(("a", 1))
        asking.node = FakeNode(index)
        holders.entered(asking)
    assert holders.of((("a", 1),)) == [2, 3, 4, 5]
    for name in ("b", "c"):
        asking = Asking((name, 1))
        asking.node = FakeNode(0)
        holders.entered(asking)
    assert holders.of((("a", 1),)) == []
    assert holders.of((("b", 1), ("unknown", 2))) == [0]
    holders.leave(0)
    assert holders.of((("b", 1),)) == []
