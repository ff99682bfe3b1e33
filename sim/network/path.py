"""The hops between two places together: floors and jitter add, losses compose, the thinnest hop limits."""

from dataclasses import dataclass
from math import inf, prod

from e80sim.choices import Confidence
from sim.network.catalogue import weakest
from sim.network.hops import Hop
from sim.network.jitter import Jitter


@dataclass(frozen=True, slots=True)
class Path:
    """TLS ends at its far end. Without hops it is a loopback, which costs nothing."""

    hops: tuple[Hop, ...]
    dns_lookup_ms: float = 0.0

    @property
    def rtt_ms(self) -> float:
        """The floor."""
        return sum(hop.rtt_floor_ms for hop in self.hops)

    @property
    def jitters(self) -> tuple[Jitter, ...]:
        return tuple(hop.jitter for hop in self.hops if hop.jitter is not None)

    @property
    def jitter_mean_ms(self) -> float:
        return sum(jitter.mean_ms for jitter in self.jitters)

    @property
    def jitter_variance_ms2(self) -> float:
        return sum(jitter.variance_ms2 for jitter in self.jitters)

    @property
    def loss_per_segment(self) -> float:
        return 1 - prod(1 - hop.loss_per_segment for hop in self.hops)

    @property
    def up_mbit_per_s(self) -> float:
        return min((hop.up_mbit_per_s for hop in self.hops), default=inf)

    @property
    def down_mbit_per_s(self) -> float:
        return min((hop.down_mbit_per_s for hop in self.hops), default=inf)

    @property
    def line_up_mbit_per_s(self) -> float:
        """What all streams of one caller share; the rate of the path bounds each of them by itself."""
        return min((hop.up_mbit_per_s for hop in self.hops if hop.shared), default=inf)

    @property
    def line_down_mbit_per_s(self) -> float:
        return min((hop.down_mbit_per_s for hop in self.hops if hop.shared), default=inf)

    @property
    def has_line(self) -> bool:
        return min(self.line_up_mbit_per_s, self.line_down_mbit_per_s) < inf

    @property
    def confidence(self) -> Confidence:
        return weakest(tuple(value for hop in self.hops for value in hop.evidence))
