"""Who goes next, by hand. A prompt of n tokens takes 10 + n ms, each further token 10 ms, one at a time."""

from typing import Any

import pytest

from sim.node.fair_queue import FORGET_AT, Fair
from sim.node.queue_orders import by_priority
from tests.support.bench import MS, Bench, Diary, make_bench

IN_KERNEL: dict[str, Any] = {"seqs": 1}
BEFORE_KERNEL: dict[str, Any] = {"seqs": 4, "slots": 1, "overhead_ms": 1}
"""The place that a request waits for is one of the node's: the kernel itself would take four."""


def starts(bench: Bench) -> list[tuple[int, float]]:
    """(number, ms) in the order in which they started."""
    return sorted(((row["number"], row["started_ps"] / MS) for row in bench.rows()), key=lambda pair: pair[1])


def asks(bench: Bench, *priorities: int) -> None:
    """One a millisecond, of 5 tokens in and 1 out: numbers from 1 on."""
    for at, priority in enumerate(priorities):
        bench.submit_at(at, bench.request(5, 1, priority=priority), Diary())


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_the_lower_priority_number_goes_first_and_equals_in_order_of_arrival(engine: str) -> None:
    b = make_bench(queue="priority", engine=engine, **IN_KERNEL)
    asks(b, 100, 100, 0, 100, -1, 0)
    b.env.run()
    assert starts(b) == [(1, 0), (5, 15), (3, 30), (6, 45), (2, 60), (4, 75)]


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_first_come_first_served_does_not_look_at_priorities(engine: str) -> None:
    b = make_bench(engine=engine, **IN_KERNEL)
    asks(b, 100, 100, 0)
    b.env.run()
    assert starts(b) == [(1, 0), (2, 15), (3, 30)]


def test_the_queue_before_the_kernel_has_the_same_order() -> None:
    # Each holds the only place for 1 ms of overhead and 15 ms of work.
    b = make_bench(queue="priority", **BEFORE_KERNEL)
    asks(b, 100, 100, 0, -1)
    b.env.run()
    assert starts(b) == [(1, 1), (4, 17), (3, 33), (2, 49)]


def test_who_leaves_the_queue_before_the_kernel_is_passed_over() -> None:
    b = make_bench(queue="priority", **BEFORE_KERNEL)
    asks(b, 100, 100)
    first = b.submit_at(2, b.request(5, 1, priority=-1), Diary())
    b.at(3, lambda: first[0].cancel())
    b.env.run()
    assert [row["started_ps"] / MS for row in b.rows()] == [1, 17, -1 / MS]


def test_nobody_passes_an_urgent_request_that_lacks_places() -> None:
    # Number 3 wants both places: the one that comes free at 21 stays free until the other does, at 41.
    b = make_bench(queue="priority", seqs=4, slots=2, overhead_ms=1)
    b.submit_at(0, b.request(5, 1), Diary())
    b.submit_at(0, b.request(5, 3), Diary())
    b.submit_at(1, b.request(5, 1, priority=-1, samples=2), Diary())
    b.submit_at(1, b.request(5, 1), Diary())
    b.env.run()
    rows = b.rows()
    assert [row["last_ps"] / MS for row in rows[:2]] == [21, 41]
    assert rows[2]["started_ps"] == 42 * MS
    assert rows[3]["started_ps"] == rows[2]["last_ps"] + MS


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_the_shortest_prompt_goes_first_whatever_the_answer(engine: str) -> None:
    b = make_bench(queue="shortest_first", engine=engine, **IN_KERNEL)
    for at, (prompt, output) in enumerate([(5, 1), (9, 1), (3, 4), (3, 1)]):
        b.submit_at(at, b.request(prompt, output), Diary())
    b.env.run()
    assert starts(b) == [(1, 0), (3, 15), (4, 58), (2, 71)]


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_a_tenant_who_asks_a_lot_at_once_waits_for_the_tokens_that_others_ask_for(engine: str) -> None:
    # Everybody asks for 5 + 2 x 1 = 7 tokens' worth. While the first runs, `many` has 7 and `few` comes with
    # 0, lifted to the 7 of the one who waits: its first came first. Then they take turns.
    b = make_bench(queue="fair", engine=engine, **IN_KERNEL)
    for at, key in enumerate(["many", "many", "many", "many", "few", "few"]):
        b.submit_at(at, b.request(5, 1, key=key), Diary())
    b.env.run()
    assert [number for number, _ in starts(b)] == [1, 2, 5, 3, 6, 4]


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_the_urgent_pushes_out_who_is_less_so_and_nobody_else(engine: str) -> None:
    # Number 1 takes 15 ms to its first token, then 10 ms a token, until number 3 comes at 22 and enters at
    # 25, when 1 has two tokens of three. At 40 they change places again: 5 + 2 tokens take 17 ms, with which
    # the third is there. Number 2, as urgent as 1, waits for it.
    b = make_bench(queue="priority", preempt=True, engine=engine, **IN_KERNEL)
    for at, priority, output in [(0, 0, 3), (1, 0, 1), (22, -1, 1)]:
        b.submit_at(at, b.request(5, output, priority=priority), Diary())
    b.env.run()
    rows = b.rows()
    assert [row["started_ps"] / MS for row in rows] == [0, 57, 25]
    assert [row["last_ps"] / MS for row in rows] == [57, 72, 40]
    assert [row["preemptions"] for row in rows] == [1, 0, 0]


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_where_blocks_lack_the_least_urgent_loses_his_and_not_the_last_to_come(engine: str) -> None:
    # 12 blocks of a token. Both prompts of 4 are computed by 18 ms; at 38 each holds 6 and wants another.
    for queue, expected in (("priority", [1, 0]), ("fcfs", [0, 1])):
        b = make_bench(queue=queue, engine=engine, seqs=2, kv_blocks=12)
        b.submit_at(0, b.request(4, 5, priority=100), Diary())
        b.submit_at(0, b.request(4, 5), Diary())
        b.env.run()
        assert [row["preemptions"] for row in b.rows()] == expected


