"""What a request and its answer cost on a path, line by line, as a person would work it out.

Nothing is worked out here: a request goes over a link without chance, and the lines are read off its stamps.
"""

from dataclasses import replace
from math import inf
from typing import NamedTuple

from numpy.random import default_rng

from sim.network.connections import Departure, Link
from sim.network.keep_alive import KeepAlive
from sim.network.path import Path
from sim.network.transport import TCP_ROUND_TRIPS, Transport, slow_start
from sim.time.units import PS_PER_MS, PS_PER_S

IDLE_S = 3600.0
"""Of a connection that was set up before: long enough for both windows to be forgotten."""


class CostLine(NamedTuple):
    """`rtts` round trips, and what they and everything else on this line come to in ms."""

    step: str
    rtts: float
    ms: float


class Explanation:
    """From the caller's wish on, the server's own time left out.

    Floors, then the mean of the jitter; losses are left out. Not cold: a connection that has idled for long.
    """

    def __init__(
        self,
        path: Path,
        prompt_tokens: int,
        keep_alive: KeepAlive | None = None,
        wire: Transport | None = None,
        *,
        cold: bool = True,
    ) -> None:
        self._path, self._prompt_tokens, self._cold = path, prompt_tokens, cold
        self._keep_alive, self._wire = keep_alive or KeepAlive(), wire
        self._link, self._departure = self._sent()

    def first_byte(self) -> tuple[CostLine, ...]:
        """Until the first byte of the answer is back."""
        return self._with_jitter((*self._set_up(), *self._request(), *self._first_event()))

    def rest(self, output_tokens: int, *, stream: bool) -> tuple[CostLine, ...]:
        """From there until the last byte is back, if the server has all tokens at once."""
        link, departure = self._sent()
        now_ps, wire = departure.arrived_ps, link.wire
        first_ps = last_ps = link.begins(departure, now_ps)
        if stream:
            size_bytes = int(output_tokens * wire.event_bytes)
            more = output_tokens - 1
            what, bytes_ps = _counted(more, "more event"), more * link.event_ps
            if output_tokens > 1:
                last_ps = link.ends(departure, now_ps, output_tokens)
        else:
            size_bytes = wire.answer_size_bytes(output_tokens)
            what = f"the rest of {size_bytes:,} bytes"
            bytes_ps = int(size_bytes * link.down_ps_per_byte) - link.event_ps
            link, departure = self._sent()
            last_ps = link.whole(departure, now_ps, output_tokens)
        window = wire.initial_window_segments
        held_ps = last_ps - first_ps - bytes_ps
        lines = (
            self._slow_start(link, size_bytes, window, held_ps, link.down_ps_per_byte),
            CostLine(_at_rate(what, self._path.down_mbit_per_s), 0, bytes_ps / PS_PER_MS),
        )
        return self._with_jitter(lines)

    def _sent(self) -> tuple[Link, Departure]:
        """A request of one's own, over a path on which nothing is left to chance."""
        hops = tuple(replace(hop, jitter=None, loss_per_segment=0.0) for hop in self._path.hops)
        keep_alive = replace(self._keep_alive, connections="pooled", users=1, idle_timeout_s=2 * IDLE_S)
        link = Link(replace(self._path, hops=hops), default_rng(0), keep_alive, self._wire)
        departure = link.send(0, self._prompt_tokens)
        if self._cold:
            return link, departure
        answered_ps = link.whole(departure, departure.arrived_ps, 0)
        link.release(departure.connection, answered_ps)
        return link, link.send(answered_ps + round(IDLE_S * PS_PER_S), self._prompt_tokens)

    def _set_up(self) -> tuple[CostLine, ...]:
        link, departure = self._link, self._departure
        if not departure.cold:
            return ()
        tls = link.tls_round_trips
        lines = (
            CostLine("DNS lookup", 0, link.dns_ps / PS_PER_MS),
            self._trips("TCP handshake", TCP_ROUND_TRIPS),
            self._trips(f"TLS {link.keep_alive.tls} handshake", tls),
        )
        return lines if tls else lines[:2]

    def _request(self) -> tuple[CostLine, ...]:
        link, departure = self._link, self._departure
        size_bytes = link.wire.size_bytes(self._prompt_tokens)
        bytes_ps = int(size_bytes * link.up_ps_per_byte)
        took_ps = departure.arrived_ps - departure.connected_ps
        held_ps = took_ps - link.rtt_ps // 2 - bytes_ps
        return (
            self._slow_start(
                link, size_bytes, link.wire.initial_window_segments, held_ps, link.up_ps_per_byte
            ),
            self._trips("request out", 0.5),
            CostLine(_at_rate(f"{size_bytes:,} bytes", self._path.up_mbit_per_s), 0, bytes_ps / PS_PER_MS),
        )

    def _first_event(self) -> tuple[CostLine, ...]:
        link = self._link
        what = f"{link.wire.event_bytes:,.0f} bytes"
        return (
            self._trips("first byte back", 0.5),
            CostLine(_at_rate(what, self._path.down_mbit_per_s), 0, link.event_ps / PS_PER_MS),
        )

    def _slow_start(
        self, link: Link, size_bytes: int, window: int, held_ps: int, ps_per_byte: float
    ) -> CostLine:
        segments = link.wire.segments(size_bytes)
        segment_ps = int(link.wire.mss_bytes * ps_per_byte)
        _, waits, last_window = slow_start(segments, window, link.rtt_ps, segment_ps)
        flights = (last_window // window).bit_length()
        what = f"{_counted(segments, 'segment')} in {_counted(flights, 'flight')}"
        return CostLine(f"slow start: {what}", waits, held_ps / PS_PER_MS)

    def _trips(self, step: str, rtts: float) -> CostLine:
        return CostLine(step, rtts, rtts * self._link.rtt_ps / PS_PER_MS)

    def _with_jitter(self, lines: tuple[CostLine, ...]) -> tuple[CostLine, ...]:
        rtts = sum(line.rtts for line in lines)
        return (*lines, CostLine("jitter of those round trips, mean", 0, rtts * self._path.jitter_mean_ms))


def explain(
    path: Path, prompt_tokens: int, keep_alive: KeepAlive | None = None, *, cold: bool = True
) -> tuple[CostLine, ...]:
    """Until the first byte is back, with the catalogue's transport."""
    return Explanation(path, prompt_tokens, keep_alive, cold=cold).first_byte()


def _at_rate(what: str, mbit_per_s: float) -> str:
    return f"{what}, no limit of rate" if mbit_per_s == inf else f"{what} at {mbit_per_s:,.6g} Mbit/s"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
