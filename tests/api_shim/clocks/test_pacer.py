"""The pacer's rules on a machine whose time the test sets: nothing here waits."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import pytest

from api_shim.clocks.clock import wake_at
from api_shim.clocks.pacer import EVENTS_PER_LOOK, SLICE_NS, Pacer, RunningLoop
from sim.time.timeline import ARRIVAL, BOUNDARY, Alarm, Timeline
from tests.support.set_machine import UNIX_S, SetMachine

NS = 1000
"""In picoseconds."""
MS = 10**9


class Log:
    """What happened in the model, and where the timeline stood."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.seen: list[tuple[str, int]] = []

    def note(self, word: str) -> Callable[[object], None]:
        return lambda _alarm: self.seen.append((word, self.timeline.now))

    def call(self, word: str) -> Callable[[], None]:
        return lambda: self.seen.append((word, self.timeline.now))


@pytest.fixture
def machine() -> SetMachine:
    return SetMachine()


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def pacer(timeline: Timeline, machine: SetMachine) -> Pacer:
    return Pacer(timeline, machine=machine)


@pytest.fixture
def log(timeline: Timeline) -> Log:
    return Log(timeline)


def test_wall_time_passes_from_where_the_timeline_stood(machine: SetMachine, timeline: Timeline) -> None:
    timeline.skip_to(5 * MS)
    pacer = Pacer(timeline, machine=machine)
    assert pacer.now_ps() == 5 * MS
    machine.stand_at(3)
    assert pacer.now_ps() == 5 * MS + 3 * NS
    assert pacer.reach() == timeline.now == 5 * MS + 3 * NS
    assert pacer.speed == 1
    pacer.call_at(7 * MS, lambda: None)
    assert machine.alarm_ns == 2_000_001, "2 ms after it stood at 5"


def test_dates_follow_the_steady_clock_whatever_becomes_of_the_other(
    pacer: Pacer, machine: SetMachine
) -> None:
    machine.stand_at(1_500_000_000)
    assert pacer.unix_s() == UNIX_S + 1.5


@pytest.mark.parametrize(("speed", "alarm_ns"), [(1.0, 2_000_001), (10.0, 200_001), (0.5, 4_000_001)])
def test_the_alarm_is_set_a_nanosecond_after_an_event_is_due(speed: float, alarm_ns: int) -> None:
    machine, timeline = SetMachine(), Timeline()
    pacer, log = Pacer(timeline, speed, machine), Log(timeline)
    pacer.call_at(2 * MS, log.call("due"))
    assert machine.alarm_ns == alarm_ns
    machine.sleep()
    assert log.seen == [("due", 2 * MS)]
    assert timeline.now == 2 * MS + round(speed * NS)


def test_an_event_is_not_in_the_past_at_its_very_instant(pacer: Pacer, machine: SetMachine, log: Log) -> None:
    pacer.call_at(2 * MS, log.call("due"))
    machine.stand_at(2_000_000)
    pacer.reach()
    assert log.seen == []
    assert machine.soon == [], "it is not overdue either"
    machine.sleep()
    assert log.seen == [("due", 2 * MS)]


def test_a_ring_sets_the_alarm_for_the_event_after(pacer: Pacer, machine: SetMachine, log: Log) -> None:
    for at_ms in (2, 7, 8):
        pacer.call_at(at_ms * MS, log.call(f"{at_ms}"))
    assert machine.alarms == [2_000_001]
    for _ in range(3):
        machine.sleep()
    assert log.seen == [("2", 2 * MS), ("7", 7 * MS), ("8", 8 * MS)]
    assert machine.alarms == [2_000_001, 7_000_001, 8_000_001]
    assert machine.alarm_ns is None, "nothing is left to wake for"


def test_an_earlier_event_moves_the_alarm_and_a_later_one_does_not(
    pacer: Pacer, machine: SetMachine, log: Log
) -> None:
    for at_ms in (5, 3, 4, 3):
        pacer.call_at(at_ms * MS, log.call(f"{at_ms}"))
    assert machine.alarms == [5_000_001, 3_000_001]
    machine.sleep()
    machine.sleep()
    machine.sleep()
    assert [word for word, _ in log.seen] == ["3", "3", "4", "5"]


