"""How long GPUs take to exchange what each of them has, by latency and bandwidth: the alpha-beta model.

Thakur, Rabenseifner, Gropp: Optimization of Collective Communication Operations in MPICH, 2005.
"""

from collections.abc import Callable
from math import inf

Algorithm = Callable[[int, float, float, float], float]
"""From GPUs, bytes, latency of a message in us, bytes per us of one GPU in one direction: us."""

MOST_ONE_SHOT = 8


def ring(gpus: int, size: float, latency_us: float, per_us: float) -> float:
    """Sums and results go round in n parts, 2(n-1) messages one after the other."""
    return 2 * (gpus - 1) * (latency_us + size / gpus / per_us)


def one_shot(gpus: int, size: float, latency_us: float, per_us: float) -> float:
    """Each reads all others at once between two barriers, and adds up by itself: n/2 times a ring's bytes.

    Only as many as vLLM's kernel takes (`custom_all_reduce.py`: worlds of up to 8).
    """
    return 2 * latency_us + (gpus - 1) * size / per_us if gpus <= MOST_ONE_SHOT else inf


def ring_gather(gpus: int, size: float, latency_us: float, per_us: float) -> float:
    """The second half of a ring: `size` is what everybody has in the end."""
    return ring(gpus, size, latency_us, per_us) / 2


def pairwise(gpus: int, size: float, latency_us: float, per_us: float) -> float:
    """Each sends a part of its `size` bytes to each other, one after the other, and keeps its own."""
    return (gpus - 1) * (latency_us + size / gpus / per_us)


COLLECTIVES: dict[str, dict[str, Algorithm]] = {
    "all_reduce": {"ring": ring, "one_shot": one_shot},
    "all_gather": {"ring": ring_gather},
    "all_to_all": {"pairwise": pairwise},
}
"""What GPUs do together, and the ways to do it, of which an engine takes the shortest: a new one is a row."""


def formula_us(collective: str, gpus: int, size: float, latency_us: float, gb_per_s: float) -> float:
    """The shortest of its algorithms; no time for a lone GPU."""
    if gpus == 1:
        return 0.0
    per_us = gb_per_s * 1e3
    return min(way(gpus, size, latency_us, per_us) for way in COLLECTIVES[collective].values())
