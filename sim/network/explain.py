"""What a request costs on a path, line by line, as a person would work it out."""

from typing import NamedTuple

from sim.network.connections import ps_per_byte
from sim.network.keep_alive import KeepAlive
from sim.network.path import Path
from sim.network.transport import TCP_ROUND_TRIPS, TLS_ROUND_TRIPS, slow_start, transport
from sim.time.units import PS_PER_MS


class Line(NamedTuple):
    """`rtts` round trips, and what they and everything else on this line come to in ms."""

    step: str
    rtts: float
    ms: float


def explain(
    path: Path, prompt_tokens: int, keep_alive: KeepAlive | None = None, *, cold: bool = True
) -> tuple[Line, ...]:
    """From the caller's wish to the first byte back, the server's own time left out.

    Floors, then the mean of the jitter; losses are left out. Not cold: a connection that has idled for long.
    """
    keep_alive = keep_alive or KeepAlive()
    set_up = _set_up(path, keep_alive) if cold else ()
    lines = (*set_up, *_request(path, prompt_tokens), *_answer(path))
    rtts = sum(line.rtts for line in lines)
    return (*lines, Line("jitter of those round trips, mean", 0, rtts * path.jitter_mean_ms))


def _set_up(path: Path, keep_alive: KeepAlive) -> tuple[Line, ...]:
    if not path.hops:
        return ()
    dns_ms = path.dns_lookup_ms if keep_alive.dns_lookup_ms is None else keep_alive.dns_lookup_ms
    tls = TLS_ROUND_TRIPS[keep_alive.tls]
    lines = (
        Line("DNS lookup", 0, dns_ms),
        _trips("TCP handshake", TCP_ROUND_TRIPS, path),
        _trips(f"TLS {keep_alive.tls} handshake", tls, path),
    )
    return lines if tls else lines[:2]


def _request(path: Path, prompt_tokens: int) -> tuple[Line, ...]:
    wire = transport()
    size_bytes = wire.size_bytes(prompt_tokens)
    segments = wire.segments(size_bytes)
    flights, _ = slow_start(segments, wire.initial_window_segments)
    return (
        _trips(f"slow start: {segments} segments in {flights} flights", flights - 1, path),
        _trips("request out", 0.5, path),
        Line(
            f"{size_bytes:,} bytes at {path.up_mbit_per_s:,.0f} Mbit/s",
            0,
            size_bytes * ps_per_byte(path.up_mbit_per_s) / PS_PER_MS,
        ),
    )


def _answer(path: Path) -> tuple[Line, ...]:
    event_bytes = transport().event_bytes
    return (
        _trips("first byte back", 0.5, path),
        Line(
            f"{event_bytes:,.0f} bytes at {path.down_mbit_per_s:,.0f} Mbit/s",
            0,
            event_bytes * ps_per_byte(path.down_mbit_per_s) / PS_PER_MS,
        ),
    )


def _trips(step: str, rtts: float, path: Path) -> Line:
    return Line(step, rtts, rtts * path.rtt_ms)
