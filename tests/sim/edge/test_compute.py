"""Instances, room in them, and cold starts, by hand: times in ms."""

from collections.abc import Generator
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from simpy import Event

from sim.edge.compute import Compute, ComputeShape, Seat
from sim.time.events import Begun
from sim.time.timeline import Timeline

MS = 10**9


class Course:
    """Requests that come at a time and stay for so much work, and what became of them."""

    def __init__(self, shape: ComputeShape, requests: list[tuple[int, int]]) -> None:
        self.env = Timeline()
        self.compute = Compute(self.env, shape)
        self.seats: list[Seat | None] = [None] * len(requests)
        self.ended_ms = [-1.0] * len(requests)
        self.most_inside = self.most_running = 0
        for number, (at_ms, work_ms) in enumerate(requests):
            Begun(self.env, self.request(number, work_ms), at_ms * MS)
        self.env.run()

    def request(self, number: int, work_ms: int) -> Generator[Event, Any, None]:
        self.seats[number] = seat = yield self.compute.enter()
        self.most_inside = max(self.most_inside, seat.instance.inside)
        self.most_running = max(self.most_running, self.compute.running)
        yield seat.work(work_ms * MS)
        self.ended_ms[number] = self.env.now / MS
        self.compute.leave(seat)

    def told(self) -> list[tuple[int, float, bool, float]]:
        """(instance, waited, cold, ended) of each."""
        return [
            (seat.instance.index, seat.waited_ps / MS, seat.cold, ended)
            for seat, ended in zip(self.seats, self.ended_ms, strict=True)
            if seat is not None
        ]


def shape(
    instances: int = 1, warm: int = 1, at_once: int = 100, cold_ms: int = 0, idle_ms: int = 1000
) -> ComputeShape:
    return ComputeShape(Fraction(1), instances, warm, at_once, cold_ms * MS, idle_ms * MS)


def test_an_instance_with_room_shares_its_processor_at_once() -> None:
    assert Course(shape(), [(0, 10), (0, 10)]).told() == [(0, 0, False, 20), (0, 0, False, 20)]


def test_who_finds_no_room_waits_and_is_served_in_order() -> None:
    course = Course(shape(at_once=1), [(0, 10), (1, 5), (2, 5)])
    assert course.told() == [(0, 0, False, 10), (0, 9, False, 15), (0, 13, False, 20)]


def test_a_request_goes_to_the_instance_that_holds_fewest() -> None:
    course = Course(shape(instances=2, warm=2), [(0, 10), (1, 10), (2, 1)])
    assert [instance for instance, *_ in course.told()] == [0, 1, 0]


def test_a_first_request_waits_for_a_cold_start_and_one_soon_after_does_not() -> None:
    """It stops 1,000 ms after its last answer: who comes 900 ms after it is in time, 1,100 ms is too late."""
    course = Course(shape(warm=0, cold_ms=300), [(0, 10), (1210, 10), (2320, 10)])
    assert course.told() == [(0, 300, True, 310), (0, 0, False, 1220), (0, 300, True, 2630)]
    assert course.compute.running == 0


def test_so_many_instances_start_as_those_who_wait_will_fill() -> None:
    """Two a place each way: five who wait ask for three, and the fourth place of the third stays free."""
    course = Course(shape(instances=9, warm=0, at_once=2, cold_ms=100), [(0, 10)] * 5)
    assert [instance for instance, *_ in course.told()] == [0, 0, 1, 1, 2]
    assert course.ended_ms == [120, 120, 120, 120, 110]
    assert course.most_running == 3


def test_who_finds_room_while_another_instance_starts_takes_it_and_is_not_cold() -> None:
    """The second waits for an instance that would be there at 101; the first leaves at 10."""
    course = Course(shape(instances=2, at_once=1, cold_ms=100), [(0, 10), (1, 5)])
    assert course.told() == [(0, 0, False, 10), (0, 9, False, 15)]
    assert course.compute.running == 1  # the other came for nothing and has stopped


@given(
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(1, 3),
    st.integers(0, 50),
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 30)), max_size=15),
)
def test_every_request_is_served_once_and_every_place_comes_back(
    instances: int, warm: int, at_once: int, cold_ms: int, idle_ms: int, requests: list[tuple[int, int]]
) -> None:
    warm = min(warm, instances)
    course = Course(shape(instances, warm, at_once, cold_ms, idle_ms), requests)
    assert len(course.told()) == len(requests)
    assert course.most_inside <= at_once
    assert course.compute.waiting == 0
    assert course.compute.running == warm
    assert all(seat.instance.inside == 0 for seat in course.seats if seat is not None)
    came = sorted(range(len(requests)), key=lambda n: (requests[n][0], n))
    seated = [requests[n][0] * MS + seat.waited_ps for n in came if (seat := course.seats[n]) is not None]
    assert seated == sorted(seated)  # first come, first served