class Here:
    """Somebody who waits."""

    def __init__(self, number: int, priority: int = 0, key: str = "", tokens: int = 1) -> None:
        self.arrived = (0, False, number)
        self.gone = False
        self.prompt_tokens, self.output_tokens = tokens, 1
        self.priority = priority
        self.key = key
        self.asked = self


def test_who_was_silent_has_not_saved_up() -> None:
    # `busy` went for 102 and then for 102 more; `new` begins where it stands and not at 0.
    queue: Fair[Here] = Fair()
    for number in range(3):
        queue.push(Here(number, key="busy", tokens=100))
    assert [queue.pop().key for _ in range(2)] == ["busy", "busy"]
    queue.push(Here(3, key="new", tokens=100))
    queue.push(Here(4, key="new", tokens=100))
    assert [queue.pop().key for _ in range(3)] == ["busy", "new", "new"]


def test_a_preempted_request_is_charged_once_and_returns_to_the_front_of_its_key() -> None:
    queue: Fair[Here] = Fair()
    first, second, other = Here(0, key="a"), Here(1, key="a"), Here(2, key="b")
    for one in (first, second, other):
        queue.push(one)
    assert queue.pop() is first  # a has 3, b 0
    queue.requeue(first)
    assert [queue.pop() for _ in range(3)] == [other, first, second]  # both have 3 then


def test_counters_that_matter_no_more_are_forgotten() -> None:
    queue: Fair[Here] = Fair()
    most = 0
    for number in range(10 * FORGET_AT):
        queue.push(Here(number, key=f"key {number}", tokens=number % 50 + 1))
        queue.pop()
        most = max(most, len(queue._counters))
    assert most <= FORGET_AT + 1


def test_a_newcomer_precedes_the_head_by_all_that_the_order_compares() -> None:
    queue = by_priority()
    queue.push(Here(5, 0))
    assert queue.may_precede_head(Here(9, priority=-1))
    assert not queue.may_precede_head(Here(1, priority=1))
    assert queue.may_precede_head(Here(4, priority=0))  # of the same instant, with the lower number
    assert not queue.may_precede_head(Here(6, priority=0))


def test_the_preempted_go_before_their_equals_in_the_order_in_which_they_were_admitted() -> None:
    queue = by_priority()
    one, two, three, urgent = Here(1, 0), Here(1, 0), Here(1, 0), Here(2, -1)
    queue.push(three)
    queue.requeue(two)  # whoever was admitted last is preempted first
    queue.requeue(one)
    queue.push(urgent)
    assert list(queue) == [urgent, one, two, three]
    assert [queue.pop() for _ in range(4)] == [urgent, one, two, three]
