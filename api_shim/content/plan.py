"""What an answer is to be, and what it was planned to be: decided before the request is submitted.

The simulator supplies the time; what supplies the words stands behind one interface, `Content`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from api_shim.content.schemas.schema import Schema
from traffic.tokens import Vocabulary

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class CallableTool:
    """A tool that the model may call."""

    name: str
    arguments: Schema
    """Or its input, if that is text."""
    takes_text: bool = False


@dataclass(slots=True)
class ContentAsk:
    """What content must know of a request. Nothing ever changes it; to freeze it would triple its price."""

    vocabulary: Vocabulary
    model: str
    """The name on the wire."""
    messages: tuple[tuple[str, str], ...]
    """(role, text); a plain completion is one message of a user."""
    seed: int
    """Equal for equal bodies."""
    natural_tokens: Callable[[], int]
    """How long an answer of this model would be if nothing ended it, reasoning included."""
    room_tokens: int
    """What the prompt leaves of the context, at least 1."""
    max_tokens: int | None = None
    min_tokens: int = 0
    ignore_eos: bool = False
    stops: tuple[str, ...] = ()
    samples: int = 1
    tools: tuple[CallableTool, ...] = ()
    """Those that may be called."""
    must_call: bool = False
    most_calls: int | None = None
    """None: as many as the user's message names."""
    called: tuple[str, ...] = ()
    """The tools whose results stand after the last message of the user, in order."""
    form: Schema | None = None
    """What the text must satisfy."""
    reasoning_per_token: float = 0.0
    """Tokens of reasoning for each one of what is then said."""
    as_chat: Callable[[], dict[str, Any]] | None = None
    """The request as a body of chat's, without model and caps: for who asks another server."""
    call_lead: Callable[[str], int] = len
    """How many tokens a call of the tool of this name takes before its arguments."""

    @property
    def limit(self) -> int:
        return self.room_tokens if self.max_tokens is None else min(self.max_tokens, self.room_tokens)

    @property
    def last_user_text(self) -> str:
        return next((text for role, text in reversed(self.messages) if role == "user"), "")

    @property
    def after_a_result(self) -> bool:
        """It is the model's turn because tools have answered."""
        return bool(self.messages) and self.messages[-1][0] in {"tool", "function"}


class Part(NamedTuple):
    """Tokens `start` up to `stop` of each choice."""

    kind: Literal["reasoning", "text", "call"]
    start: int
    stop: int
    number: int = 0
    """Of a call among the calls of a choice."""
    name: str = ""
    """Of the function that is called."""
    lead: int = 0
    """So many tokens name it; the arguments follow."""

    @property
    def named(self) -> int:
        """The token that completes the name; no call is to be seen before."""
        return self.start + self.lead


class Stretch(NamedTuple):
    """Consecutive tokens of one part."""

    part: Part
    start: int
    """Of the first of them, in the choice."""
    pieces: list[str]

    @property
    def stop(self) -> int:
        return self.start + len(self.pieces)


@dataclass(frozen=True, slots=True)
class ContentPlan:
    """`choices[i][t]` is what token t adds to choice i; all choices have equally many tokens.

    `parts` tells what it adds to: reasoning, text, or the arguments of a call. Without any it is all text.
    """

    choices: tuple[list[str], ...]
    finish_reason: FinishReason
    parts: tuple[Part, ...] = ()

    @property
    def output_tokens(self) -> int:
        """Of each choice."""
        return len(self.choices[0])

    @property
    def reasoning_tokens(self) -> int:
        """Of all choices."""
        each = sum(part.stop - part.start for part in self.parts if part.kind == "reasoning")
        return each * len(self.choices)

    def stretches(self, choice: int, start: int = 0, stop: int | None = None) -> Iterator[Stretch]:
        pieces = self.choices[choice]
        stop = len(pieces) if stop is None else stop
        if not self.parts and start < stop:
            yield Stretch(Part("text", 0, len(pieces)), start, pieces[start:stop])
        for part in self.parts:
            first, last = max(start, part.start), min(stop, part.stop)
            if first < last:
                yield Stretch(part, first, pieces[first:last])

    def joined(self, choice: int, kind: Literal["reasoning", "text"]) -> str | None:
        """None where the choice has nothing of the kind."""
        if not self.parts:
            return "".join(self.choices[choice]) if kind == "text" and self.output_tokens else None
        found = [each.pieces for each in self.stretches(choice) if each.part.kind == kind]
        return "".join(piece for pieces in found for piece in pieces) if found else None

    def calls(self, choice: int) -> Iterator[tuple[str, str]]:
        """(name, arguments)."""
        for part, _, pieces in self.stretches(choice) if self.parts else ():
            if part.kind == "call" and part.named <= part.stop:
                yield part.name, "".join(pieces)


class Content(Protocol):
    paced: bool
    """False where the words themselves take real time, so that simulated times cannot be kept."""

    async def plan(self, ask: ContentAsk) -> ContentPlan: ...
