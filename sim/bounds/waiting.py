"""The wait for one of many servers: Sakasegawa's form for M/G/c (1977), exact for a single server."""

from math import sqrt


def likely(busy: float, servers: float) -> float:
    """That somebody waits at all, where a share `busy` of the capacity is used."""
    power: float = busy ** (sqrt(2 * (servers + 1)) - 1)
    return power


def mean_wait_s(busy: float, servers: float, service_s: float, variation: float) -> float:
    """Of everybody, those included who need not wait. `variation`: of service, variance over squared mean."""
    return likely(busy, servers) / (servers * (1 - busy)) * (1 + variation) / 2 * service_s


def busy_at(wait_s: float, servers: float, service_s: float, variation: float) -> float:
    """The share of capacity at which the mean wait is this, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        busy = (low + high) / 2
        shorter = mean_wait_s(busy, servers, service_s, variation) < wait_s
        low, high = (busy, high) if shorter else (low, busy)
    return low
