"""The wall clock, tried against a loop that really waits. Bounds are generous: the machine is shared."""

import asyncio
import time  # noqa: TID251 -- to check one clock takes another

import pytest

from api_shim.clocks import alarm_clock
from api_shim.clocks.alarm_clock import LoopTimer
from api_shim.clocks.pacer import Pacer
from sim.time.timeline import BOUNDARY, Alarm, Timeline

MS = 10**9
pytestmark = pytest.mark.realtime


def refuse(*_: object) -> None:
    raise OSError("forbidden here")


async def until(pacer: Pacer, at_ps: int) -> None:
    due = asyncio.get_running_loop().create_future()
    pacer.call_at(at_ps, lambda: due.set_result(None))
    await due


@pytest.mark.parametrize("timer", ["finest", "loop"])
def test_events_happen_when_the_wall_clock_says_so(timer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if timer == "loop":
        monkeypatch.setattr(alarm_clock, "TimerFd", refuse)

    async def story() -> list[int]:
        pacer = Pacer(Timeline())
        late = []
        for _ in range(20):
            due_ps = pacer.now_ps() + 3 * MS
            await until(pacer, due_ps)
            late.append(pacer.now_ps() - due_ps)
        pacer.close()
        return late

    late = sorted(asyncio.run(story()))
    assert late[0] >= 0, "never early"
    assert late[10] < 20 * MS


def test_at_speed_ten_a_second_takes_a_tenth() -> None:
    async def story() -> float:
        pacer = Pacer(Timeline(), speed=10)
        began = time.monotonic()
        await until(pacer, 1000 * MS)
        pacer.close()
        return time.monotonic() - began

    assert 0.1 <= asyncio.run(story()) < 0.5


def test_an_injection_comes_after_everything_before_the_present_and_stands_at_it() -> None:
    heard: list[str] = []

    async def story() -> tuple[int, int, int]:
        timeline = Timeline()
        pacer = Pacer(timeline)
        Alarm(timeline, 1, lambda _: heard.append("past"), order=BOUNDARY)
        Alarm(timeline, 10**15, lambda _: heard.append("future"))
        time.sleep(0.002)  # noqa: ASYNC251 -- nobody else runs in this loop
        before = pacer.now_ps()
        stood: list[int] = []
        pacer.inject(lambda: stood.append(timeline.now))
        pacer.close()
        return before, stood[0], pacer.now_ps()

    before, stood, after = asyncio.run(story())
    assert heard == ["past"]
    assert before <= stood <= after


def test_a_busy_model_gives_the_loop_back_and_injections_keep_their_instant() -> None:
    """An event per microsecond, each of which takes ten: the model falls behind, others are still served."""

    async def story() -> tuple[int, int, int]:
        timeline = Timeline()
        pacer = Pacer(timeline)
        turns = 0

        def busy(_alarm: Alarm) -> None:
            nonlocal turns
            turns += 1
            until_ns = time.monotonic_ns() + 10_000
            while time.monotonic_ns() < until_ns:
                pass
            if turns < 3000:
                Alarm(timeline, timeline.now + 10**6, busy)

        Alarm(timeline, 0, busy)
        others = 0
        stood = asked_ps = -1
        while turns < 3000:
            await asyncio.sleep(0)
            others += 1
            if turns > 500 and asked_ps < 0:
                asked_ps = pacer.now_ps()

                def act() -> None:
                    nonlocal stood
                    stood = timeline.now

                pacer.inject(act)
            pacer.reach()
        while stood < 0:  # noqa: ASYNC110 -- the model sets it, not a task
            await asyncio.sleep(0.001)
        pacer.close()
        return others, asked_ps, stood

    others, asked_ps, stood = asyncio.run(story())
    assert others > 3
    assert 0 <= stood - asked_ps < 5 * MS


def test_without_a_timerfd_the_loops_own_timers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> type:
        monkeypatch.setattr(alarm_clock, "TimerFd", refuse)
        made = alarm_clock.alarm_clock(asyncio.get_running_loop(), lambda: None)
        made.close()
        return type(made)

    assert asyncio.run(story()) is LoopTimer
