"""One processor for all who are at work, by hand, by law and by theory. Work is in ps of a whole core."""

from collections.abc import Generator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Event

from sim.edge.shared_cpu import SharedCpu
from sim.time.events import Begun
from sim.time.timeline import Timeline


def ends(cores: Fraction, jobs: list[tuple[int, int]]) -> list[int]:
    """When jobs end that come at a time with so much work."""
    env = Timeline()
    cpu = SharedCpu(env, cores)
    found = [-1] * len(jobs)

    def job(number: int, work_ps: int) -> Generator[Event, Any, None]:
        yield cpu.work(work_ps)
        assert found[number] < 0
        found[number] = int(env.now)

    for number, (at_ps, work_ps) in enumerate(jobs):
        Begun(env, job(number, work_ps), at_ps)
    env.run()
    assert cpu.at_work == 0
    assert cpu.worked_ps == sum(work for _, work in jobs)
    return found


@pytest.mark.parametrize(
    ("cores", "jobs", "ended"),
    [
        (Fraction(1), [(0, 100)], [100]),
        (Fraction(1, 4), [(0, 100)], [400]),
        (Fraction(4), [(0, 100)], [100]),  # one job cannot use the others
        (Fraction(1), [(0, 100), (0, 100)], [200, 200]),
        # Alone until 50; then both get half: the second has its 30 at 110, the first its other 50 at 130.
        (Fraction(1), [(0, 100), (50, 30)], [130, 110]),
        # Three on two cores get two thirds each: 30 take 45, and then the two others a core each.
        (Fraction(2), [(0, 30), (0, 60), (0, 60)], [45, 75, 75]),
        (Fraction(1), [(0, 10), (5, 0)], [10, 5]),
    ],
)
def test_jobs_share_evenly_and_get_a_core_at_most(
    cores: Fraction, jobs: list[tuple[int, int]], ended: list[int]
) -> None:
    assert ends(cores, jobs) == ended


@given(
    st.fractions(Fraction(1, 50), 4, max_denominator=1000),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 500)), min_size=1, max_size=12),
)
def test_no_work_is_lost_and_less_work_of_the_same_arrival_ends_no_later(
    cores: Fraction, jobs: list[tuple[int, int]]
) -> None:
    """Against the same in exact fractions, step by step; late by less than a picosecond for each who came."""
    found, exact = ends(cores, jobs), exactly(cores, jobs)
    for ended, exact_end in zip(found, exact, strict=True):
        assert exact_end <= ended < exact_end + 1 + len(jobs) * max(Fraction(1), len(jobs) / cores)


def exactly(cores: Fraction, jobs: list[tuple[int, int]]) -> list[Fraction]:
    left = {number: Fraction(work) for number, (_, work) in enumerate(jobs)}
    now, found = Fraction(0), [Fraction(0)] * len(jobs)
    while left:
        at_work = [number for number in left if jobs[number][0] <= now]
        coming = [Fraction(jobs[number][0]) for number in left if jobs[number][0] > now]
        pace = min(Fraction(1), cores / len(at_work)) if at_work else Fraction(0)
        ends_at = [now + min(left[number] for number in at_work) / pace] if at_work else []
        upto = min(coming + ends_at)
        for number in at_work:
            left[number] -= (upto - now) * pace
            if not left[number]:
                found[number] = upto
                del left[number]
        now = upto
    return found


@pytest.mark.theory
@pytest.mark.parametrize("work", ["exponential", "constant"])
def test_the_mean_stay_depends_on_the_mean_work_alone(work: str) -> None:
    """M/G/1 processor sharing: mean work / (1 - load), 2.5 at a load of 0.6, whatever the spread of the work.

    30,000 jobs; the region is four standard errors of 100 batch means, and has to be narrower than 15 %.
    """
    rng, jobs, unit_ps = np.random.default_rng(7), 30_000, 10**6
    came_ps = np.cumsum(rng.exponential(unit_ps / 0.6, jobs)).astype(np.int64)
    works_ps = rng.exponential(unit_ps, jobs) if work == "exponential" else np.full(jobs, unit_ps)
    asked = list(zip(came_ps.tolist(), np.maximum(1, works_ps).astype(np.int64).tolist(), strict=True))
    stays = (np.array(ends(Fraction(1), asked)) - came_ps) / unit_ps
    batches = stays[3_000:].reshape(100, -1).mean(axis=1)
    error = 4 * batches.std(ddof=1) / 10
    assert error < 0.15 * 2.5
    assert abs(batches.mean() - 2.5) < error
