"""What is to run: an application, what it is given, and what it may use."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

MIB = 2**20
LEAST_ADDRESS_SPACE = 1024 * MIB
ADDRESS_SPACE_PER_MEMORY = 4
"""Libraries map far more than they touch, so this only stops what runs away between two looks."""
INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Of the server's own environment, whose other variables may hold secrets."""


@dataclass(frozen=True, slots=True)
class AppLimits:
    memory_mb: int = 1024
    """Resident in all its processes together."""
    share: float = 1.0
    """Of one of this machine's cores; more than 1 are several."""
    start_s: float = 60.0
    """Real time until it has answered for the first time."""
    hang_s: float = 30.0
    """Real time without an answer after which it counts as hung."""
    look_s: float = 5.0
    """Between two questions whether it still answers."""

    @property
    def memory_bytes(self) -> int:
        return self.memory_mb * MIB

    @property
    def address_space_bytes(self) -> int:
        return max(LEAST_ADDRESS_SPACE, ADDRESS_SPACE_PER_MEMORY * self.memory_bytes)


@dataclass(frozen=True, slots=True)
class EdgePlan:
    slug: str
    """Its name in addresses."""
    project: str
    """Whose keys may ask it, and whose limits its calls count for."""
    entrypoint: str
    """`module.path:variable` of an ASGI application."""
    folder: Path
    """Where it runs."""
    limits: AppLimits = field(default_factory=AppLimits)
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values in its environment that no log may show."""
    libraries: tuple[Path, ...] = ()
    """Folders that it may import from, beside its own."""
    python: str | None = None
    """The interpreter; None: its own virtual environment's, or else the server's."""
    isolated: bool = False
    """Others have written it: it sees nothing of the machine but its folders and the network."""

    def command(self, *listen: str) -> list[str]:
        """With the uvicorn of its interpreter, as its other dependencies are; `listen` is its option."""
        return [
            self.interpreter(),
            *("-m", "uvicorn", self.entrypoint, *listen, "--no-access-log"),
            *("--app-dir", str(self.folder), "--timeout-keep-alive", "75", "--log-level", "info"),
        ]

    def variables(self) -> dict[str, str]:
        """The whole environment."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        path = os.pathsep.join(str(folder) for folder in self.libraries)
        ours = {"PYTHONUNBUFFERED": "1", **({"PYTHONPATH": path} if path else {})}
        return {**inherited, **ours, **self.environment}

    def given(self, variables: Mapping[str, str], secret: str) -> "EdgePlan":
        """With further variables below its own, of which `secret` is a value."""
        return replace(self, environment={**variables, **self.environment}, secrets=(*self.secrets, secret))

    def interpreter(self) -> str:
        own = self.folder / ".venv" / "bin" / "python"
        return self.python or (str(own) if own.exists() else sys.executable)
