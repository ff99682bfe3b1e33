"""A caller's connections to one server: when a request arrives there, and when its answer is back."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from numpy.random import Generator

from sim.network.keep_alive import Connection, ConnectionPool, KeepAlive
from sim.network.line import AccessLine
from sim.network.path import Path
from sim.network.transport import (
    NEVER_LOST,
    TCP_ROUND_TRIPS,
    TLS_ROUND_TRIPS,
    Transport,
    retransmission_ps,
    set_up_loss_ps,
    slow_start,
    transport,
)
from sim.network.trouble import Trouble
from sim.network.variates import MESSAGE_BLOCK, is_quiet, messages, openings, users
from sim.time.units import PS_PER_S, ps_of_ms, ps_of_s

ANY_NUMBER = 2**62
MOST_DOUBLINGS = 40
"""Of a window, before anything that is sent fits into it."""


@dataclass(slots=True, init=False)
class Departure:
    """A request on its way, and what chance has in store for its answer. Nothing ever changes it."""

    sent_ps: int
    connected_ps: int
    arrived_ps: int
    """The whole request is there."""
    cold: bool
    """The connection had to be set up."""
    connection: Connection | None
    """To be released; None on a path that needs none."""
    back_first_ps: int
    """How long the first event of a streamed answer takes, unless it waits for the caller's line."""
    back_rtt_ps: int
    """The round trip that the end of the answer meets."""
    back_lost: int
    """Number of the first segment lost of an answer in one piece; 1: the last event of a stream is lost."""
    lost_out_ps: int = 0
    """Of the way in, what lost segments took: those of the set-up included, those of an outage not."""
    lost_first_ps: int = 0
    """The same of the first event of a streamed answer."""

    def __init__(
        self,
        sent_ps: int,
        connected_ps: int,
        arrived_ps: int,
        cold: bool,
        connection: Connection | None,
        back_first_ps: int,
        back_rtt_ps: int,
        back_lost: int,
        lost_out_ps: int = 0,
        lost_first_ps: int = 0,
    ) -> None:
        """As that of `Request`."""
        self.sent_ps = sent_ps
        self.connected_ps = connected_ps
        self.arrived_ps = arrived_ps
        self.cold = cold
        self.connection = connection
        self.back_first_ps = back_first_ps
        self.back_rtt_ps = back_rtt_ps
        self.back_lost = back_lost
        self.lost_out_ps = lost_out_ps
        self.lost_first_ps = lost_first_ps


