"""What was seen of one request and its answer on the wire."""

import re
from dataclasses import dataclass, field

from api_shim.store.traces import TraceRow, TraceSpan

REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.[01]\r?\n")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})")
NOT_YET = -1


@dataclass(slots=True)
class WireExchange:
    """Stamps are whole simulated picoseconds."""

    server: str
    visit: int | None
    """Of the user whose request this is, or is done for."""
    began_ps: int
    """The client wanted it: a new connection is set up from here on."""
    connected_ps: int
    sent_ps: int
    """The first byte left the client."""
    arrived_ps: int
    """All of the request, as far as it was sent, was at the server."""
    cold: bool
    """It set up its connection."""
    answered_ps: int = NOT_YET
    """The first byte of the answer left the server."""
    left_ps: int = NOT_YET
    """The last one did."""
    first_back_ps: int = NOT_YET
    ended_ps: int = NOT_YET
    """The last byte was at the client."""
    request_head: bytes = b""
    answer_head: bytes = b""
    spans: list[TraceSpan] = field(default_factory=list)
    """Of the model, where the server is the platform."""
    asked: TraceRow | None = None
    """What it asked a model for, if it did."""

    @property
    def what(self) -> str:
        """Method and path."""
        found = REQUEST_LINE.match(self.request_head)
        return f"{found[1].decode()} {found[2].decode()}" if found else "?"

    @property
    def status(self) -> int:
        """0 where there was no answer."""
        found = STATUS_LINE.match(self.answer_head)
        return int(found[1]) if found else 0
