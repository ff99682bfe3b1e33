"""Who asks: what a request is told apart by beside its body, whether it came over HTTP or not."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from api_shim.accounts.callers import Caller
from api_shim.exchange.request_trace import RequestTrace
from traffic.request import Request


class Asker(NamedTuple):
    caller: Caller
    place: str
    """Where in the scenario's network it is."""
    request_id: str
    """The asker's own, or one of ours."""
    output_tokens: int | None = None
    """How long it states that the answer is; None: as the scenario has it."""
    trace: RequestTrace | None = None
    until_gone: Callable[[], Awaitable[None]] | None = None
    """Ends when the asker has left, which takes its requests out of the model; None: it stays."""
    priority: int | None = None
    """Of all its requests; None: what a body states, or else the caller's."""
    fairness_id: str = ""
    """Whose turn it takes where gateways queue fairly; empty: its project's."""
    ttft_objective_ps: int | None = None
    """How soon it wants its first tokens."""
    attempt: int = 0
    """How often its client has sent this before, as it says."""
    node: int | None = None
    """Which of the model's it has asked, on that node's own port; None: the platform."""
    until_room: Callable[[Request], Awaitable[None]] | None = None
    """Is waited for before a request is sent, by an asker who would rather wait than be refused."""
