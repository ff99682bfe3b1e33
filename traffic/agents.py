"""Agents as tables of steps: what each step does, and what comes next.

A step names the next one, or several with a probability each; without a next one the agent answers. Whatever
goes round in a circle needs a bound, and a way out.
"""

from abc import ABC
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, StringConstraints, model_validator

from e80sim.choices import OneOf, by_kind
from traffic.durations import DurationDraw
from traffic.lengths import Length
from traffic.spec import MOST_STEPS, Spec

END = "end"
"""What comes next where the agent, or a branch of it, is done: the name of no step."""
MOST_COPIES = 100

StepName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Share = Annotated[float, Field(ge=0, le=1)]


class AgentStep(Spec, ABC):
    kind: str
    then: StepName | dict[StepName, Share] = Field(
        END,
        description="the step that comes next, or several with the probability of each; `end`: the agent, "
        "or the branch, is done",
    )

    @model_validator(mode="after")
    def _something_comes_next(self) -> Self:
        if isinstance(self.then, dict) and abs(sum(self.then.values()) - 1) > 1e-9:
            told = ", ".join(f"{name} {share:g}" for name, share in self.then.items())
            raise ValueError(
                f"the probabilities of what comes next add up to {sum(self.then.values()):g}, and must to 1: "
                f"{told}"
            )
        return self

    @property
    def shares(self) -> Mapping[str, float]:
        """Of what comes next, those that can come."""
        then = {self.then: 1.0} if isinstance(self.then, str) else self.then
        return {name: share for name, share in then.items() if share}

    @property
    def starts(self) -> Mapping[str, int]:
        """Where branches begin, and how many do there."""
        return {}


class Ask(AgentStep):
    """One call to the model."""

    kind: Literal["ask"] = "ask"
    prompt: Length | None = Field(
        None, description="what it adds to the user's message and to the results since; absent: nothing"
    )
    output: Length | None = Field(None, description="absent: as the source's `lengths.output`")
    history: bool = Field(
        True,
        description="its prompt begins with all that was said before; false: it asks apart, and its "
        "answer is a result that enters the next prompt",
    )

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.history and self.prompt is None:
            raise ValueError("without `history` an ask knows nothing of what was said: state its `prompt`")
        return self


class Tool(AgentStep):
    """Something else than the model works: a search, a database, a person."""

    kind: Literal["tool"] = "tool"
    time: DurationDraw = Field(description="as the agent sees it, the way there and back included")
    result: Length | None = Field(None, description="tokens that enter the next prompt; absent: none")


class Sandbox(AgentStep):
    """A program that the model wrote runs in a sandbox beside the platform."""

    kind: Literal["sandbox"] = "sandbox"
    run: DurationDraw = Field(description="of the program itself")
    interpreter: Literal["fresh", "fork"] = Field(
        "fresh", description="`fork`: from a warm one that the sandbox keeps"
    )
    new: bool = Field(
        False, description="in a sandbox of its own; false: the agent, or the branch, makes one and keeps it"
    )
    result: Length | None = Field(None, description="tokens that enter the next prompt; absent: none")


class FanOut(AgentStep):
    """Branches that go their ways at once, each from what was said so far; it goes on after the last."""

    kind: Literal["fan_out"] = "fan_out"
    branches: dict[StepName, Annotated[int, Field(ge=1, le=MOST_COPIES)]] = Field(
        min_length=1, description="the first step of each, and how many do the same"
    )

    @property
    def starts(self) -> Mapping[str, int]:
        return self.branches


STEPS: dict[str, type[AgentStep]] = by_kind(Ask, Tool, Sandbox, FanOut)
"""By kind. `sim.callers.agents.DOES` has a line for each."""
Step = Annotated[AgentStep, OneOf(STEPS)]
Steps = Mapping[str, AgentStep]


class Flaw(NamedTuple):
    """Why a table of steps is no agent."""

    place: tuple[str, ...]
    """From the app on, such as ("steps", "plan", "then")."""
    sentence: str


def flaws(steps: Steps, start: str, most_steps: int | None) -> Iterator[Flaw]:
    """All names exist. Everything else that is wrong with it, the first to be mended first."""
    reached = _reachable(steps, start)
    for name in steps:
        if name not in reached:
            yield Flaw(("steps", name), f"nothing leads to step `{name}`: name it in a `then`, or drop it")
    recursive = next((name for name in steps if name in _inside_branches(steps, name)), None)
    if recursive is not None:
        yield Flaw(
            ("steps", recursive, "branches"),
            f"step `{recursive}` fans out into itself, and there is no end to that: let the branches lead "
            f"elsewhere",
        )
        return
    for name in reached:
        if END not in _reachable(steps, name, within=True):
            yield Flaw(
                ("steps", name, "then"),
                f"the agent has no end: nothing leads from step `{name}` to one without a `then`",
            )
            return
    yield from _unbounded(steps, start, most_steps)


def _unbounded(steps: Steps, start: str, most_steps: int | None) -> Iterator[Flaw]:
    if most_steps is not None:
        return
    for name in steps:
        if name in _followers(steps, name):
            yield Flaw(
                ("steps", name, "then"),
                f"the agent can come back to step `{name}` any number of times: state `most_steps`, after "
                f"which it answers with what it has",
            )
            return
    most = _most(steps, start, {})
    if most > MOST_STEPS:
        yield Flaw(
            ("steps",),
            f"the agent may take {most:,} steps, and {MOST_STEPS:,} are the most: state `most_steps`",
        )


def _reachable(steps: Steps, start: str, *, within: bool = False) -> set[str]:
    """From `start`, itself included; `within` the same branch."""
    found, left = set[str](), [start]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        if name in steps:
            step = steps[name]
            left += step.shares if within else (*step.shares, *step.starts)
    return found


def _followers(steps: Steps, name: str) -> set[str]:
    """What may come after `name` in the same branch."""
    return set[str]().union(*(_reachable(steps, other, within=True) for other in steps[name].shares))


def _inside_branches(steps: Steps, name: str) -> set[str]:
    return set[str]().union(*(_reachable(steps, other) for other in steps[name].starts))


def _most(steps: Steps, name: str, known: dict[str, int]) -> int:
    """Steps from `name` on, those of branches included, where nothing goes round in a circle."""
    if name == END:
        return 0
    if name not in known:
        step = steps[name]
        branches = sum(copies * _most(steps, start, known) for start, copies in step.starts.items())
        known[name] = 1 + branches + max(_most(steps, other, known) for other in step.shares)
    return known[name]
