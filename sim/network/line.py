"""The access line of one caller: everything that it sends goes up the line, every answer comes down it.

A line is told of whole messages, never of single tokens, and what it has answered stays true. Bytes are work:
the picoseconds that the line takes for them.
"""


class AccessLine:
    __slots__ = ("_down_ps", "_down_work_ps", "_gaps", "_up_ps")

    def __init__(self) -> None:
        self._up_ps = 0
        """When all is through that goes up the line so far."""
        self._gaps: list[tuple[int, int]] = []
        """Spans before that in which nothing goes up, in order: connections are being set up."""
        self._down_ps = 0
        """When all is through that has come down or is to come down so far."""
        self._down_work_ps = 0
        """All of that together."""

    def up(self, now_ps: int, ready_ps: int, work_ps: int) -> int:
        """When a message is through that is sent now and can go from `ready_ps` on, its connection being up.

        It takes whatever time the messages before it have left from then on. `now_ps` must not decrease.
        """
        if ready_ps < self._up_ps:
            return self._squeeze_in(now_ps, ready_ps, work_ps)
        if now_ps < ready_ps != self._up_ps:
            self._gaps = [gap for gap in self._gaps if gap[1] > now_ps]
            self._gaps.append((max(now_ps, self._up_ps), ready_ps))
        self._up_ps = through_ps = ready_ps + work_ps
        return through_ps

    def _squeeze_in(self, now_ps: int, ready_ps: int, work_ps: int) -> int:
        """Fill the gaps from `ready_ps` on; what they do not hold goes behind everything."""
        through_ps, gaps = ready_ps, list[tuple[int, int]]()
        for start_ps, stop_ps in self._gaps:
            from_ps = max(start_ps, ready_ps)
            to_ps = min(stop_ps, from_ps + work_ps)
            if to_ps <= from_ps:  # over before the message is ready, or nothing is left of it
                gaps.append((start_ps, stop_ps))
                continue
            work_ps -= to_ps - from_ps
            through_ps = to_ps
            gaps += [(start_ps, from_ps), (to_ps, stop_ps)]
        self._gaps = [gap for gap in gaps if gap[0] < gap[1] and gap[1] > now_ps]
        if work_ps:
            self._up_ps = through_ps = self._up_ps + work_ps
        return through_ps

    def is_idle(self, now_ps: int) -> bool:
        """Nothing is under way in either direction, or set to come."""
        return max(self._up_ps, self._down_ps) <= now_ps

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
