from sim.calendar import BOUNDARY, FEEDBACK, Alarm, Timeline


def test_simpy_still_has_the_private_names_that_the_calendar_uses() -> None:
    env = Timeline()
    assert env._queue == []
    assert isinstance(next(env._eid), int)
    heard: list[tuple[int, object]] = []
    Alarm(env, 7, lambda alarm: heard.append((env.now, alarm.subject)), "subject")
    assert env.peek() == 7
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


def test_times_beyond_float_precision_stay_exact() -> None:
    env = Timeline()
    heard: list[int] = []
    for at_ps in (2**60 + 1, 2**60):
        Alarm(env, at_ps, lambda _: heard.append(env.now))
    env.run()
    assert heard == [2**60, 2**60 + 1]