def test_what_the_model_itself_plans_moves_the_alarm(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log
) -> None:
    def plan(_alarm: Alarm) -> None:
        Alarm(timeline, 6 * MS, log.note("planned"))

    Alarm(timeline, 2 * MS, plan)
    pacer.inject(lambda: None)
    assert machine.alarms == [2_000_001]
    machine.sleep()
    assert machine.alarms == [2_000_001, 6_000_001]


def test_a_ring_that_comes_early_does_nothing_but_set_the_alarm_again(
    pacer: Pacer, machine: SetMachine, log: Log
) -> None:
    pacer.call_at(2 * MS, log.call("due"))
    machine.sleep(late_ns=-500)
    assert log.seen == []
    assert machine.alarms == [2_000_001, 2_000_001]
    machine.sleep()
    assert log.seen == [("due", 2 * MS)]


def test_a_ring_for_what_was_taken_back_sets_the_alarm_for_the_next(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log
) -> None:
    gone = pacer.call_at(2 * MS, log.call("gone"))
    pacer.call_at(9 * MS, log.call("stays"))
    timeline.cancel(gone)
    machine.sleep()
    assert log.seen == []
    assert machine.alarm_ns == 9_000_001


def test_a_late_machine_catches_up_and_every_event_keeps_its_instant(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log
) -> None:
    for at_ms in (2, 3, 4):
        Alarm(timeline, at_ms * MS, log.note(f"{at_ms}"))
    pacer.call_at(30 * MS, log.call("30"))
    machine.sleep(late_ns=10_000_000)  # the alarm for 2 ms is heard at 12 ms
    assert log.seen == [("2", 2 * MS), ("3", 3 * MS), ("4", 4 * MS)]
    assert timeline.now == 12 * MS + NS
    assert machine.alarm_ns == 30_000_001


def test_an_injection_comes_after_all_that_is_due_before_the_present(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log
) -> None:
    Alarm(timeline, 4 * MS - 1, log.note("before"), order=BOUNDARY)
    Alarm(timeline, 4 * MS, log.note("at"), order=ARRIVAL)
    machine.stand_at(4_000_000)
    pacer.inject(log.call("injected"))
    assert log.seen == [("before", 4 * MS - 1), ("injected", 4 * MS)]
    assert machine.alarm_ns == 4_000_001, "what is due at the instant itself comes next"


def overworked(
    machine: SetMachine, timeline: Timeline, log: Log, events: int, event_ns: int = 100_000
) -> None:
    """An event each microsecond, each of which takes the machine 100."""

    def work(number: int) -> Callable[[object], None]:
        def happen(_alarm: object) -> None:
            machine.now_ns += event_ns
            log.seen.append((f"{number}", timeline.now))

        return happen

    for number in range(1, events + 1):
        Alarm(timeline, number * 1000 * NS, work(number))


def test_an_overworked_model_stops_after_a_slice_and_goes_on_in_the_next_turn(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log
) -> None:
    overworked(machine, timeline, log, 100)
    machine.stand_at(50_000_000)  # all of them are overdue
    # 2 ms are over after 20 events; the clock is looked at after 32.
    assert SLICE_NS == 2_000_000
    assert EVENTS_PER_LOOK == 32
    assert pacer.reach() == 32 * 1000 * NS, "how far it came"
    assert len(machine.soon) == 1
    pacer.reach()
    assert len(log.seen) == 64
    assert len(machine.soon) == 1, "one turn is enough"
    assert machine.alarms == []
    machine.turn()
    assert len(log.seen) == 96
    assert len(machine.soon) == 1, "and it asks for another"
    machine.turn()
    assert log.seen == [(f"{number}", number * 1000 * NS) for number in range(1, 101)]
    assert machine.soon == []
    assert timeline.now == 50 * MS + 96 * 100_000 * NS, "the present, when the last turn began"


@pytest.mark.parametrize(
    ("event_us", "events"),
    [
        (62.5, 64),  # 32 of them take 2 ms, and not more
        (45, 64),  # 1.44 ms at the first look, 2.88 ms at the second
        (1, 200),  # all that there is: 0.2 ms
    ],
)
def test_a_slice_ends_at_the_first_look_after_two_milliseconds(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log, event_us: float, events: int
) -> None:
    overworked(machine, timeline, log, 200, round(event_us * 1000))
    machine.stand_at(50_000_000)
    pacer.reach()
    assert len(log.seen) == events


