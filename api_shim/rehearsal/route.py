"""What bytes take over one TCP connection, by the laws of `sim.network` and the sizes that were really sent.

`sim.network.Link` decides by itself when a connection is opened, and knows sizes from numbers of tokens. Here
the application's own HTTP client opens and closes them, as its pool and its time-outs have it.
"""

from dataclasses import dataclass

from numpy.random import Generator

from sim.network.connections import ps_per_byte
from sim.network.keep_alive import KeepAlive
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
)
from sim.network.variates import is_quiet, messages, openings
from sim.time.units import ps_of_ms

BLOCK = 64
"""Draws at a time."""


class Route:
    """From one machine to another: what all connections between them share.

    The n-th exchange and the n-th connection have the same draws in every run with the same `rng`.
    """

    def __init__(self, path: Path, rng: Generator, keep_alive: KeepAlive, wire: Transport) -> None:
        self.wire = wire
        self.rtt_ps = ps_of_ms(path.rtt_ms)
        dns_ms = path.dns_lookup_ms if keep_alive.dns_lookup_ms is None else keep_alive.dns_lookup_ms
        self.dns_ps = ps_of_ms(dns_ms) if path.hops else 0
        self.tls_round_trips = TLS_ROUND_TRIPS[keep_alive.tls]
        self.rto_ps, self.syn_rto_ps = wire.rto_ps(path), ps_of_ms(wire.syn_rto_ms)
        self.up = Rates(path.up_mbit_per_s, path.line_up_mbit_per_s, wire.mss_bytes)
        self.down = Rates(path.down_mbit_per_s, path.line_down_mbit_per_s, wire.mss_bytes)
        self.line = AccessLine() if path.has_line else None
        draws = [rng, rng] if is_quiet(path) else rng.spawn(2)
        self.next_exchange = messages(path, draws[0], wire.noise_share, BLOCK).__next__
        self.next_opening = openings(path, draws[1], wire.noise_share, BLOCK // 8).__next__


class Rates:
    """Of one direction, in picoseconds per byte."""

    def __init__(self, mbit_per_s: float, line_mbit_per_s: float, mss_bytes: int) -> None:
        self.ps_per_byte = ps_per_byte(mbit_per_s)
        self.line_ps_per_byte = ps_per_byte(line_mbit_per_s)
        self.segment_ps = int(mss_bytes * self.ps_per_byte)


@dataclass(slots=True)
class Flow:
    """One direction of a connection."""

    rates: Rates
    window: int
    """Of the sender, in segments, when the message began."""
    grown: int
    """The same when all of it is over there."""
    began_ps: int = -1
    """When the message that is being sent began to leave."""
    size_bytes: int = 0
    """Of it, so far."""
    segments: int = 0
    """Sent since the exchange began."""
    left_ps: int = 0
    arrived_ps: int = 0
    """When all that was sent so far is over there: bytes do not overtake each other."""


class Course:
    """One connection: HTTP/1.1, so that exchanges follow each other. Times of sending must not decrease."""

    def __init__(self, route: Route, now_ps: int) -> None:
        self._route = route
        wire = route.wire
        base_ps, self._scales_ps, first_lost = route.next_opening()
        self._usual_ps = route.rtt_ps + base_ps
        self._up = Flow(route.up, *[wire.initial_window_segments] * 2)
        self._down = Flow(route.down, *[wire.initial_window_segments] * 2)
        self._begin_exchange()
        self._unused = True
        """The first exchange meets what the set-up has met."""
        lost_ps = set_up_loss_ps(first_lost, route.tls_round_trips, route.syn_rto_ps, route.rto_ps)
        round_trips = TCP_ROUND_TRIPS + route.tls_round_trips
        self.connected_ps = now_ps + route.dns_ps + lost_ps + round_trips * self._rtt_out_ps

    def up(self, now_ps: int, size_bytes: int, *, new_exchange: bool) -> int:
        """When all of a piece of a request that leaves now is at the server."""
        if new_exchange and not self._unused:
            self._begin_exchange()
        self._unused = False
        line, rates = self._route.line, self._route.up
        through_ps = 0
        if line is not None:
            through_ps = line.up(now_ps, now_ps, int(size_bytes * rates.line_ps_per_byte))
        return self._sent(self._up, now_ps, size_bytes, through_ps, self._rtt_out_ps, self._lost_out)

    def down(self, now_ps: int, size_bytes: int) -> int:
        """When all of a piece of an answer that leaves now is at the client."""
        line, rates = self._route.line, self._route.down
        through_ps = 0
        if line is not None:
            through_ps = line.down(now_ps, int(size_bytes * rates.line_ps_per_byte))
        return self._sent(self._down, now_ps, size_bytes, through_ps, self._rtt_back_ps, self._lost_back)

    def end_up(self, now_ps: int) -> int:
        """When the server hears that the client closes now."""
        return max(now_ps + self._usual_ps // 2, self._up.arrived_ps)

    def end_down(self, now_ps: int) -> int:
        return max(now_ps + self._usual_ps // 2, self._down.arrived_ps)

    def _begin_exchange(self) -> None:
        out_ps, back_ps, _, self._lost_out, self._lost_back, _, factors = self._route.next_exchange()
        for scale_ps, (out, back, _) in zip(self._scales_ps, factors, strict=True):
            out_ps += int(scale_ps * out)
            back_ps += int(scale_ps * back)
        self._rtt_out_ps, self._rtt_back_ps = self._usual_ps + out_ps, self._usual_ps + back_ps
        self._up.segments = self._down.segments = 0

    def _sent(self, flow: Flow, now_ps: int, size_bytes: int, through_ps: int, rtt_ps: int, lost: int) -> int:
        route, wire = self._route, self._route.wire
        if now_ps == flow.began_ps:
            flow.size_bytes += size_bytes
        else:
            idled = now_ps - flow.left_ps > route.rto_ps  # Linux forgets the window meanwhile
            flow.window = flow.grown = wire.initial_window_segments if idled else flow.grown
            flow.began_ps, flow.size_bytes = now_ps, size_bytes
        segments = wire.segments(flow.size_bytes)
        over_ps = max(now_ps + int(flow.size_bytes * flow.rates.ps_per_byte), through_ps)
        if segments > flow.window:
            held_ps, _, flow.grown = slow_start(segments, flow.window, rtt_ps, flow.rates.segment_ps)
            over_ps += held_ps
        flow.left_ps = over_ps
        before, flow.segments = flow.segments, flow.segments + wire.segments(size_bytes)
        arrived_ps = over_ps + rtt_ps // 2
        if before < lost <= flow.segments and lost != NEVER_LOST:
            arrived_ps += retransmission_ps(lost - before, flow.segments - before, rtt_ps, route.rto_ps)
        flow.arrived_ps = max(flow.arrived_ps, arrived_ps)
        return flow.arrived_ps
