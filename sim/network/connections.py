"""A caller's connections to one server: when a request arrives there, and how long its answer takes back."""

from collections.abc import Callable
from math import inf
from typing import NamedTuple

from numpy.random import Generator

from sim.network.keep_alive import Connection, ConnectionPool, KeepAlive
from sim.network.path import Path
from sim.network.transport import (
    TCP_ROUND_TRIPS,
    TLS_ROUND_TRIPS,
    Transport,
    retransmission_ps,
    set_up_loss_ps,
    slow_start,
    transport,
)
from sim.network.variates import MESSAGE_BLOCK, is_quiet, messages, openings, users
from sim.time.units import PS_PER_S, ps_of_ms, ps_of_s


class Departure(NamedTuple):
    """A request on its way, and the way back of its answer.

    The first byte reaches the caller at `first_ps + back_first_ps`; the last at `last_ps + back_last_ps`, or
    with the first if that is later, since TCP keeps the order.
    """

    sent_ps: int
    connected_ps: int
    arrived_ps: int
    """The whole request is there."""
    cold: bool
    """The connection had to be set up."""
    connection: Connection | None
    """To be released; None on a path that needs none."""
    back_first_ps: int
    back_last_ps: int


class Link:
    """All connections of one caller over one path. Send times must not decrease.

    The n-th request and the n-th connection have the same jitter in every run with the same `rng`.
    """

    def __init__(
        self,
        path: Path,
        rng: Generator,
        keep_alive: KeepAlive,
        wire: Transport | None = None,
        block: int = MESSAGE_BLOCK,
    ) -> None:
        """Draws for `block` messages are made at once, and kept until they are used."""
        wire = wire or transport()
        dns_ms = path.dns_lookup_ms if keep_alive.dns_lookup_ms is None else keep_alive.dns_lookup_ms
        self.path = path
        self.keep_alive = keep_alive
        self._instant = is_free(path, dns_ms)
        self._rtt_ps = ps_of_ms(path.rtt_ms)
        self._dns_ps = ps_of_ms(dns_ms)
        self._tls_round_trips = TLS_ROUND_TRIPS[keep_alive.tls]
        self._set_up_round_trips = TCP_ROUND_TRIPS + self._tls_round_trips
        self._rto_ps, self._syn_rto_ps = wire.rto_ps(path), ps_of_ms(wire.syn_rto_ms)
        self._up_ps_per_byte = ps_per_byte(path.up_mbit_per_s)
        self._event_ps = int(wire.event_bytes * ps_per_byte(path.down_mbit_per_s))
        self._request_bytes, self._bytes_per_token = wire.request_bytes, wire.bytes_per_prompt_token
        self._mss_bytes, self._window = wire.mss_bytes, wire.initial_window_segments
        # Reading the draws of one kind must not shift those of another, hence a generator each.
        draws = [rng, rng, rng] if is_quiet(path) and keep_alive.users == 1 else rng.spawn(3)
        self._next_message = messages(path, draws[0], wire.noise_share, block).__next__
        self._next_opening = openings(path, draws[1], wire.noise_share, max(1, block // 8)).__next__
        self._alone: ConnectionPool | None = None
        self._pool_of_next = self._pools(draws[2])
        self._forgets_window = keep_alive.slow_start_after_idle
        self._opened = 0
        self._now_ps = 0

    def send(self, now_ps: int, prompt_tokens: int) -> Departure:
        if self._instant:
            return Departure(now_ps, now_ps, now_ps, False, None, 0, 0)
        assert now_ps >= self._now_ps, (now_ps, self._now_ps)
        self._now_ps = now_ps
        out_ps, first_ps, last_ps, lost_out, lost_first, lost_last, factors = self._next_message()
        connection, cold, connected_ps = self._take(now_ps)
        if factors:
            for scale_ps, (out, first, last) in zip(connection.scales_ps, factors, strict=True):
                out_ps += int(scale_ps * out)
                first_ps += int(scale_ps * first)
                last_ps += int(scale_ps * last)
        usual_ps = self._rtt_ps + connection.base_ps
        rtt_ps = usual_ps + out_ps
        if cold:
            connected_ps += self._set_up_round_trips * rtt_ps
        size_bytes = int(self._request_bytes + self._bytes_per_token * prompt_tokens)
        segments = -(-size_bytes // self._mss_bytes)
        arrived_ps = connected_ps + rtt_ps // 2 + int(size_bytes * self._up_ps_per_byte)
        if segments > connection.window:
            flights, connection.window = slow_start(segments, connection.window)
            arrived_ps += (flights - 1) * rtt_ps
        if lost_out <= segments:
            arrived_ps += retransmission_ps(lost_out, segments, rtt_ps, self._rto_ps)
        back_first_ps = (usual_ps + first_ps) // 2 + self._event_ps
        back_last_ps = (usual_ps + last_ps) // 2 + self._event_ps
        # A token is a segment of its own, so nothing behind it reveals its loss: it waits for the time-out.
        if lost_first == 1:
            back_first_ps += self._rto_ps
        if lost_last == 1:
            back_last_ps += self._rto_ps
        return Departure(now_ps, connected_ps, arrived_ps, cold, connection, back_first_ps, back_last_ps)

    def release(self, connection: Connection | None, free_ps: int) -> None:
        """The answer reaches the caller at `free_ps`, now or later. What is never released was closed."""
        if connection is not None and connection.pool is not None:
            assert free_ps >= self._now_ps, (free_ps, self._now_ps)
            connection.pool.put(connection, free_ps)

    def is_cold(self, now_ps: int) -> bool:
        """The next request opens a connection whatever came before, if no other one is under way.

        Only known where all connections are one user's.
        """
        return self._alone is not None and self._alone.is_cold(now_ps)

    def _take(self, now_ps: int) -> tuple[Connection, bool, int]:
        """(connection, whether it is new, when its set-up would be done if round trips took no time)."""
        pool = self._pool_of_next()
        connection = None if pool is None else pool.take(now_ps)
        if connection is None:
            base_ps, scales_ps, first_lost = self._next_opening()
            connection = Connection(self._opened, pool, base_ps, scales_ps, self._window)
            self._opened += 1
            lost_ps = set_up_loss_ps(first_lost, self._tls_round_trips, self._syn_rto_ps, self._rto_ps)
            return connection, True, now_ps + self._dns_ps + lost_ps
        if self._forgets_window and now_ps - connection.free_ps > self._rto_ps:
            connection.window = self._window
        return connection, False, now_ps

    def _pools(self, rng: Generator) -> Callable[[], ConnectionPool | None]:
        """Whose pool the next request takes its connection from."""
        keep_alive = self.keep_alive
        if keep_alive.connections == "per_request":
            return lambda: None
        idle_timeout_ps = ps_of_s(keep_alive.idle_timeout_s)
        if keep_alive.users == 1:
            alone = self._alone = ConnectionPool(idle_timeout_ps)
            return lambda: alone
        pools: dict[int, ConnectionPool] = {}
        next_user = users(rng, keep_alive.users).__next__

        def of_next() -> ConnectionPool:
            user = next_user()
            pool = pools.get(user)
            if pool is None:
                pool = pools[user] = ConnectionPool(idle_timeout_ps)
            return pool

        return of_next


def is_free(path: Path, dns_lookup_ms: float) -> bool:
    """Nothing on it takes time, so there is nothing to keep alive either."""
    floor_ms = path.rtt_ms + dns_lookup_ms
    return not path.hops or (
        floor_ms == 0 and is_quiet(path) and path.up_mbit_per_s == path.down_mbit_per_s == inf
    )


def ps_per_byte(mbit_per_s: float) -> float:
    return 8 * PS_PER_S / (mbit_per_s * 10**6)
