"""Limits that count what was taken in a window. What goes beyond the limit is owed and paid first.

A reservation can turn out too small long after its window, when the use is past preventing. It must count all
the same, or small reservations would lift the limit: the excess is charged when it becomes known.
"""

from collections import deque

from sim.platform.meter import Rate


class Charge:
    """An amount that counts for one window."""

    __slots__ = ("amount", "at_ps")

    def __init__(self, at_ps: int, amount: int) -> None:
        self.at_ps = at_ps
        self.amount = amount


class SlidingWindow:
    """At most `limit` in any window, debts included: they are charged as older charges expire.

    While anything is owed the window is full. Holds one charge for each request of the last window, and one
    for each payment.
    """

    __slots__ = ("_charged", "_charges", "_owed", "_window_ps", "limit")

    def __init__(self, rate: Rate) -> None:
        self.limit, self._window_ps = rate.limit, rate.window_ps
        self._charges: deque[Charge] = deque()
        self._charged = 0
        self._owed = 0

    def used(self, now_ps: int) -> int:
        self._expire(now_ps)
        return self._charged + self._owed

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        if amount > self.limit:
            return None
        excess = self.used(now_ps) + amount - self.limit
        if excess <= 0:
            return 0
        # While something is owed, each charge is followed by one of the same size a window later: the window
        # repeats itself, and lets go of `limit` per round.
        rounds, excess = divmod(excess - 1, self.limit)
        for charge in self._charges:
            excess -= charge.amount
            if excess < 0:
                return charge.at_ps + (rounds + 1) * self._window_ps - now_ps
        raise AssertionError("the charges sum up to what is used")

    def take(self, now_ps: int, amount: int) -> None:
        self._expire(now_ps)
        self._owed += amount
        self._pay(now_ps)

    def reserve(self, now_ps: int, amount: int) -> Charge:
        self._expire(now_ps)
        assert self.used(now_ps) + amount <= self.limit
        return self._charge(now_ps, amount)

    def settle(self, now_ps: int, reservation: Charge, unused: int) -> None:
        """Within its window a charge becomes what was used; after it nothing is left of it."""
        self._expire(now_ps)
        if reservation.at_ps > now_ps - self._window_ps:
            reservation.amount -= unused
            self._charged -= unused
            self._pay(now_ps)

    def _charge(self, at_ps: int, amount: int) -> Charge:
        charge = Charge(at_ps, amount)
        self._charges.append(charge)
        self._charged += amount
        return charge

    def _pay(self, at_ps: int) -> None:
        payment = min(self._owed, self.limit - self._charged)
        if payment:
            self._owed -= payment
            self._charge(at_ps, payment)

    def _expire(self, now_ps: int) -> None:
        self._repeat(now_ps)
        charges = self._charges
        while charges and charges[0].at_ps <= now_ps - self._window_ps:
            charge = charges.popleft()
            self._charged -= charge.amount
            self._pay(charge.at_ps + self._window_ps)

    def _repeat(self, now_ps: int) -> None:
        """Whole rounds that only paid debts, at once: however long nobody asked, and however much is owed."""
        if self._owed < self.limit:
            return
        rounds = min(self._owed // self.limit, (now_ps - self._charges[-1].at_ps) // self._window_ps)
        if rounds:
            later_ps = rounds * self._window_ps
            self._charges = deque(Charge(charge.at_ps + later_ps, charge.amount) for charge in self._charges)
            self._owed -= rounds * self.limit


class FixedWindow:
    """At most `limit` in a window of the clock; the next one begins with what went beyond, not with 0."""

    __slots__ = ("_number", "_used", "_window_ps", "limit")

    def __init__(self, rate: Rate) -> None:
        self.limit, self._window_ps = rate.limit, rate.window_ps
        self._number = 0  # of the window that was looked at last
        self._used = 0

    def used(self, now_ps: int) -> int:
        number = now_ps // self._window_ps
        self._used = max(0, self._used - (number - self._number) * self.limit)
        self._number = number
        return self._used

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        if amount > self.limit:
            return None
        excess = self.used(now_ps) + amount - self.limit
        if excess <= 0:
            return 0
        windows = -(-excess // self.limit)
        return windows * self._window_ps - now_ps % self._window_ps

    def take(self, now_ps: int, amount: int) -> None:
        self._used = self.used(now_ps) + amount

    def reserve(self, now_ps: int, amount: int) -> int:
        """The number of the window."""
        self.take(now_ps, amount)
        return self._number

    def settle(self, now_ps: int, reservation: int, unused: int) -> None:
        """Within its window a reservation becomes what was used; later it stays as it was."""
        used = self.used(now_ps)
        if reservation == self._number:
            self._used = used - unused
