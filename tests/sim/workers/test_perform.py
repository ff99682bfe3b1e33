"""Tasks on executors: all of them once, in any order or in theirs, and none lost with a process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from sim.workers import interrupt
from sim.workers.executor import Ended, Executor, Work
from sim.workers.local import local
from sim.workers.perform import AHEAD, perform
from tests.support import tasks


def ended(executor: Executor, work: Work, given: list[Any], *, in_order: bool = False) -> Iterator[Ended]:
    with executor:
        yield from perform(
            executor,
            work,
            given,
            total=len(given),
            what="tasks",
            tell=lambda _share, _note: None,
            in_order=in_order,
        )


def results(executor: Executor, work: Work, given: list[Any], *, in_order: bool = False) -> list[Any]:
    return [one.result for one in ended(executor, work, given, in_order=in_order)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_is_done_once(jobs: int) -> None:
    assert sorted(results(local(jobs), tasks.doubled, list(range(7)))) == [0, 2, 4, 6, 8, 10, 12]


def test_results_come_in_the_order_of_the_tasks_where_that_is_asked() -> None:
    given = list(range(6))
    assert results(local(2), tasks.slowest_first, given)[0] != 0
    assert results(local(2), tasks.slowest_first, given, in_order=True) == given


class Reversed:
    """An executor that ends the latest task first."""

    places = 2

    def __init__(self) -> None:
        self.given: list[int] = []
        self.most = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def submit(self, number: int, _work: Work, _task: object) -> None:
        self.given.append(number)
        self.most = max(self.most, number)

    def ended(self, _tell: object) -> Ended:
        return Ended(self.given.pop(), None)


def test_no_more_results_are_held_for_an_earlier_one_than_the_places_allow() -> None:
    executor = Reversed()
    numbers = [one.number for one in ended(executor, tasks.doubled, list(range(100)), in_order=True)]
    assert numbers == list(range(100))
    held_and_at_work = AHEAD * executor.places + 1
    assert executor.most == 99
    first = Reversed()
    following = ended(first, tasks.doubled, list(range(100)), in_order=True)
    next(following)
    assert first.most <= held_and_at_work


def test_tasks_of_killed_processes_are_done_again_and_the_third_loss_is_told(tmp_path: Path) -> None:
    given = [(0, tmp_path, 0), (1, tmp_path, 2), (2, tmp_path, 3), (3, tmp_path, 1)]
    found = {one.number: one for one in ended(local(2), tasks.killed_at_first, given)}
    assert [found[i].result for i in (0, 1, 3)] == [0, 1, 3]
    lost = found[2].failure
    assert lost is not None
    assert lost.why == (
        "it failed 3 times, the last time so: the process that worked on it was killed, "
        "perhaps for want of memory"
    )
    assert len(list(tmp_path.glob("2.*"))) == 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_ends_its_own_task_only_and_says_where_it_arose(jobs: int) -> None:
    found = {one.number: one for one in ended(local(jobs), tasks.wrong, [0, 1, 2, 3, 4])}
    assert found[0].result == 0
    why = {number: one.failure.why for number, one in found.items() if one.failure is not None}
    assert why[1] == "the first is wrong"
    assert why[2] == "ZeroDivisionError: the second divides by nothing"
    assert why[3] == "Unreadable: 3"
    assert why[4].startswith("it failed 3 times, the last time so: MemoryError")
    error = found[3].failure and found[3].failure.error
    assert jobs == 1 or "in wrong" in str(error)


def test_tasks_are_drawn_as_places_become_free() -> None:
    drawn = []

    def given() -> Iterator[int]:
        for number in range(50):
            drawn.append(number)
            yield number

    with local(2) as executor:
        found = perform(
            executor, tasks.doubled, given(), total=50, what="tasks", tell=lambda _share, _note: None
        )
        next(found)
        assert len(drawn) <= 5


def test_after_an_interrupt_what_is_at_work_ends_and_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ended(local(1), tasks.doubled, list(range(10)))
    assert next(found).result == 0
    monkeypatch.setattr(interrupt, "asked", lambda: True)
    assert [one.result for one in found] == [2]


def test_of_several_places_none_gets_another_task_after_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = Reversed()
    found = ended(executor, tasks.doubled, list(range(100)))
    next(found)
    begun = executor.most
    monkeypatch.setattr(interrupt, "asked", lambda: True)
    assert len(list(found)) == executor.places
    assert executor.most == begun


def test_progress_counts_what_is_done_and_what_is_half_done() -> None:
    told: list[tuple[float, str]] = []
    with local(1) as executor:
        list(
            perform(
                executor,
                tasks.doubled,
                [1, 2],
                total=2,
                what="tasks",
                tell=lambda share, note: told.append((share, note)),
            )
        )
    assert told == [
        (0.25, "0 of 2 tasks"),
        (0.5, "1 of 2 tasks"),
        (0.75, "1 of 2 tasks"),
        (1.0, "2 of 2 tasks"),
    ]
