"""Who is at work: the machine on which a piece of code runs, and the visit of a user that it is for.

Context variables, since that is what asyncio hands on from a task to all that it begins.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from sim.network.places import PlaceSpec


@dataclass(frozen=True, slots=True)
class Machine:
    kind: Literal["user", "app", "platform"]
    name: str
    place: PlaceSpec
    """Two machines at the very same place are one host, with no network between them."""


MACHINE: ContextVar[Machine | None] = ContextVar("MACHINE", default=None)
VISIT: ContextVar[int | None] = ContextVar("VISIT", default=None)
"""Number of the user's request that this is done for."""
