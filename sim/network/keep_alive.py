"""How a caller treats its connections, and the pool of those that wait for their next request."""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

Tls = Literal["none", "1.2", "1.3"]


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """`users` independent callers share nothing; each request comes from one of them, drawn at random.

    A connection carries one request at a time (HTTP/1.1). `dns_lookup_ms` absent: what the path says.
    """

    connections: Literal["pooled", "per_request"] = "pooled"
    users: int = 1
    idle_timeout_s: float = 60.0
    tls: Tls = "1.3"
    dns_lookup_ms: float | None = None
    slow_start_after_idle: bool = True
    """Linux forgets the window of a connection that was idle for a retransmission time-out."""


class Connection:
    """What one TCP connection remembers between requests."""

    __slots__ = ("base_ps", "free_ps", "number", "pool", "scales_ps", "window")

    def __init__(
        self, number: int, pool: "ConnectionPool | None", base_ps: int, scales_ps: list[float], window: int
    ) -> None:
        self.number = number
        self.pool = pool
        self.base_ps = base_ps
        self.scales_ps = scales_ps
        self.window = window
        self.free_ps = -1


class ConnectionPool:
    """Of one user: hands out the connection that fell idle last, as HTTP clients do."""

    __slots__ = ("_idle", "_idle_timeout_ps", "_returning")

    def __init__(self, idle_timeout_ps: int) -> None:
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
        """The server has closed every connection by now, and none is to come back."""
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
        heappush(self._returning, (free_ps, connection.number, connection))
