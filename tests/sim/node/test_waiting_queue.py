"""Who goes next, by hand. A prompt of n tokens takes 10 + n ms, each further token 10 ms, one at a time."""

from typing import Any

import pytest

from sim.node.waiting_queue import by_priority
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


class Here:
    """Somebody who waits."""

    def __init__(self, number: int, priority: int) -> None:
        self.arrived = (0, False, number)
        self.gone = False
        self.prompt_tokens = self.output_tokens = 1
        self.priority = priority
        self.key = ""
        self.asked = self


def test_a_newcomer_precedes_the_head_by_all_that_the_order_compares() -> None:
    queue = by_priority()
    queue.push(Here(5, priority=0))
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
