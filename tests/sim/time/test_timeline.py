from collections.abc import Generator
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from simpy import AllOf, Event, Interrupt, Timeout

from sim.time.timeline import ARRIVAL, BOUNDARY, FEEDBACK, Alarm, Outside, Timeline


def test_simpy_still_asks_no_more_of_its_environment_than_a_timeline_has() -> None:
    env = Timeline()
    heard: list[str] = []

    def sleeper(events: list[Event]) -> Generator[Event, object, str]:
        assert env.active_process is sleeping
        try:
            yield AllOf(env.simpy, events)
        except Interrupt as interrupt:
            heard.append(f"{env.now} {interrupt.cause}")
        yield Timeout(env.simpy, 3)
        heard.append(f"{env.now}")
        return "done"

    def waker() -> Generator[Event, object, None]:
        yield Timeout(env.simpy, 4)
        sleeping.interrupt("up")
        heard.append(f"{(yield sleeping)}")

    sleeping = env.process(sleeper([Event(env.simpy), Event(env.simpy)]))
    env.process(waker())
    env.run()
    assert heard == ["4 up", "7", "done"]
    assert env.active_process is None


def test_an_alarm_rings_at_its_time() -> None:
    env = Timeline()
    heard: list[tuple[int, object]] = []
    Alarm(env, 7, lambda alarm: heard.append((env.now, alarm.subject)), "subject")
    assert env.next_ps == 7
    env.run()
    assert heard == [(7, "subject")]
    assert env.now == 7
    assert isinstance(env.now, int)


def test_at_one_instant_arrivals_precede_boundaries_and_feedback_comes_last() -> None:
    env = Timeline()
    heard: list[str] = []
    for order, name in ((FEEDBACK, "feedback"), (BOUNDARY, "boundary")):
        Alarm(env, 5, lambda alarm: heard.append(alarm.subject), name, order)
    Alarm(env, 5, lambda alarm: heard.append(alarm.subject), "first arrival")
    Alarm(env, 5, lambda alarm: heard.append(alarm.subject), "second arrival")
    env.run()
    assert heard == ["first arrival", "second arrival", "boundary", "feedback"]


def test_nodes_have_their_boundaries_in_the_order_in_which_they_were_made_not_in_which_these_were_set() -> (
    None
):
    env = Timeline()
    first, second = env.boundary_orders(1), env.boundary_orders(1)
    heard: list[str] = []
    Alarm(env, 5, lambda alarm: heard.append(alarm.subject), "second", second)
    Alarm(env, 5, lambda alarm: heard.append(alarm.subject), "first", first)
    env.run()
    assert heard == ["first", "second"]


def test_a_timeline_knows_which_order_an_instant_has_reached() -> None:
    env = Timeline()
    first, second = env.boundary_orders(1), env.boundary_orders(1)
    seen: list[int] = []

    def look(_alarm: Alarm) -> None:
        seen.append(env.reached)

    def look_and_set(_alarm: Alarm) -> None:
        seen.append(env.reached)
        Alarm(env, 5, look)  # an arrival amid the boundaries: before the second node's, after the first's
        Alarm(env, 5, look, order=FEEDBACK)

    Alarm(env, 5, look)
    Alarm(env, 5, look_and_set, order=first)
    Alarm(env, 5, look, order=second)
    Alarm(env, 6, look)
    env.run_before(6)
    assert seen == [ARRIVAL, first, first, second, FEEDBACK]
    assert env.reached == ARRIVAL
    env.step()
    assert seen[-1] == ARRIVAL
    Alarm(env, 6, look, order=second)
    env.step()
    assert seen[-1] == env.reached == second
    env.skip_to(7)
    assert env.reached == ARRIVAL


def test_an_event_of_simpy_at_an_instant_whose_boundaries_have_begun_is_feedback() -> None:
    env = Timeline()
    first, second = env.boundary_orders(1), env.boundary_orders(1)
    heard: list[str] = []
    answer = Event(env.simpy)

    def caller() -> Generator[Event, object, None]:
        yield answer
        heard.append("caller")

    env.process(caller())
    Alarm(env, 5, lambda alarm: alarm.subject.succeed(), answer, order=first)
    Alarm(env, 5, lambda _: heard.append("second node"), order=second)
    env.run()
    assert heard == ["second node", "caller"]


def test_times_beyond_float_precision_stay_exact() -> None:
    env = Timeline()
    heard: list[int] = []
    for at_ps in (2**60 + 1, 2**60):
        Alarm(env, at_ps, lambda _: heard.append(env.now))
    env.run()
    assert heard == [2**60, 2**60 + 1]


def test_a_timeline_knows_how_much_of_an_instant_has_happened_wakers_of_outsiders_left_out() -> None:
    env = Timeline()
    seen: list[int] = []
    Alarm(env, 5, lambda _: seen.append(env.passed))
    Outside(env, 5, lambda _: seen.append(env.passed))
    Alarm(env, 5, lambda _: seen.append(env.passed), order=BOUNDARY)
    Alarm(env, 9, lambda _: seen.append(env.passed))
    env.step()
    env.step()
    assert (seen, env.passed) == ([0, 1], 1)
    env.step()
    assert env.passed == 2
    env.skip_to(5)
    assert env.passed == 2
    env.skip_to(7)
    assert env.passed == 0
    env.step()
    assert seen == [0, 1, 1, 0]
    env.run_before(10)
    assert env.passed == 0


def test_a_cancelled_alarm_does_not_ring_and_lets_go_of_its_subject() -> None:
    env = Timeline()
    heard: list[object] = []
    early, late = (Alarm(env, at_ps, lambda alarm: heard.append(alarm.subject), at_ps) for at_ps in (5, 9))
    env.cancel(early)
    assert early.subject is None
    assert env.next_ps == 9
    env.run_before(10)
    env.cancel(late)  # it has rung
    assert heard == [9]
    assert env.next_ps is None


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60), st.integers(1, 4))
def test_those_that_are_not_cancelled_ring_in_the_order_in_which_they_would_have(
    alarms: list[tuple[int, bool]], sweep_at: int
) -> None:
    env, heard = Timeline(), list[int]()
    with patch("sim.time.timeline.CANCELLED_AT_LEAST", sweep_at):
        for number, (at_ps, cancelled) in enumerate(alarms):
            alarm = Alarm(env, at_ps, lambda alarm: heard.append(alarm.subject), number)
            if cancelled:
                env.cancel(alarm)
    env.run()
    kept = [(at_ps, number) for number, (at_ps, cancelled) in enumerate(alarms) if not cancelled]
    assert heard == [number for _, number in sorted(kept)]


def test_cancelled_alarms_do_not_pile_up_until_they_would_ring() -> None:
    env = Timeline()
    waiting = [Alarm(env, 10**15 + number, lambda _: None) for number in range(5000)]
    most = 0
    for number in range(50_000):
        env.cancel(Alarm(env, 10**12 + number, lambda _: None))
        most = max(most, len(env._queue))
    assert most <= 5000 * 1.5 + 1
    assert len(waiting) <= len(env._queue)
