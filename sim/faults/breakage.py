"""What breaks in one world: the schedules of all faults, and the log of what happened."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from numpy.random import Generator

from reports.record import FAULT_COLUMNS
from sim.faults.ground import Ground
from sim.faults.schedule import Span
from sim.platform.recorder import Recorder
from sim.time.timeline import Alarm, Timeline

if TYPE_CHECKING:
    from sim.faults.kinds import Fault, Struck, Target

MOST_PAST = 100


@dataclass(slots=True)
class Broken:
    """Something that is broken at present."""

    name: str
    fault: "Fault"
    target: "Target"
    span: Span
    struck: "Struck"
    order: int


class Breakage:
    """At one instant faults come in the order of the scenario, among arrivals: before any step ends."""

    def __init__(
        self,
        env: Timeline,
        ground: Ground,
        faults: "Mapping[str, Fault]",
        stream: Callable[[str], Generator],
        nodes: Callable[[str], int],
    ) -> None:
        """`stream` gives the random numbers of a name; `nodes` says how many a model has."""
        self._env = env
        self._ground = ground
        self._nodes = nodes
        self._struck = 0
        self._outside = 0
        self._stopped = False
        self._log = Recorder(FAULT_COLUMNS)
        self.broken: dict[str, Broken] = {}
        """By the label of what is broken."""
        self.past: deque[tuple[Broken, int]] = deque(maxlen=MOST_PAST)
        """What was mended last, and when."""
        for name, fault in faults.items():
            for target in fault.targets(nodes):
                spans = fault.spans(stream(f"faults/{name}/{target.label}"))
                self._await(name, fault, target, spans)

    def _await(self, name: str, fault: "Fault", target: "Target", spans: Iterator[Span]) -> None:
        span = None if self._stopped else next(spans, None)
        if span is not None:
            begin = partial(self._begin, name, fault, target, span, spans)
            Alarm(self._env, span.begin_ps, begin)

    def _begin(
        self, name: str, fault: "Fault", target: "Target", span: Span, spans: Iterator[Span], _alarm: Alarm
    ) -> None:
        if self._stopped:
            return
        if target.label in self.broken:  # by somebody outside: it breaks in one way at a time
            self._await(name, fault, target, spans)
        else:
            self._strike(name, fault, target, span, spans)

    def _strike(
        self, name: str, fault: "Fault", target: "Target", span: Span, spans: Iterator[Span]
    ) -> Broken:
        struck = fault.strike(self._ground, target, span.end_ps)
        broken = Broken(name, fault, target, span, struck, self._struck)
        self._struck += 1
        self.broken[target.label] = broken
        if span.end_ps is not None:
            Alarm(self._env, span.end_ps, partial(self._end, broken, spans))
        return broken

    def _end(self, broken: Broken, spans: Iterator[Span], _alarm: Alarm) -> None:
        del self.broken[broken.target.label]
        broken.struck.mend()
        self.past.append((broken, self._env.now))
        self._note(broken, self._env.now)
        self._await(broken.name, broken.fault, broken.target, spans)

    def already_broken(self, fault: "Fault") -> str | None:
        """Of what `fault` would break, the first that is broken at present."""
        return next((t.label for t in fault.targets(self._nodes) if t.label in self.broken), None)

    def break_now(self, fault: "Fault") -> list[Broken]:
        """Somebody outside breaks what is whole; of the schedule of `fault` only how long it lasts counts."""
        self._outside += 1
        span = fault.from_now(self._env.now)
        name = f"live{self._outside}"
        return [
            self._strike(name, fault, target, span, iter(()))
            for target in fault.targets(self._nodes)
            if target.label not in self.broken
        ]

    def stop(self) -> None:
        """Nothing breaks any more. What is broken will be mended in its time."""
        self._stopped = True

    def records(self) -> Recorder:
        """What happened, in the order in which it began. Of what is broken still the end is missing."""
        for broken in self.broken.values():
            self._note(broken, -1)
        self.broken.clear()
        return self._log

    def _note(self, broken: Broken, ended_ps: int) -> None:
        name, target, struck = broken.name, broken.target, broken.struck
        codes = self._log.labels.codes(
            fault=name, kind=broken.fault.kind, target=target.label, model=target.model
        )
        self._log.add(
            (broken.order, *codes, target.node, broken.span.begin_ps, ended_ps, struck.failed, struck.moved)
        )