def test_whoever_asks_an_overworked_model_for_something_is_let_in_at_the_instant_of_asking(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log
) -> None:
    overworked(machine, timeline, log, 40)
    Alarm(timeline, 51 * MS, log.note("later"))
    machine.stand_at(50_000_000)
    pacer.inject(log.call("asked"))
    assert len(log.seen) == 32
    machine.turn()
    assert [word for word, _ in log.seen[32:]] == [*map(str, range(33, 41)), "asked", "later"]
    assert log.seen[40:] == [("asked", 50 * MS), ("later", 51 * MS)]


def test_after_catching_up_the_alarm_is_set_again(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log
) -> None:
    overworked(machine, timeline, log, 40)
    machine.stand_at(50_000_000)
    pacer.reach()
    pacer.call_at(90 * MS, log.call("ahead"))
    assert machine.alarms == [], "its turn will see to it"
    machine.turn()
    assert machine.alarm_ns == 90_000_001
    machine.sleep()
    assert log.seen[-1] == ("ahead", 90 * MS)


def test_an_event_that_became_overdue_meanwhile_gets_a_turn_instead_of_an_alarm(
    pacer: Pacer, machine: SetMachine, log: Log
) -> None:
    machine.stand_at(5_000_000)
    pacer.call_at(4 * MS, log.call("past"))
    assert machine.alarms == []
    machine.turn()
    assert log.seen == [("past", 4 * MS)], "the timeline had not come so far"


def test_a_price_of_looking_at_the_clock_does_not_stop_the_clock() -> None:
    # Each look costs more than the pause between events: whenever one is met, the next is overdue.
    machine, timeline = SetMachine(look_ns=3000), Timeline()
    pacer, log = Pacer(timeline, machine=machine), Log(timeline)
    for number in range(1, 200):
        Alarm(timeline, number * 1000 * NS, log.note(f"{number}"))
    pacer.reach()
    for _ in range(1000):
        if len(log.seen) == 199:
            break
        if machine.soon:
            machine.turn()
        else:
            machine.sleep()
    assert len(log.seen) == 199


def test_a_closed_pacer_sets_no_alarm_and_asks_for_no_turn(
    pacer: Pacer, machine: SetMachine, timeline: Timeline, log: Log
) -> None:
    overworked(machine, timeline, log, 40)
    machine.stand_at(50_000_000)
    pacer.reach()
    pacer.close()
    machine.turn()  # that was promised before
    pacer.call_at(90 * MS, log.call("never"))
    wake_at(timeline, 40 * MS, log.call("never"))
    pacer.reach()
    assert machine.closed
    assert (machine.alarms, machine.soon) == ([], [])


def test_the_rest_of_the_loop_goes_on_while_work_is_done_aside_one_piece_at_a_time(pacer: Pacer) -> None:
    async def story() -> list[str]:
        said, hold = list[str](), threading.Event()

        def work(word: str) -> str:
            hold.wait(30)
            said.append(word)
            return threading.current_thread().name

        first, second = (
            asyncio.create_task(pacer.aside(partial(work, word))) for word in ("first", "second")
        )
        await asyncio.sleep(0)
        said.append("loop")
        hold.set()
        assert await first == await second == "aside_0"
        return said

    assert asyncio.run(story()) == ["loop", "first", "second"]


def test_closing_waits_for_no_work_that_is_done_aside_and_begins_no_more(pacer: Pacer) -> None:
    async def story() -> list[str]:
        said, hold, begun = list[str](), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            hold.wait(30)
            said.append("done")

        running = asyncio.create_task(pacer.aside(work))
        waiting = asyncio.create_task(pacer.aside(lambda: said.append("begun")))
        while not begun.is_set():  # noqa: ASYNC110 -- a thread sets it
            await asyncio.sleep(0)
        pacer.close()
        said.append("closed")
        hold.set()
        await running
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return said

    assert asyncio.run(story()) == ["closed", "done"]


def test_the_real_machine_is_the_loop_that_runs() -> None:
    async def story() -> list[str]:
        machine, said, rung = RunningLoop(), list[str](), asyncio.get_running_loop().create_future()
        machine.call_soon(lambda: said.append("soon"))
        alarm = machine.alarm_clock(lambda: rung.set_result("rung"))
        alarm.set(0)  # long ago
        said.append(await asyncio.wait_for(rung, 30))
        alarm.close()
        return said

    assert asyncio.run(story()) == ["soon", "rung"]