class Link:
    """All connections of one caller over one path. Send times must not decrease, nor those of answers.

    The n-th request and the n-th connection have the same jitter in every run with the same `rng`.

    An answer comes back as a stream (`begins`, then `ends`) or in one piece (`whole`). Both take

    - half a round trip, and the time of all bytes on the thinnest hop of the path;
    - the round trips in which the window of TCP at the server is too small for them (slow start);
    - the caller's turn on the line that all of its streams share (`sim.network.line`).

    A stream is treated as if all of its tokens were made with the first one, except that it ends no earlier
    than its last token has come over. That is exact where the path is much faster or much slower than the
    node; in between, the answer ends somewhat too early.
    """

    def __init__(
        self,
        path: Path,
        rng: Generator,
        keep_alive: KeepAlive,
        wire: Transport | None = None,
        block: int = MESSAGE_BLOCK,
        trouble: Trouble | None = None,
    ) -> None:
        """Draws for `block` messages are made at once, and kept until they are used.

        `trouble` is what is wrong with the path, for whoever breaks it.
        """
        self.path = path
        self.trouble = trouble or Trouble()
        self.keep_alive = keep_alive
        self.wire = wire = wire or transport()
        dns_ms = path.dns_lookup_ms if keep_alive.dns_lookup_ms is None else keep_alive.dns_lookup_ms
        self._instant = is_free(path, dns_ms)
        self.rtt_ps = ps_of_ms(path.rtt_ms)
        self.dns_ps = ps_of_ms(dns_ms)
        self.tls_round_trips = TLS_ROUND_TRIPS[keep_alive.tls]
        self._set_up_round_trips = TCP_ROUND_TRIPS + self.tls_round_trips
        self._rto_ps, self._syn_rto_ps = wire.rto_ps(path), ps_of_ms(wire.syn_rto_ms)
        self.up_ps_per_byte = ps_per_byte(path.up_mbit_per_s)
        self.down_ps_per_byte = ps_per_byte(path.down_mbit_per_s)
        self.event_ps = int(wire.event_bytes * self.down_ps_per_byte)
        self._line_up_ps_per_byte = ps_per_byte(path.line_up_mbit_per_s)
        self._line_down_ps_per_byte = ps_per_byte(path.line_down_mbit_per_s)
        self._line_event_ps = int(wire.event_bytes * self._line_down_ps_per_byte)
        self._request_bytes, self._bytes_per_token = wire.request_bytes, wire.bytes_per_prompt_token
        self._event_bytes = wire.event_bytes
        self._mss_bytes, self._window = wire.mss_bytes, wire.initial_window_segments
        self._segment_up_ps = int(wire.mss_bytes * self.up_ps_per_byte)
        self._segment_down_ps = int(wire.mss_bytes * self.down_ps_per_byte)
        # Reading the draws of one kind must not shift those of another, hence a generator each.
        draws = [rng, rng, rng] if is_quiet(path) and keep_alive.users == 1 else rng.spawn(3)
        self._next_message = messages(path, draws[0], wire.noise_share, block).__next__
        self._next_opening = openings(path, draws[1], wire.noise_share, max(1, block // 8)).__next__
        self._alone = self._make_pool() if keep_alive.users == 1 else None
        self._pool_of = self._pools(draws[2])
        self._forgets_window = keep_alive.slow_start_after_idle
        self._opened = 0
        self._now_ps = 0

    # The way out

    def send(self, now_ps: int, prompt_tokens: int, user: int = -1) -> Departure:
        """`user` is whose connection it goes over, by a number that is his alone; -1: any of them."""
        if self._instant:
            arrived_ps = now_ps if not self.trouble.active else self._troubled(now_ps, now_ps)
            return Departure(now_ps, now_ps, arrived_ps, False, None, 0, 0, NEVER_LOST)
        assert now_ps >= self._now_ps, (now_ps, self._now_ps)
        self._now_ps = now_ps
        message: tuple[int, int, int, int, int, int, list[list[float]]] = self._next_message()
        out_ps, first_ps, last_ps, lost_out, lost_first, lost_last, factors = message
        connection, cold, connected_ps = self._take(now_ps, user)
        if factors:
            for scale_ps, (out, first, last) in zip(connection.scales_ps, factors, strict=True):
                out_ps += int(scale_ps * out)
                first_ps += int(scale_ps * first)
                last_ps += int(scale_ps * last)
        usual_ps = self.rtt_ps + connection.base_ps
        rtt_ps = usual_ps + out_ps
        lost_ps = 0
        if cold:
            lost_ps = connected_ps - now_ps - self.dns_ps
            connected_ps += self._set_up_round_trips * rtt_ps
        size_bytes = int(self._request_bytes + self._bytes_per_token * prompt_tokens)
        segments = -(-size_bytes // self._mss_bytes)
        arrived_ps = connected_ps + int(size_bytes * self.up_ps_per_byte)
        line = connection.line
        if line is not None:
            turn_ps = line.up(now_ps, connected_ps, int(size_bytes * self._line_up_ps_per_byte))
            arrived_ps = max(arrived_ps, turn_ps)
        arrived_ps += rtt_ps // 2
        if segments > connection.window:
            held_ps, _, connection.window = slow_start(
                segments, connection.window, rtt_ps, self._segment_up_ps
            )
            arrived_ps += held_ps
        if lost_out <= segments:
            again_ps = retransmission_ps(lost_out, segments, rtt_ps, self._rto_ps)
            arrived_ps += again_ps
            lost_ps += again_ps
        if self.trouble.active:
            held_ps, set_up_ps, again_ps = self._way_in_trouble_ps(now_ps, segments, rtt_ps, cold=cold)
            arrived_ps += held_ps + set_up_ps + again_ps
            connected_ps += held_ps + set_up_ps if cold else 0
            lost_ps += set_up_ps + again_ps
        back_first_ps = (usual_ps + first_ps) // 2 + self.event_ps
        # A token is a segment of its own, so nothing behind it reveals its loss: it waits for the time-out.
        lost_first_ps = self._rto_ps if lost_first == 1 else 0
        return Departure(
            now_ps,
            connected_ps,
            arrived_ps,
            cold,
            connection,
            back_first_ps + lost_first_ps,
            usual_ps + last_ps,
            lost_last,
            lost_ps,
            lost_first_ps,
        )

    # The way back

    def begins(self, departure: Departure, now_ps: int) -> int:
        """When the first event of a stream, which leaves the server now, is at the caller."""
        connection = departure.connection
        if connection is None:
            return now_ps if not self.trouble.active else self._troubled(now_ps, now_ps)
        self._open_answer(connection, now_ps)
        line, at_ps = connection.line, now_ps
        if line is not None:
            through_ps = line.down(now_ps, self._line_event_ps)
            connection.idle_ps = line.idle_ps()
            at_ps = max(now_ps, through_ps - self.event_ps)
        at_ps += departure.back_first_ps
        return at_ps if not self.trouble.active else self._troubled(at_ps, now_ps)

    def ends(self, departure: Departure, now_ps: int, events: int) -> int:
        """When the last of two or more events of a stream that has begun is at the caller; it leaves now."""
        connection = departure.connection
        if connection is None:
            return now_ps if not self.trouble.active else self._troubled(now_ps, now_ps)
        rtt_ps, window, began_ps = departure.back_rtt_ps, connection.back_window, connection.began_ps
        over_ps, together_ps = now_ps + self.event_ps, began_ps + events * self.event_ps
        segments = -(-int(events * self._event_bytes) // self._mss_bytes)
        # A server that waits for tokens is held up by no window, and does not widen it either.
        if segments > window and now_ps < together_ps + (segments // window).bit_length() * rtt_ps:
            held_ps, _, window = slow_start(segments, window, rtt_ps, self._segment_down_ps)
            if together_ps + held_ps > over_ps:
                connection.next_window = window
                together_ps += held_ps
        over_ps = max(over_ps, together_ps)
        line = connection.line
        if line is not None:
            turn_ps = line.stream_down(now_ps, self._line_event_ps, events - 1, connection.idle_ps)
            over_ps = max(over_ps, turn_ps)
        connection.left_ps = over_ps
        if departure.back_lost == 1:
            over_ps += self._rto_ps
        over_ps += rtt_ps // 2
        return over_ps if not self.trouble.active else self._troubled(over_ps, now_ps)

    def whole(self, departure: Departure, now_ps: int, tokens: int) -> int:
        """When an answer in one piece, which leaves now, is at the caller; a refusal has no tokens."""
        connection = departure.connection
        if connection is None:
            return now_ps if not self.trouble.active else self._troubled(now_ps, now_ps)
        self._open_answer(connection, now_ps)
        size_bytes, rtt_ps = self.wire.answer_size_bytes(tokens), departure.back_rtt_ps
        segments = -(-size_bytes // self._mss_bytes)
        over_ps = now_ps + int(size_bytes * self.down_ps_per_byte)
        if segments > connection.back_window:
            held_ps, _, connection.next_window = slow_start(
                segments, connection.back_window, rtt_ps, self._segment_down_ps
            )
            over_ps += held_ps
        line = connection.line
        if line is not None:
            over_ps = max(over_ps, line.down(now_ps, int(size_bytes * self._line_down_ps_per_byte)))
        connection.left_ps = over_ps
        over_ps += rtt_ps // 2 + retransmission_ps(departure.back_lost, segments, rtt_ps, self._rto_ps)
        return over_ps if not self.trouble.active else self._troubled(over_ps, now_ps, segments, rtt_ps)

    def lost_back_ps(self, departure: Departure, tokens: int, *, stream: bool) -> int:
        """What lost segments took of the way back of a whole answer, or of the last token of a stream.

        What a fault of the network makes lose is not in it.
        """
        if departure.connection is None:
            return 0
        if stream:
            return departure.lost_first_ps if tokens == 1 else self._rto_ps * (departure.back_lost == 1)
        segments = -(-self.wire.answer_size_bytes(tokens) // self._mss_bytes)
        return retransmission_ps(departure.back_lost, segments, departure.back_rtt_ps, self._rto_ps)

    def _troubled(self, at_ps: int, now_ps: int, segments: int = 1, rtt_ps: int = 0) -> int:
        """When a message arrives that is sent now, over a connection, and would arrive at `at_ps`."""
        trouble, rto_ps = self.trouble, self._rto_ps
        return at_ps + trouble.wait_ps(now_ps, rto_ps) + trouble.lost_ps(segments, rtt_ps, rto_ps)

    def _way_in_trouble_ps(
        self, now_ps: int, segments: int, rtt_ps: int, *, cold: bool
    ) -> tuple[int, int, int]:
        """How long an outage holds a request up, and lost segments: of its set-up if any, and on its way."""
        trouble, syn_rto_ps, rto_ps = self.trouble, self._syn_rto_ps, self._rto_ps
        if not cold:
            return trouble.wait_ps(now_ps, rto_ps), 0, trouble.lost_ps(segments, rtt_ps, rto_ps)
        held_ps = trouble.wait_ps(now_ps, syn_rto_ps)
        set_up_ps = set_up_loss_ps(trouble.first_lost(), self.tls_round_trips, syn_rto_ps, rto_ps)
        return held_ps, set_up_ps, trouble.lost_ps(segments, rtt_ps, rto_ps)

    def events_after(self, departure: Departure, since_first_ps: int) -> int:
        """How many events of a stream the path brings so long after the first, if the line is all its own."""
        connection = departure.connection
        carried = ANY_NUMBER
        if connection is None:
            return carried
        if self.event_ps:
            carried = 1 + since_first_ps // self.event_ps
        if departure.back_rtt_ps:
            round_trips = min(1 + since_first_ps // departure.back_rtt_ps, MOST_DOUBLINGS)
            segments = connection.back_window * (2**round_trips - 1)
            carried = min(carried, int(segments * self._mss_bytes / self.wire.event_bytes))
        return carried

    def events_within(self, span_ps: int) -> int:
        """How many events the path takes so long for, rounded up: none where it takes no time for them."""
        return -(-span_ps // self.event_ps) if self.event_ps else 0

    def release(self, connection: Connection | None, free_ps: int) -> None:
        """The answer reaches the caller at `free_ps`, now or later. What is never released was closed."""
        if connection is not None:
            assert free_ps >= self._now_ps, (free_ps, self._now_ps)
            connection.pool.put(connection, free_ps)

    def is_cold(self, now_ps: int) -> bool:
        """The next request opens a connection whatever came before, if no other one is under way.

        Only known where all connections are one user's.
        """
        return self._alone is not None and self._alone.is_cold(now_ps)

    def _take(self, now_ps: int, user: int) -> tuple[Connection, bool, int]:
        """(connection, whether it is new, when its set-up would be done if round trips took no time)."""
        pool = self._alone or self._pool_of(user)
        connection = pool.take(now_ps)
        if connection is None:
            base_ps, scales_ps, first_lost = self._next_opening()
            connection = Connection(self._opened, pool, base_ps, scales_ps, self._window)
            self._opened += 1
            lost_ps = set_up_loss_ps(first_lost, self.tls_round_trips, self._syn_rto_ps, self._rto_ps)
            return connection, True, now_ps + self.dns_ps + lost_ps
        if self._forgets_window and now_ps - connection.free_ps > self._rto_ps:
            connection.window = self._window
        return connection, False, now_ps

    def _open_answer(self, connection: Connection, now_ps: int) -> None:
        if self._forgets_window and now_ps - connection.left_ps > self._rto_ps:
            connection.next_window = self._window
        connection.back_window = connection.next_window
        connection.began_ps = now_ps

    def _pools(self, rng: Generator) -> Callable[[int], ConnectionPool]:
        """Of several users: whose pool the next request uses, and whose line it goes over."""
        pools: dict[int, ConnectionPool] = {}
        count = self.keep_alive.users
        next_user = users(rng, count).__next__

        def of(user: int) -> ConnectionPool:
            user = next_user() if user < 0 else user % count
            pool = pools.get(user)
            if pool is None:
                pool = pools[user] = self._make_pool()
            return pool

        return of

    def _make_pool(self) -> ConnectionPool:
        keep_alive = self.keep_alive
        return ConnectionPool(
            ps_of_s(keep_alive.idle_timeout_s),
            keeps=keep_alive.connections == "pooled",
            line=AccessLine() if self.path.has_line else None,
        )


def is_free(path: Path, dns_lookup_ms: float) -> bool:
    """Nothing on it takes time, so there is nothing to keep alive either."""
    floor_ms = path.rtt_ms + dns_lookup_ms
    return not path.hops or (
        floor_ms == 0 and is_quiet(path) and path.up_mbit_per_s == path.down_mbit_per_s == inf
    )


def ps_per_byte(mbit_per_s: float) -> float:
    return 8 * PS_PER_S / (mbit_per_s * 10**6)
