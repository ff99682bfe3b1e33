"""asyncio without waiting, on the model's calendar."""

import asyncio
import os
import time  # noqa: TID251 -- threads in these tests take real time
from collections.abc import Iterator
from math import ulp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.clocks import virtual_loop
from api_shim.clocks.virtual_loop import DeadlockError, VirtualClock, VirtualLoop
from sim.time.timeline import BOUNDARY, Alarm
from sim.time.units import ps_of_s, s_of_ps

MS = 10**9
HOUR_PS = 3600 * 10**12


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.close()


def test_an_hour_of_sleep_takes_no_time(loop: VirtualLoop) -> None:
    began = time.monotonic()
    loop.run_until_complete(asyncio.sleep(3600))
    assert loop.timeline.now == HOUR_PS
    assert loop.time() == 3600
    assert time.monotonic() - began < 5


def test_timers_and_events_of_the_model_come_in_one_order(loop: VirtualLoop) -> None:
    heard: list[str] = []

    async def story() -> None:
        for at_ms, name in ((5, "event 5"), (7, "event 7")):
            Alarm(loop.timeline, at_ms * MS, lambda alarm: heard.append(alarm.subject), name, BOUNDARY)
        loop.call_later(0.006, heard.append, "timer 6")
        await asyncio.sleep(0.007)
        heard.append("sleeper 7")
        await asyncio.sleep(0.001)

    loop.run_until_complete(story())
    assert heard == ["event 5", "timer 6", "sleeper 7", "event 7"], "at one instant timers come first"


def test_what_a_waker_sets_off_meets_the_model_at_that_very_instant(loop: VirtualLoop) -> None:
    clock = VirtualClock(loop.timeline)
    seen: list[int] = []

    async def story() -> None:
        due = loop.create_future()
        clock.call_at(123_456_789, lambda: due.set_result(None))
        await due
        clock.inject(lambda: seen.append(loop.timeline.now))

    loop.run_until_complete(story())
    assert seen == [123_456_789]


@given(st.integers(0, 10**7), st.floats(1e-6, 10))
def test_a_sleep_of_any_length_ends_exactly_once_at_any_time_of_the_run(start_s: int, nap_s: float) -> None:
    """Late in a run a float no longer resolves a picosecond: the clock must neither spin nor fall short."""
    loop = VirtualLoop()
    try:

        async def story() -> tuple[float, float]:
            await asyncio.sleep(start_s)
            began = loop.time()
            await asyncio.sleep(nap_s)
            return began, loop.time()

        began, ended = loop.run_until_complete(story())
        assert 0 <= ended - (began + nap_s) <= 1e-12 + ulp(ended)
        assert abs(loop.timeline.now - ps_of_s(ended)) <= 2_000
    finally:
        loop.close()


def test_when_everybody_waits_for_nothing_it_says_so(loop: VirtualLoop) -> None:
    async def story() -> None:
        await loop.create_future()

    with pytest.raises(DeadlockError, match="every task waits"):
        loop.run_until_complete(story())


def test_time_passes_while_a_task_polls(loop: VirtualLoop) -> None:
    """It sees each event of the model at its very instant, and a sleeper beside it wakes in time."""
    heard: list[tuple[str, float]] = []

    async def sleeper() -> None:
        await asyncio.sleep(0.0015)
        heard.append(("sleeper", loop.time()))

    async def story() -> None:
        passed: list[int] = []
        for at_ms in (1, 2, 3):
            Alarm(loop.timeline, at_ms * MS, lambda alarm: passed.append(alarm.subject), at_ms)
        sleeping = asyncio.create_task(sleeper())
        for seen in (1, 2, 3):
            while len(passed) < seen:  # noqa: ASYNC110 -- what people write
                await asyncio.sleep(0)
            heard.append((f"event {seen}", loop.time()))
        await sleeping

    loop.run_until_complete(story())
    assert heard == [("event 1", 0.001), ("sleeper", 0.0015), ("event 2", 0.002), ("event 3", 0.003)]


def test_a_chain_of_callbacks_at_one_instant_is_no_poll(loop: VirtualLoop) -> None:
    async def story() -> float:
        loop.call_later(1, lambda: None)
        for _ in range(900):
            await asyncio.sleep(0)
        return loop.time()

    assert loop.run_until_complete(story()) == 0


def test_who_polls_for_what_never_comes_is_told(loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "LAST_ROUNDS", 5_000)

    async def story() -> None:
        while True:  # noqa: ASYNC110 -- what people write
            await asyncio.sleep(0)

    with pytest.raises(DeadlockError, match=r"a task polls with sleep\(0\)"):
        loop.run_until_complete(story())


def test_the_clock_stands_still_while_threads_work(loop: VirtualLoop) -> None:
    import anyio.to_thread

    def work() -> int:
        time.sleep(0.02)
        return 5

    async def story() -> list[float]:
        asyncio.get_running_loop().call_later(50, lambda: None)
        await asyncio.to_thread(work)
        after_executor = loop.time()
        await anyio.to_thread.run_sync(work)
        return [after_executor, loop.time()]

    assert loop.run_until_complete(story()) == [0, 0]


def test_a_real_pipe_is_served(loop: VirtualLoop) -> None:
    reading, writing = os.pipe()

    async def story() -> bytes:
        ready = loop.create_future()
        loop.add_reader(reading, ready.set_result, None)
        os.write(writing, b"x")
        await ready
        loop.remove_reader(reading)
        return os.read(reading, 1)

    assert loop.run_until_complete(story()) == b"x"
    os.close(reading)
    os.close(writing)


def test_times_out_in_virtual_time(loop: VirtualLoop) -> None:
    async def story() -> None:
        async with asyncio.timeout(600):
            await loop.create_future()

    with pytest.raises(TimeoutError):
        loop.run_until_complete(story())
    assert loop.time() == 600


def test_seconds_and_picoseconds_convert_back_and_forth() -> None:
    assert ps_of_s(0.000_000_000_001) == 1
    assert s_of_ps(1_500_000_000_000) == 1.5
