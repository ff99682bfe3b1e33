"""Where an app runs: its instances, the requests that each holds at once, and what a cold start costs.

A request goes to the running instance that holds fewest, if that has room. If none has, it waits, first come
first served, and another instance is started where those that start already will not take all who wait.
"""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from simpy import Event

from sim.edge.shared_cpu import SharedCpu
from sim.time.timeline import FEEDBACK, Alarm, Timeline


@dataclass(frozen=True, slots=True)
class ComputeShape:
    """As a scenario states it. `at_once` requests are in one instance at most."""

    cores: Fraction
    """Of one instance."""
    instances: int
    warm: int
    """So many run from the start, and never stop."""
    at_once: int
    cold_start_ps: int
    idle_ps: int
    """After so long without a request any other instance stops."""


class Instance:
    """A running copy of the app, with a processor of its own."""

    def __init__(self, env: Timeline, index: int, cores: Fraction, *, keeps: bool) -> None:
        self.index = index
        self.cpu = SharedCpu(env, cores)
        self.began_ps = env.now
        self.keeps = keeps
        """It never stops."""
        self.inside = 0
        self.stops: Alarm | None = None


@dataclass(slots=True)
class Seat:
    """What one request has of an app, from when an instance takes it."""

    instance: Instance
    waited_ps: int
    cold: bool
    """It came before the instance was running."""

    def work(self, work_ps: int) -> Event:
        return self.instance.cpu.work(work_ps)


class Compute:
    """All instances of one app, whoever calls it."""

    def __init__(self, env: Timeline, shape: ComputeShape) -> None:
        assert 0 <= shape.warm <= shape.instances, shape
        self._env = env
        self._shape = shape
        self._running: dict[int, Instance] = {}
        self._unused = list(reversed(range(shape.instances)))
        self._starting = 0
        self._waiting: deque[tuple[Event, int]] = deque()
        for _ in range(shape.warm):
            self._run(self._unused.pop(), keeps=True)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def enter(self) -> Event:
        """Its value is the `Seat` of the request, once it has one."""
        event = Event(self._env.simpy)
        self._waiting.append((event, self._env.now))
        self._seat_who_waits()
        self._start_for_who_waits()
        return event

    def leave(self, seat: Seat) -> None:
        """The request is answered."""
        instance = seat.instance
        assert instance.inside > 0, instance.index
        instance.inside -= 1
        self._seat_who_waits()
        self._rest(instance)

    def _seat_who_waits(self) -> None:
        env = self._env
        while self._waiting and (instance := self._roomiest()) is not None:
            event, since_ps = self._waiting.popleft()
            instance.inside += 1
            if instance.stops is not None:
                env.cancel(instance.stops)
                instance.stops = None
            seat = Seat(instance, env.now - since_ps, since_ps < instance.began_ps)
            env.succeed_at(event, seat, env.now, FEEDBACK)

    def _roomiest(self) -> Instance | None:
        at_once = self._shape.at_once
        with_room = (instance for instance in self._running.values() if instance.inside < at_once)
        return min(with_room, key=lambda instance: (instance.inside, instance.index), default=None)

    def _start_for_who_waits(self) -> None:
        while self._unused and len(self._waiting) > self._starting * self._shape.at_once:
            self._starting += 1
            at_ps = self._env.now + self._shape.cold_start_ps
            Alarm(self._env, at_ps, self._started, self._unused.pop())

    def _started(self, alarm: Alarm) -> None:
        self._starting -= 1
        instance = self._run(alarm.subject, keeps=False)
        self._seat_who_waits()
        self._rest(instance)

    def _run(self, index: int, *, keeps: bool) -> Instance:
        self._running[index] = instance = Instance(self._env, index, self._shape.cores, keeps=keeps)
        return instance

    def _rest(self, instance: Instance) -> None:
        """It stops when nobody comes for long enough."""
        if not instance.inside and not instance.keeps and instance.stops is None:
            instance.stops = Alarm(self._env, self._env.now + self._shape.idle_ps, self._stop, instance)

    def _stop(self, alarm: Alarm) -> None:
        instance: Instance = alarm.subject
        assert not instance.inside, instance.index
        del self._running[instance.index]
        self._unused.append(instance.index)
