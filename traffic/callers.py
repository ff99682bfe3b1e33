"""What those who arrive do: without a word on it each sends one request, and waits for nothing."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from e80sim.choices import OneOf, by_kind
from traffic.counts import CountDraw
from traffic.durations import DurationDraw
from traffic.spec import Spec
from traffic.traces.file import RecordingFile


class CallerKind(Spec, ABC):
    """Callers that wait for each answer before they ask again."""

    kind: str
    model_only: ClassVar[bool] = False
    """They talk with a model, and with no app."""
    prompts_grow: ClassVar[bool] = False
    """Each begins with all that was said before."""
    never_leave: ClassVar[bool] = False

    @property
    def turns_of_each(self) -> float:
        """Requests for one arrival, on average, where it does not come to the horizon."""
        return 1.0

    @abstractmethod
    def asks(self, waiting_s: float, round_s: float, horizon_s: float) -> float:
        """How many questions one of them asks, about.

        A lone answer takes `waiting_s`, and an answer for each of the callers `round_s` in all.
        """


class Chats(CallerKind):
    """Each arrival starts a conversation, whose prompts hold all that was said before.

    `lengths` are what is new in each turn.
    """

    kind: Literal["chats"] = "chats"
    model_only: ClassVar[bool] = True
    prompts_grow: ClassVar[bool] = True
    think: DurationDraw = Field(description="from an answer to the next question")
    turns: CountDraw = Field(
        description="questions of a conversation, if none fails and the next one fits the model's context"
    )

    def asks(self, waiting_s: float, round_s: float, horizon_s: float) -> float:
        del waiting_s, round_s, horizon_s
        return self.turns_of_each

    @property
    def turns_of_each(self) -> float:
        return self.turns.mean_count


LEAST_CYCLE_S = 0.001
"""From one question of a closed-loop user to his next at least: else a run would have no end where answers
take no time, such as refusals next door."""


class ClosedLoop(CallerKind):
    """Each arrival is a user who asks, waits, thinks and asks again until the horizon, refused or not."""

    kind: Literal["closed_loop"] = "closed_loop"
    never_leave: ClassVar[bool] = True
    think: DurationDraw = Field(description="from an answer to the next question")

    def asks(self, waiting_s: float, round_s: float, horizon_s: float) -> float:
        return horizon_s / max(LEAST_CYCLE_S, waiting_s + self.think.mean_s, round_s)


class Recorded(RecordingFile, CallerKind):
    """Each arrival starts a recorded session, one after the other, round and round."""

    kind: Literal["recorded"] = "recorded"

    def asks(self, waiting_s: float, round_s: float, horizon_s: float) -> float:
        del waiting_s, round_s, horizon_s
        return self.turns_per_session


CALLERS: dict[str, type[CallerKind]] = by_kind(Chats, ClosedLoop, Recorded)
"""By kind. `sim.callers.waiting.STARTS` has a line for each."""
Callers = Annotated[CallerKind, OneOf(CALLERS)]
