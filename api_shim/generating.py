"""Endpoints that generate text, without HTTP: a client and a line of a batch both take this way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from api_shim.content.plan import ContentAsk
from api_shim.content.prompt_tokens import MakeTokens
from api_shim.exchange.asker import Asker
from api_shim.exchange.exchange import Exchange
from api_shim.shim import ServedModel, Shim
from api_shim.store.database import Write


class GeneratingBody(Protocol):
    """What all of their bodies may state."""

    @property
    def stream(self) -> bool | None: ...

    @property
    def stated_priority(self) -> int | None: ...

    @property
    def log(self) -> bool | None:
        """Whether it asks for a trace with bodies."""
        ...


class UnderstoodBody(Protocol):
    """A body that was read, checked and counted."""

    @property
    def body(self) -> GeneratingBody: ...

    @property
    def model(self) -> ServedModel: ...


AnyUnderstood = TypeVar("AnyUnderstood", bound=UnderstoodBody)


class BodyOrigin(NamedTuple):
    """What matters of where a body comes from."""

    project: str
    from_8080: bool = False
    """8080's own client has sent it."""
    along: list[Write] | None = None
    """Of a line of a batch: what is kept of its answer, durable together with the line's result.

    Neither is ever there without the other. None: it is durable before anybody is told of the answer.
    """

    @property
    def in_batch(self) -> bool:
        return self.along is not None


class CountedPrompt(NamedTuple):
    """One request to the model; a body can hold several."""

    ask: ContentAsk
    tokens: int
    written: MakeTokens
    """The same, one by one."""


@dataclass(frozen=True, slots=True)
class Generating(Generic[AnyUnderstood]):
    """What tells one endpoint from another."""

    prompt_param: str
    """Where the prompt stands in the body."""
    understood: Callable[[Shim, BodyOrigin, bytes], Awaitable[AnyUnderstood]]
    """Of a body as it came. Raises ApiError."""
    prompts: Callable[[Shim, Asker, AnyUnderstood], Iterator[CountedPrompt]]
    answer: Callable[[list[Exchange], AnyUnderstood], Awaitable[bytes]]
    """The JSON of the whole, when all exchanges are over."""

    async def open(
        self, shim: Shim, asker: Asker, understood: AnyUnderstood, exchanges: list[Exchange]
    ) -> None:
        """Send it into the model: an exchange for each prompt, for the holder of the list to close."""
        for prompt in self.prompts(shim, asker, understood):
            if exchanges:
                await asyncio.sleep(0)  # with many prompts of many completions, others have their turn
            exchange = await shim.open(
                asker,
                understood.model,
                prompt.ask,
                prompt.tokens,
                stream=bool(understood.body.stream),
                written=prompt.written,
                priority=understood.body.stated_priority if asker.priority is None else asker.priority,
            )
            exchanges.append(exchange)

    async def until_over(self, exchanges: list[Exchange]) -> None:
        """Raises ApiError, and ClientGoneError, where one of them has no answer."""
        for exchange in exchanges:
            await exchange.until_over(self.prompt_param)


def from_body_alone(
    understand: Callable[[Shim, bytes], AnyUnderstood],
) -> Callable[[Shim, BodyOrigin, bytes], Awaitable[AnyUnderstood]]:
    """`understood` of an endpoint that looks nothing up."""

    async def understood(shim: Shim, origin: BodyOrigin, raw: bytes) -> AnyUnderstood:
        del origin
        return await shim.apart(len(raw), partial(understand, shim, raw))

    return understood


def close(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        exchange.close()
