"""Open-loop traffic: one pending arrival per source, whatever the length of the run."""

from collections.abc import Callable, Iterator
from itertools import chain, count
from typing import Protocol

from sim.callers.origin import Origin
from sim.platform.ticket import IGNORE, Sink
from sim.time.timeline import Alarm, Timeline
from traffic.request import Request
from traffic.workload import SizePair


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
        self._on_arrival: Callable[[Alarm], None] = self._arrive  # made once: each look makes another
        self._chain()

    def _chain(self) -> None:
        at_ps = next(self._times, None)
        if at_ps is not None:
            Alarm(self.env, at_ps, self._on_arrival)

    def _arrive(self, _alarm: Alarm) -> None:
        at_ps = next(self._times, None)  # as `_chain`, a call less for each arrival
        if at_ps is not None:
            Alarm(self.env, at_ps, self._on_arrival)
        self._ask()


class Client(Protocol):
    """The platform, or who sends for it."""

    def submit(self, request: Request, sink: Sink, /) -> object: ...


class OneRequest:
    """What each arrival does where it is one request, whose prompt has nothing in common with others."""

    def __init__(
        self,
        env: Timeline,
        origin: Origin,
        client: Client,
        number: Callable[[], int],
        sizes: Iterator[list[SizePair]],
        projects: Iterator[str],
    ) -> None:
        self.env = env
        self._origin = origin
        self._client = client
        self._number = number
        self._sizes = sizes
        self._projects = projects

    def ask(self) -> None:
        pair = next(self._sizes)[0]
        request = self._origin.request(self._number(), pair, self.env.now, next(self._projects))
        self._client.submit(request, IGNORE)
