"""Queues by their exact recursions, one arrival a second on average, and what is known of their quantiles.

A number in is (random numbers, requests, load) and out come the waits of so many requests in steady state;
of the processor that is shared, the stays.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpmath import exp, factorial, mp, mpf

from reports.columns import Floats

WARM_UP = 4_000
"""Requests before the first that counts: ten relaxation times at the highest load."""
SERVERS = 4
BURST_S, SILENCE_S = 10.0, 10.0
"""Mean lengths; while a burst lasts there are two arrivals a second."""
SQUARED_VARIATION = 4.0
"""Of the work of a request to the shared processor: mostly short, some long."""

Draw = Callable[[np.random.Generator, int, float], Floats]


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    draw: Draw
    beyond: Callable[[float, float], float] | None
    """P(wait > t) at a load; None where it takes a long run to know."""
    mean: Callable[[float], float]

    def quantile(self, load: float, probability: float) -> float:
        """By bisection."""
        assert self.beyond is not None
        low, high = 0.0, 1.0
        while self.beyond(high, load) > 1 - probability:
            high *= 2
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.beyond(middle, load) > 1 - probability else (low, middle)
        return high


def lindley(services: Floats, gaps: Floats) -> Floats:
    """Waits of one server in order of arrival, from empty (Lindley 1952), without the warm-up."""
    walk = np.cumsum(services - gaps)
    waits: Floats = (walk - np.minimum.accumulate(np.minimum(walk, 0)))[WARM_UP:]
    return waits


def m_d_1(rng: np.random.Generator, count: int, load: float) -> Floats:
    return lindley(np.full(count + WARM_UP, load), rng.exponential(1.0, count + WARM_UP))


def on_off_1(rng: np.random.Generator, count: int, load: float) -> Floats:
    """Bursts and silences of exponential lengths; the gaps between arrivals are then hyperexponential."""
    first, fast, slow = bursts()
    rates = np.where(rng.random(count + WARM_UP) < first, fast, slow)
    return lindley(rng.exponential(load, count + WARM_UP), rng.exponential(1.0, count + WARM_UP) / rates)


def m_m_c(rng: np.random.Generator, count: int, load: float) -> Floats:
    """One line before several servers (Kiefer & Wolfowitz 1955): who is free first takes the next."""
    gaps = rng.exponential(1.0, count + WARM_UP).tolist()
    services = rng.exponential(load * SERVERS, count + WARM_UP).tolist()
    free, now, waits = [0.0] * SERVERS, 0.0, []
    for gap, service in zip(gaps, services, strict=True):
        now += gap
        begins = max(now, free[0])
        waits.append(begins - now)
        heapq.heapreplace(free, begins + service)
    return np.array(waits[WARM_UP:])


def m_g_1_shared(rng: np.random.Generator, count: int, load: float) -> Floats:
    """Stays at a processor that all who are there share; a request leaves when the share of each has grown by
    its work since it came.
    """
    total = count + 2 * WARM_UP  # the last are there for the others' sake
    arrivals = np.cumsum(rng.exponential(1.0, total)).tolist()
    often = (1 + math.sqrt((SQUARED_VARIATION - 1) / (SQUARED_VARIATION + 1))) / 2
    chosen = np.where(rng.random(total) < often, often, 1 - often)
    works = (rng.exponential(load / 2, total) / chosen).tolist()
    present: list[tuple[float, int]] = []
    stays, share, now = [0.0] * total, 0.0, 0.0
    for number, arrival in enumerate(arrivals):
        while present and (leaves := now + (present[0][0] - share) * len(present)) <= arrival:
            share, one = heapq.heappop(present)
            now, stays[one] = leaves, leaves - arrivals[one]
        if present:
            share += (arrival - now) / len(present)
        now = arrival
        heapq.heappush(present, (share + works[number], number))
    return np.array(stays[WARM_UP : WARM_UP + count])


def bursts() -> tuple[float, float, float]:
    """(share, rate, other rate) of the hyperexponential gaps of interrupted arrivals (Kuczura 1973)."""
    peak = (BURST_S + SILENCE_S) / BURST_S
    total = peak + 1 / BURST_S + 1 / SILENCE_S
    root = math.sqrt(total * total - 4 * peak / SILENCE_S)
    fast, slow = (total + root) / 2, (total - root) / 2
    return (peak - slow) / (fast - slow), fast, slow


def busy_on_off(load: float) -> float:
    """Of GI/M/1: the root below 1 of s = E[exp(-mu (1 - s) A)], which is the share of requests that wait."""
    share, fast, slow = bursts()
    found = 0.5
    for _ in range(20_000):
        away = (1 - found) / load
        found = share * fast / (fast + away) + (1 - share) * slow / (slow + away)
    return found


def beyond_on_off(t: float, load: float) -> float:
    found = busy_on_off(load)
    return found * math.exp(-(1 - found) * t / load)


def erlang_c(load: float) -> float:
    """The share that waits before `SERVERS` servers."""
    offered = SERVERS * load
    last = offered**SERVERS / math.factorial(SERVERS) / (1 - load)
    return last / (sum(offered**k / math.factorial(k) for k in range(SERVERS)) + last)


def beyond_m_m_c(t: float, load: float) -> float:
    return erlang_c(load) * math.exp(-(1 - load) * t / load)


def beyond_m_d_1(t: float, load: float) -> float:
    """Erlang (1909), of which the terms take turns in sign: with as many digits as they are large."""
    with mp.workdps(30 + int(2 * t / load)):
        rate, turns = mpf(load), mpf(t) / mpf(load)
        terms = (
            (rate * (k - turns)) ** k / factorial(k) * exp(rate * (turns - k)) for k in range(int(turns) + 1)
        )
        return float(1 - (1 - rate) * sum(terms))


QUEUES = {
    queue.name: queue
    for queue in (
        Queue("M/D/1", m_d_1, beyond_m_d_1, lambda load: load * load / (2 * (1 - load))),
        Queue("M/M/4", m_m_c, beyond_m_m_c, lambda load: erlang_c(load) * load / (1 - load)),
        Queue(
            "on-off/M/1",
            on_off_1,
            beyond_on_off,
            lambda load: busy_on_off(load) * load / (1 - busy_on_off(load)),
        ),
        Queue("M/G/1-PS", m_g_1_shared, None, lambda load: load / (1 - load)),
    )
}
