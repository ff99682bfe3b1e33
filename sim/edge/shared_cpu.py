"""The processor of one instance of an app, in equal parts to whatever is at work on it: processor sharing.

What runs counts in *attained work*: how much each job has got that has been there from the start. All jobs
get the same, so a job ends when the attained work has grown by what it asked for, whoever comes and goes.
"""

from fractions import Fraction
from heapq import heappop, heappush
from itertools import count

from simpy import Event

from sim.time.timeline import FEEDBACK, Alarm, Timeline


class SharedCpu:
    """`cores` may be a part of one, or several: no job gets more than one.

    Attained work is kept in whole picoseconds, rounded down whenever somebody comes: a job ends late by less
    than a picosecond for each.
    """

    def __init__(self, env: Timeline, cores: Fraction) -> None:
        assert cores > 0, cores
        self._env = env
        self._cores = cores
        self._attained_ps = 0
        self._since_ps = env.now
        self._jobs: list[tuple[int, int, Event]] = []
        """(attained work at its end, order of arrival, what happens then)"""
        self._order = count()
        self._alarm: Alarm | None = None
        self.worked_ps = 0
        """Work done for jobs that have ended, in picoseconds of a whole core."""

    @property
    def at_work(self) -> int:
        return len(self._jobs)

    def work(self, work_ps: int) -> Event:
        """The event comes when `work_ps` of a whole core have been done for it."""
        done = Event(self._env.simpy)
        if not work_ps:
            self._env.succeed_at(done, None, self._env.now, FEEDBACK)
            return done
        self._catch_up()
        heappush(self._jobs, (self._attained_ps + work_ps, next(self._order), done))
        self.worked_ps += work_ps
        self._set_alarm()
        return done

    def _pace(self) -> Fraction:
        """Of one job, in work for time."""
        return min(Fraction(1), self._cores / len(self._jobs))

    def _catch_up(self) -> None:
        now = self._env.now
        if self._jobs:
            pace = self._pace()
            self._attained_ps += (now - self._since_ps) * pace.numerator // pace.denominator
        self._since_ps = now

    def _set_alarm(self) -> None:
        """For the end of whoever ends first."""
        if self._alarm is not None:
            self._env.cancel(self._alarm)
        self._alarm = None
        if self._jobs:
            pace = self._pace()
            left_ps = self._jobs[0][0] - self._attained_ps
            lasts_ps = -(-left_ps * pace.denominator // pace.numerator)  # rounded up: by then it is done
            self._alarm = Alarm(self._env, self._since_ps + lasts_ps, self._ring)

    def _ring(self, _alarm: Alarm) -> None:
        self._alarm = None
        self._catch_up()
        jobs, env = self._jobs, self._env
        while jobs and jobs[0][0] <= self._attained_ps:
            env.succeed_at(heappop(jobs)[2], None, env.now, FEEDBACK)
        self._set_alarm()
