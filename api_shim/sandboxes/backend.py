"""What isolates: bubblewrap, or Docker. Everything else about a sandbox is the same for both."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from api_shim.sandboxes.limits import SandboxLimits


class NoIsolationError(Exception):
    """Nothing can be isolated here; the message says why, and what would help."""


class SandboxRefusedError(Exception):
    """What was asked for is not to be had; the message says why."""


@dataclass(slots=True)
class Launched:
    """The server inside is starting: its first frame says when it stands."""

    process: asyncio.subprocess.Process
    """To kill it is to kill everything inside."""
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    forget: Callable[[], Awaitable[None]]
    """To be called when the process has ended, whatever its end was."""
    watched: bool
    """Whether its processes are this machine's, and their memory and CPU for us to bound."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a sandbox is to be made."""

    name: str
    limits: SandboxLimits
    image: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    network: bool = False
    """Only for our own programs, such as an installer that asks an index."""


class Backend(Protocol):
    name: str

    async def probe(self) -> None:
        """Raises NoIsolationError. Asked once, before the first sandbox."""
        ...

    async def launch(self, wish: Wish) -> Launched:
        """Raises SandboxRefusedError for an image that it cannot have."""
        ...
