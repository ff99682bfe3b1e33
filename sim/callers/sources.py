"""Open-loop traffic: one pending arrival per source, whatever the length of the run."""

from collections.abc import Callable, Iterator
from itertools import chain, count

from sim.time.timeline import Alarm, Timeline


class Numbers:
    """Counts the requests of a run; user requests and model requests share the count."""

    def __init__(self) -> None:
        self.next: Callable[[], int] = count().__next__


class OpenSource:
    """Calls `ask` at each arrival time, in order, without waiting for any answer."""

    def __init__(self, env: Timeline, arrivals: Iterator[list[int]], ask: Callable[[], object]) -> None:
        self.env = env
        self._times = chain.from_iterable(arrivals)
        self._ask = ask
        self._chain()

    def _chain(self) -> None:
        at_ps = next(self._times, None)
        if at_ps is not None:
            Alarm(self.env, at_ps, self._arrive)

    def _arrive(self, _alarm: Alarm) -> None:
        at_ps = next(self._times, None)  # as `_chain`, a call less for each arrival
        if at_ps is not None:
            Alarm(self.env, at_ps, self._arrive)
        self._ask()
