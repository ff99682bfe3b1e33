"""The words of an answer. They are planned before the request is submitted, because they decide its length.

The simulator supplies the time; what supplies the words stands behind one interface, `Content`.
"""

import asyncio
import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Literal, Protocol

from api_shim.content import synthetic
from api_shim.content.stop_strings import cut_at_stop
from traffic.tokens import Vocabulary

TOKENS_AT_ONCE = 100_000
"""Planned without giving others a turn."""
LONGEST_TOKEN = 128
"""Letters, in both vocabularies: a row of blanks."""
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class ContentAsk:
    """What content must know of a request."""

    vocabulary: Vocabulary
    model: str
    """The name on the wire."""
    messages: tuple[tuple[str, str], ...]
    """(role, text); a plain completion is one message of a user."""
    seed: int
    """Equal for equal bodies."""
    natural_tokens: Callable[[], int]
    """How long an answer of this model would be if nothing ended it."""
    room_tokens: int
    """What the prompt leaves of the context, at least 1."""
    max_tokens: int | None = None
    min_tokens: int = 0
    ignore_eos: bool = False
    stops: tuple[str, ...] = ()
    samples: int = 1

    @property
    def limit(self) -> int:
        return self.room_tokens if self.max_tokens is None else min(self.max_tokens, self.room_tokens)

    @property
    def last_user_text(self) -> str:
        return next((text for role, text in reversed(self.messages) if role == "user"), "")


@dataclass(frozen=True, slots=True)
class ContentPlan:
    """`choices[i][t]` is what token t adds to the text of choice i; all choices have equally many tokens."""

    choices: tuple[list[str], ...]
    finish_reason: FinishReason

    @property
    def output_tokens(self) -> int:
        """Of each choice."""
        return len(self.choices[0])


class Content(Protocol):
    paced: bool
    """False where the words themselves take real time, so that simulated times cannot be kept."""

    async def plan(self, ask: ContentAsk) -> ContentPlan: ...


class Synthetic:
    """Sentences about nothing, as long as the scenario says."""

    paced = True

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        wanted = ask.limit if ask.ignore_eos else max(ask.natural_tokens(), ask.min_tokens)
        tokens = max(1, min(wanted, ask.limit))
        finish: FinishReason = "length" if tokens >= ask.limit else "stop"
        first = synthetic.pieces(tokens, ask.seed)
        if finish == "stop" and first[-2:-1] != ["."]:
            first[-1] = "." if tokens > 1 else first[-1]
        cut = cut_at_stop(first, ask.stops, ask.min_tokens) if ask.stops else None
        if cut is not None:
            return ContentPlan((cut,) * ask.samples, "stop")
        choices = [first]
        for index in range(1, ask.samples):
            if index * tokens % TOKENS_AT_ONCE < tokens:
                await asyncio.sleep(0)
            choices.append(synthetic.pieces(tokens, ask.seed + index))
        return ContentPlan(tuple(choices), finish)


class Echo:
    """The last user message comes back."""

    paced = True

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        return spoken(ask, ask.last_user_text)


def spoken(ask: ContentAsk, text: str) -> ContentPlan:
    """`text` as the answer, within what the request asks for."""
    text = text[: max(ask.limit, ask.min_tokens) * LONGEST_TOKEN]  # the rest would only be thrown away
    pieces = list(pieces_of(ask.vocabulary, text)) or [""]
    if ask.ignore_eos or len(pieces) < ask.min_tokens:
        pieces = list(islice(cycle(pieces), ask.limit if ask.ignore_eos else min(ask.min_tokens, ask.limit)))
    finish: FinishReason = "length" if len(pieces) >= ask.limit else "stop"
    pieces = pieces[: ask.limit]
    cut = cut_at_stop(pieces, ask.stops, ask.min_tokens) if ask.stops else None
    if cut is not None:
        pieces, finish = cut, "stop"
    return ContentPlan((pieces,) * ask.samples, finish)


def pieces_of(vocabulary: Vocabulary, text: str) -> Iterator[str]:
    """What each token adds: a letter that spans several tokens comes with the last of them."""
    decode = partial(codecs.getincrementaldecoder("utf-8")(errors="replace").decode, final=False)
    for token in vocabulary.encode(text):
        yield decode(vocabulary.token_bytes(token))
