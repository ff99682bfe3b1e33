"""A computer whose time a test sets: it passes when somebody lets it, or at a price per look at the clock."""

from collections.abc import Callable

FIRST_NS = 7_000_000_011
"""A monotonic clock starts anywhere."""
UNIX_S = 1_000_000.25


class SetMachine:
    """A `Machine` for a `Pacer`, and its alarm clock."""

    def __init__(self, look_ns: int = 0) -> None:
        self.now_ns = FIRST_NS
        self.look_ns = look_ns
        """Passes with every look at the clock."""
        self.alarm_ns: int | None = None
        """For when it is set."""
        self.alarms: list[int] = []
        """Every setting, since the start."""
        self.soon: list[Callable[[], None]] = []
        self.closed = False
        self._ring: Callable[[], None]

    # What a pacer asks

    def monotonic_ns(self) -> int:
        self.now_ns += self.look_ns
        return self.now_ns

    def unix_s(self) -> float:
        return UNIX_S

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def alarm_clock(self, ring: Callable[[], None]) -> "SetMachine":
        self._ring = ring
        return self

    def set(self, monotonic_ns: int) -> None:
        assert not self.closed
        self.alarm_ns = monotonic_ns - FIRST_NS
        self.alarms.append(self.alarm_ns)

    def close(self) -> None:
        self.closed, self.alarm_ns = True, None

    # What a test does

    def stand_at(self, ns: int) -> None:
        """Without ringing."""
        self.now_ns = FIRST_NS + ns

    def sleep(self, late_ns: int = 0) -> None:
        """Until the alarm rings, or so much later."""
        assert self.alarm_ns is not None, "it would sleep for ever"
        self.stand_at(self.alarm_ns + late_ns)
        self.alarm_ns = None
        self._ring()

    def turn(self) -> None:
        """One turn of the loop."""
        ready, self.soon = self.soon, []
        for callback in ready:
            callback()
