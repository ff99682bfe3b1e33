"""What traces keep of what was said: bodies, without secrets and not too much; and of who said it."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from api_shim.store.traces import KeptText, TraceRow, TraceSpan
from api_shim.tracing.redaction import Redaction

BODY_BYTES = 64 * 1024
"""As much of a body is kept, and of the messages."""
MARGIN_BYTES = 1024
"""Read beyond that, so that a secret at the end is known for one."""
PARSED_BYTES = 256 * 1024
"""Of a longer body no settings are noted."""
LOG = b'"log"'


class AroundCall(Protocol):
    """A trace of something larger, of which a request to the model is a part."""

    @property
    def is_kept(self) -> bool: ...
    @property
    def logged(self) -> bool: ...

    def made(self, row: TraceRow, spans: list[TraceSpan]) -> None:
        """The call is over."""
        ...


class WhoAsks(NamedTuple):
    """A request that may be traced, before its body is understood."""

    endpoint: str
    """Its path."""
    request_id: str
    project: str
    key: str
    """The name of its key."""
    secret: str
    """The key itself; empty where nobody sent one along, as with a batch."""
    traceparent: str
    """W3C's, valid or empty."""
    within: "AroundCall | None" = None
    """The user's request that an application makes this one for."""


def parsed(raw: bytes) -> dict[str, Any]:
    """Empty where it is no object, or a long one."""
    try:
        body = json.loads(raw) if len(raw) <= PARSED_BYTES else None
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def kept_text(
    pieces: list[bytes], size_bytes: int, clean: Callable[[str], str], redaction: Redaction
) -> KeptText:
    """Searched for secrets first, then cut: half of one would not look like it."""
    begun = b"".join(pieces)[: BODY_BYTES + MARGIN_BYTES]
    text = clean(begun.decode(errors="replace"))
    cut = size_bytes > BODY_BYTES
    return KeptText(redaction.cut(text, BODY_BYTES) if cut else text, size_bytes, cut)
