"""One wake-up at an absolute monotonic time, in the reader set of an asyncio loop.

epoll rounds its time-outs up to whole milliseconds. A timerfd does not; where there is none (outside Linux),
the loop's own timers have to do.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Protocol

NS_PER_S = 10**9
CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # the values of TFD_NONBLOCK and TFD_CLOEXEC on Linux


class AlarmClock(Protocol):
    def set(self, monotonic_ns: int) -> None:
        """Instead of what was set before."""
        ...

    def close(self) -> None: ...


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class TimerFd:
    """Raises OSError or AttributeError where the system has none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._loop, self._ring = loop, ring
        loop.add_reader(self._fd, self._expired)

    def set(self, monotonic_ns: int) -> None:
        seconds, nanoseconds = divmod(max(monotonic_ns, 1), NS_PER_S)  # all zero would disarm it
        when = _Itimerspec(_Timespec(0, 0), _Timespec(seconds, nanoseconds))
        if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, ctypes.byref(when), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _expired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # set anew since
        self._ring()


class LoopTimer:
    """asyncio's clock is the monotonic one too."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop, self._ring = loop, ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, monotonic_ns: int) -> None:
        self.close()
        self._handle = self._loop.call_at(monotonic_ns / NS_PER_S, self._ring)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


def alarm_clock(loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> AlarmClock:
    """The finest that this system has."""
    if sys.platform == "linux":
        try:
            return TimerFd(loop, ring)
        except (OSError, AttributeError, NotImplementedError):
            pass  # an old C library, a loop without readers or a sandbox that forbids it
    return LoopTimer(loop, ring)
