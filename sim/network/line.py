"""The access line of one caller: everything that it sends goes up the line, every answer comes down it.

A line is told of whole messages, never of single tokens, and what it has answered stays true. Bytes are work:
the picoseconds that the line takes for them.
"""


class Line:
    __slots__ = ("_busy", "_down_ps", "_down_work_ps")

    def __init__(self) -> None:
        self._busy: list[tuple[int, int]] = []
        """When the line up is taken, from now on: spans apart from each other, in order."""
        self._down_ps = 0
        """When all is through that has come down or is to come down so far."""
        self._down_work_ps = 0
        """All of that together."""

    def up(self, now_ps: int, ready_ps: int, work_ps: int) -> int:
        """When a message is through that is sent now and can go from `ready_ps` on, its connection being up.

        It takes whatever time the messages before it have left from then on. `now_ps` must not decrease.
        """
        busy = self._busy
        while busy and busy[0][1] <= now_ps:
            del busy[0]
        if not busy or busy[-1][1] < ready_ps:
            busy.append((ready_ps, ready_ps + work_ps))
            return ready_ps + work_ps
        return self._squeeze_in(ready_ps, work_ps)

    def _squeeze_in(self, ready_ps: int, work_ps: int) -> int:
        """From `ready_ps` until it is through, the line has no gap left: one span stands for all of that."""
        before = [span for span in self._busy if span[1] < ready_ps]
        others = self._busy[len(before) :]
        start_ps, through_ps = ready_ps, ready_ps + work_ps
        while others and others[0][0] < through_ps:
            taken_from_ps, taken_to_ps = others.pop(0)
            start_ps = min(start_ps, taken_from_ps)
            through_ps += taken_to_ps - max(taken_from_ps, ready_ps)
        self._busy = [*before, (start_ps, through_ps), *others]
        return through_ps

    def is_idle(self, now_ps: int) -> bool:
        """Nothing is under way in either direction, or set to come."""
        return self._down_ps <= now_ps and (not self._busy or self._busy[-1][1] <= now_ps)

    def down(self, now_ps: int, work_ps: int) -> int:
        """When a message is through that comes to the line now: behind all that it knows of."""
        self._down_work_ps += work_ps
        self._down_ps = through_ps = max(now_ps, self._down_ps) + work_ps
        return through_ps

    def idle_ps(self) -> int:
        """How long the line has had nothing to carry down, up to the end of all that it knows of."""
        return self._down_ps - self._down_work_ps

    def stream_down(self, now_ps: int, event_ps: int, events: int, idle_before_ps: int) -> int:
        """When the last of `events` is through that came to the line one by one, the last of them now.

        Those before it have used the time that the line was idle since `idle_before_ps`. Where that was too
        short, the rest of them goes now, with the last one.
        """
        free_ps, work_ps = max(now_ps, self._down_ps), event_ps * events
        idle_ps = free_ps - self._down_work_ps - idle_before_ps
        self._down_work_ps += work_ps
        if idle_ps > 0:
            free_ps -= min(idle_ps, work_ps - event_ps)
        self._down_ps = through_ps = free_ps + work_ps
        return through_ps
