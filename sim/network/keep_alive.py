"""How a caller treats its connections, and the pool of those that wait for their next request."""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

from sim.network.line import AccessLine

Tls = Literal["none", "1.2", "1.3"]
Connections = Literal["pooled", "per_request"]


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """`users` independent callers share nothing, neither connections nor an access line; each request comes
    from one of them, drawn at random.

    A connection carries one request at a time (HTTP/1.1). `dns_lookup_ms` absent: what the path says.
    """

    connections: Connections = "pooled"
    users: int = 1
    idle_timeout_s: float = 60.0
    tls: Tls = "1.3"
    dns_lookup_ms: float | None = None
    slow_start_after_idle: bool = True
    """Linux forgets the window of a connection that was idle for a retransmission time-out."""


class Connection:
    """What one TCP connection remembers between requests, and of the answer that it carries."""

    __slots__ = (
        "back_window",
        "base_ps",
        "began_ps",
        "free_ps",
        "idle_ps",
        "left_ps",
        "line",
        "next_window",
        "number",
        "pool",
        "scales_ps",
        "window",
    )

    def __init__(
        self, number: int, pool: "ConnectionPool", base_ps: int, scales_ps: list[float], window: int
    ) -> None:
        self.number = number
        self.pool = pool
        self.line = pool.line
        self.base_ps = base_ps
        self.scales_ps = scales_ps
        self.window = window  # of the caller, in segments
        self.free_ps = -1
        self.back_window = window  # of the server, when its answer began
        self.next_window = window  # of the server, for its next answer
        self.left_ps = 0  # when its last answer had left
        self.began_ps = 0  # when its answer began
        self.idle_ps = 0  # how long the line had been idle by then


class ConnectionPool:
    """Of one user: hands out the connection that fell idle last, as HTTP clients do.

    Where it `keeps` none, every request sets one up. `line`: the user's own, None where it has no limit.
    """

    __slots__ = ("_idle", "_idle_timeout_ps", "_keeps", "_returning", "line")

    def __init__(self, idle_timeout_ps: int, *, keeps: bool = True, line: AccessLine | None = None) -> None:
        self.line = line
        self._keeps = keeps
        self._idle_timeout_ps = idle_timeout_ps
        self._idle: list[Connection] = []  # ascending in free_ps
        self._returning: list[tuple[int, int, Connection]] = []  # a heap of those that fall idle later

    def take(self, now_ps: int) -> Connection | None:
        """An idle connection that the server has not closed, or None."""
        idle, returning = self._idle, self._returning
        while returning and returning[0][0] <= now_ps:
            idle.append(heappop(returning)[2])
        if not idle:
            return None
        connection = idle[-1]
        if now_ps - connection.free_ps > self._idle_timeout_ps:
            idle.clear()  # the others have waited longer
            return None
        idle.pop()
        return connection

    def is_cold(self, now_ps: int) -> bool:
        """The server has closed every connection by now, none is to come back, and the line is idle."""
        if self.line is not None and not self.line.is_idle(now_ps):
            return False
        last_ps = max(
            (
                connection.free_ps
                for connection in (*self._idle[-1:], *(entry[2] for entry in self._returning))
            ),
            default=-1,
        )
        return last_ps < 0 or now_ps - last_ps > self._idle_timeout_ps

    def put(self, connection: Connection, free_ps: int) -> None:
        """`free_ps` is not before the last `take`, and may lie ahead."""
        connection.free_ps = free_ps
        if self._keeps:
            heappush(self._returning, (free_ps, connection.number, connection))
