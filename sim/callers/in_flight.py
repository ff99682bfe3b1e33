"""A client that has no more requests under way than it may, as load tools do: the others wait at it."""

from collections import deque
from collections.abc import Callable

from sim.platform.rate_limit import Headroom, Refusal
from sim.time.timeline import ARRIVAL, FEEDBACK, Alarm, Timeline


class InFlight:
    """A line before `send`: first come, first, and at most `most` between their sending and their answer.

    Who leaves because an answer has come meets the node in the step that follows. It is a sink, for
    those who need no other.
    """

    def __init__(self, env: Timeline, most: int, send: Callable[[int], object]) -> None:
        self._env = env
        self._free = most
        self._send = send
        self._line: deque[int] = deque()

    def arrive(self, who: int) -> None:
        """`who` is sent now, or waits."""
        if self._free:
            self._free -= 1
            self._send(who)
        else:
            self._line.append(who)

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def first_token(self, at_ps: int) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        del refusal
        self.over(at_ps)

    def ended(self, at_ps: int, reason: str) -> None:
        del reason
        self.over(at_ps)

    def over(self, at_ps: int) -> None:
        """An answer, or a refusal, reaches the client at `at_ps`."""
        Alarm(self._env, at_ps, self._one_less, None, FEEDBACK if at_ps == self._env.now else ARRIVAL)

    def send_rest(self) -> None:
        """The run is over: who waits has been meant, and is to be seen in its records."""
        while self._line:
            self._send(self._line.popleft())

    def _one_less(self, _alarm: Alarm) -> None:
        if self._line:
            self._send(self._line.popleft())
        else:
            self._free += 1
