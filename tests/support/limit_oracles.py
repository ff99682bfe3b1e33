"""The rate-limit algorithms as their laws are told, worked out from the whole history at every question."""

from dataclasses import dataclass
from fractions import Fraction

from sim.platform.meter import PS_PER_MINUTE
from tests.support.limiting import QUANTUM_PS


@dataclass
class Entry:
    """An amount as it counts, and when it began to."""

    at_ps: int
    amount: int


class History:
    """What was taken, in order; a settled reservation stands with what was used of it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: list[Entry] = []

    def reserve(self, now_ps: int, amount: int) -> Entry:
        self.entries.append(Entry(now_ps, amount))
        return self.entries[-1]

    def settle(self, now_ps: int, entry: Entry, used: int) -> None:
        if used > entry.amount:
            self.entries.append(Entry(now_ps, used - entry.amount))
        elif self.gives_back(now_ps, entry):
            entry.amount = used

    def gives_back(self, now_ps: int, entry: Entry) -> bool:
        del now_ps, entry
        return True

    def in_use(self, now_ps: int) -> Fraction:
        raise NotImplementedError

    def admits(self, now_ps: int, amount: int) -> bool:
        return self.in_use(now_ps) + amount <= self.limit


class Bucket(History):
    """The level, drained from entry to entry since the beginning of time."""

    def in_use(self, now_ps: int) -> Fraction:
        level, at_ps = Fraction(0), 0
        for entry in [*self.entries, Entry(now_ps, 0)]:
            refilled = Fraction(self.limit * (entry.at_ps - at_ps), PS_PER_MINUTE)
            level, at_ps = max(Fraction(0), level - refilled) + entry.amount, entry.at_ps
        return level


class Sliding(History):
    """Excess waits in line, and is charged bit by bit at the first instants at which the window has room.

    Room comes only when an entry is corrected or a minute old, so each of those instants is looked at.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.owed = 0
        self.seen_ps = 0

    def settle(self, now_ps: int, entry: Entry, used: int) -> None:
        self._pay_until(now_ps)
        self.owed += max(0, used - entry.amount)
        if self.gives_back(now_ps, entry):
            entry.amount = min(used, entry.amount)
        self._pay(now_ps)

    def gives_back(self, now_ps: int, entry: Entry) -> bool:
        return now_ps - entry.at_ps < PS_PER_MINUTE

    def in_use(self, now_ps: int) -> Fraction:
        self._pay_until(now_ps)
        return Fraction(self._charged(now_ps) + self.owed)

    def _pay_until(self, now_ps: int) -> None:
        while self.owed:
            expiries = [entry.at_ps + PS_PER_MINUTE for entry in self.entries]
            due = [at_ps for at_ps in expiries if self.seen_ps < at_ps <= now_ps]
            if not due:
                break
            self._pay(min(due))
        self.seen_ps = now_ps

    def _pay(self, at_ps: int) -> None:
        self.seen_ps = at_ps
        room = self.limit - self._charged(at_ps)
        if self.owed and room:
            self.entries.append(Entry(at_ps, min(self.owed, room)))
            self.owed -= min(self.owed, room)

    def _charged(self, at_ps: int) -> int:
        return sum(e.amount for e in self.entries if at_ps - PS_PER_MINUTE < e.at_ps <= at_ps)


class Fixed(History):
    """Minute after minute from the first: what goes beyond the limit begins the next one."""

    def gives_back(self, now_ps: int, entry: Entry) -> bool:
        return entry.at_ps // PS_PER_MINUTE == now_ps // PS_PER_MINUTE

    def in_use(self, now_ps: int) -> Fraction:
        carried = taken = 0
        for minute in range(now_ps // PS_PER_MINUTE + 1):
            taken = sum(e.amount for e in self.entries if e.at_ps // PS_PER_MINUTE == minute) + carried
            carried = max(0, taken - self.limit)
        return Fraction(taken)


class Quantised(Bucket):
    """The same, of what happened at the beginnings of the quanta."""

    def reserve(self, now_ps: int, amount: int) -> Entry:
        return super().reserve(_turn_ps(now_ps), amount)

    def settle(self, now_ps: int, entry: Entry, used: int) -> None:
        super().settle(_turn_ps(now_ps), entry, used)

    def in_use(self, now_ps: int) -> Fraction:
        return super().in_use(_turn_ps(now_ps))


def _turn_ps(now_ps: int) -> int:
    return now_ps // QUANTUM_PS * QUANTUM_PS


ORACLES = {"token_bucket": Bucket, "sliding_window": Sliding, "fixed_window": Fixed, "quantised": Quantised}
