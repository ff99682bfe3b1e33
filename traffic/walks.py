"""What an agent will do for one user request if nothing fails: drawn when the request is sent.

Every setting of a step that is drawn has a random stream of its own, so that a step more in the table, or one
that comes more often, leaves the draws of the others alone.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain, count, repeat

from numpy.random import Generator

from traffic.agents import END, AgentStep, Ask, Sandbox, Steps, Tool
from traffic.durations import DurationDistribution
from traffic.lengths import LengthDistribution

DRAWS_AT_ONCE = 256
CUT = "most_steps"
"""What comes next where the bound is reached."""

FreshStream = Callable[[str], Generator]
"""A generator for a purpose, such as `plan/prompt`."""


@dataclass(frozen=True, slots=True)
class SandboxTimes:
    """Measured or stated, apart from the program itself."""

    create: DurationDistribution
    fresh: DurationDistribution
    fork: DurationDistribution


@dataclass(slots=True)
class Planned:
    """One step as it will be. What its kind does not have is 0."""

    name: str
    kind: str
    history: bool = True
    prompt_tokens: int = 0
    """Of an ask: what is new in it, without results."""
    output_tokens: int = 0
    time_ps: int = 0
    """That the tool takes, or the sandbox and the program."""
    result_tokens: int = 0
    branches: list[list["Planned"]] = field(default_factory=list)
    next: str = END
    """END, CUT, or the step that comes."""


class Walks:
    """Draws one walk after the other through the table of an agent."""

    def __init__(
        self,
        steps: Steps,
        start: str,
        most_steps: int,
        times: SandboxTimes,
        outputs: Iterator[int],
        fresh: FreshStream,
        at_once: int = DRAWS_AT_ONCE,
    ) -> None:
        """`outputs` are those of asks that state none."""
        self._start = start
        self._most_steps = most_steps
        self._draws = {
            name: _Draws(name, step, times, outputs, fresh, at_once) for name, step in steps.items()
        }

    def draw(self) -> list[Planned]:
        """The steps of one user request, at most `most_steps` with those of its branches."""
        return self._walk(self._start, count(self._most_steps, -1))

    def _walk(self, name: str, left: Iterator[int]) -> list[Planned]:
        """Empty where nothing is left for its first step."""
        walk: list[Planned] = []
        makes_sandbox = True
        while name != END and next(left) > 0:
            draws = self._draws[name]
            planned = draws.plan(makes_sandbox=makes_sandbox)
            makes_sandbox = makes_sandbox and planned.kind != "sandbox"
            walk.append(planned)
            name = planned.next
            branches = [
                self._walk(start, left) for start, copies in draws.step.starts.items() for _ in range(copies)
            ]
            planned.branches = [branch for branch in branches if branch]
        if name != END and walk:
            walk[-1].next = CUT
        return walk


class _Draws:
    """Those of one step."""

    def __init__(
        self,
        name: str,
        step: AgentStep,
        times: SandboxTimes,
        outputs: Iterator[int],
        fresh: FreshStream,
        at_once: int,
    ) -> None:
        def tokens(of: str) -> Iterator[int]:
            length = getattr(step, of, None)
            return repeat(0) if length is None else _tokens(length, fresh(f"{name}/{of}"), at_once)

        def ps(of: str, duration: DurationDistribution) -> Iterator[int]:
            return duration.draws_ps(fresh(f"{name}/{of}"), at_once)

        self.step = step
        self._name = name
        self._history = not isinstance(step, Ask) or step.history
        self._prompts, self._results = tokens("prompt"), tokens("result")
        self._outputs: Iterator[int] = repeat(0)
        self._times: Iterator[int] = repeat(0)
        self._starts: Iterator[int] = repeat(0)
        self._creates: Iterator[int] = repeat(0)
        if isinstance(step, Ask):
            self._outputs = outputs if step.output is None else tokens("output")
        elif isinstance(step, Tool):
            self._times = ps("time", step.time)
        elif isinstance(step, Sandbox):
            self._times = ps("run", step.run)
            self._starts = ps("start", times.fresh if step.interpreter == "fresh" else times.fork)
            self._creates = ps("create", times.create)
        shares = step.shares
        self._names, self._below = list(shares), list(accumulate(shares.values()))[:-1]
        self._chances = _uniform(fresh(f"{name}/then"), at_once) if self._below else repeat(0.0)

    def plan(self, *, makes_sandbox: bool) -> Planned:
        """Every stream moves on by one, whether the draw is needed or not."""
        create_ps = next(self._creates)
        time_ps = next(self._times) + next(self._starts)
        if makes_sandbox or (isinstance(self.step, Sandbox) and self.step.new):
            time_ps += create_ps
        return Planned(
            self._name,
            self.step.kind,
            self._history,
            next(self._prompts),
            next(self._outputs),
            time_ps,
            next(self._results),
            next=self._names[bisect_right(self._below, next(self._chances))],
        )


def _tokens(length: LengthDistribution, rng: Generator, at_once: int) -> Iterator[int]:
    return chain.from_iterable(length.sample(rng, at_once).tolist() for _ in count())


def _uniform(rng: Generator, at_once: int) -> Iterator[float]:
    return chain.from_iterable(rng.random(at_once).tolist() for _ in count())
