"""What somebody who traces a request wants to hear of it."""

from typing import Protocol

from api_shim.content.plan import ContentAsk, ContentPlan
from api_shim.exchange.call import Call


class RequestTrace(Protocol):
    """Is over when all that was sent has been closed."""

    def sent(self, call: Call, plan: ContentPlan, ask: ContentAsk) -> None:
        """Into the model: as many as the body holds prompts."""
        ...

    def answer(self, status: int, body: bytes = b"") -> None:
        """The whole of it, or the head of a stream."""
        ...

    def wrote(self, chunk: bytes) -> None:
        """Of a stream."""
        ...

    def closed(self) -> None:
        """One of those that were sent."""
        ...
