"""TCP and TLS in round trips: what set-up, slow start and a lost segment cost."""

from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Final

from sim.network.catalogue import NetworkFacts, network_facts
from sim.network.path import Path
from sim.time.units import ps_of_ms

TLS_ROUND_TRIPS = {"none": 0, "1.2": 2, "1.3": 1}
"""Full handshakes (RFC 5246, RFC 8446); resumption and early data are not modelled."""
TCP_ROUND_TRIPS = 1
DUPLICATE_ACKS = 3  # RFC 5681: as many segments must follow a lost one to reveal it without a time-out
NEVER_LOST: Final = 2**62


@dataclass(frozen=True, slots=True)
class Transport:
    mss_bytes: int
    initial_window_segments: int
    rto_min_ms: float
    syn_rto_ms: float
    request_bytes: float
    bytes_per_prompt_token: float
    event_bytes: float
    answer_bytes: float
    bytes_per_output_token: float
    noise_share: float
    """Part of the jitter that differs between the messages of one connection."""

    def size_bytes(self, prompt_tokens: int) -> int:
        return int(self.request_bytes + self.bytes_per_prompt_token * prompt_tokens)

    def answer_size_bytes(self, tokens: int) -> int:
        """Of an answer in one piece."""
        return int(self.answer_bytes + self.bytes_per_output_token * tokens)

    def segments(self, size_bytes: int) -> int:
        return -(-size_bytes // self.mss_bytes)

    def rto_ps(self, path: Path) -> int:
        """Retransmission time-out of a connection that knows its path (RFC 6298 with Linux's minimum)."""
        deviation_ms = sqrt(path.jitter_variance_ms2 * self.noise_share)
        smoothed_ms = path.rtt_ms + path.jitter_mean_ms
        return ps_of_ms(max(self.rto_min_ms, smoothed_ms + 4 * deviation_ms))


@cache
def transport() -> Transport:
    """As the catalogue has it."""
    return transport_of(network_facts())


def transport_of(facts: NetworkFacts) -> Transport:
    values = facts.transport
    return Transport(
        mss_bytes=int(values["mss_bytes"].value),
        initial_window_segments=int(values["initial_window_segments"].value),
        rto_min_ms=values["rto_min_ms"].value,
        syn_rto_ms=values["syn_rto_ms"].value,
        request_bytes=values["request_bytes"].value,
        bytes_per_prompt_token=values["bytes_per_prompt_token"].value,
        event_bytes=values["event_bytes"].value,
        answer_bytes=values["answer_bytes"].value,
        bytes_per_output_token=values["bytes_per_output_token"].value,
        noise_share=values["noise_share"].value,
    )


def slow_start(segments: int, window: int, rtt_ps: int, segment_ps: int) -> tuple[int, int, int]:
    """(time in which the sender only waits, how often, the window in the end) of a message.

    The window doubles with every round trip while there is more to send. After each flight but the last, the
    sender waits until the first segment of it is acknowledged, unless the others take as long as that, each
    `segment_ps` on the thinnest hop (Kurose and Ross, Computer Networking, on the latency of slow start).
    """
    held_ps = waits = 0
    sent = window
    while sent < segments:
        idle_ps = rtt_ps - (window - 1) * segment_ps
        if idle_ps > 0:
            held_ps += idle_ps
            waits += 1
        window *= 2
        sent += window
    return held_ps, waits, window


def retransmission_ps(first_lost: int, segments: int, rtt_ps: int, rto_ps: int) -> int:
    """Delay of a message of which segment number `first_lost` (from 1) is lost, if it is that long.

    Later segments reveal a loss after about a round trip; at the tail of the message only a time-out does.
    """
    if first_lost > segments:
        return 0
    return rtt_ps if first_lost <= segments - DUPLICATE_ACKS else rto_ps


def set_up_loss_ps(first_lost: int, tls_round_trips: int, syn_rto_ps: int, rto_ps: int) -> int:
    """Each round trip of the set-up is a segment there and one back, each alone in its flight."""
    if first_lost <= 2 * TCP_ROUND_TRIPS:
        return syn_rto_ps
    return rto_ps if first_lost <= 2 * (TCP_ROUND_TRIPS + tls_round_trips) else 0
