"""What a rehearsal is told, and what was seen of it."""

from dataclasses import dataclass

from api_shim.rehearsal.users import Visit
from api_shim.rehearsal.wire_exchange import WireExchange


@dataclass(frozen=True, slots=True)
class Part:
    """What is rehearsed, and where: all that the process is told."""

    folder: str
    requests: str
    scenario: str
    variant: str | None
    settings: list[str]
    place: str
    users_at: str
    concurrency: int
    repeat: int
    pause_s: float
    patience_s: float
    rate_per_s: float | None
    app_cpu_ms: float | None
    """For each message; None: measured."""
    sandbox_run_ms: float | None
    """What a program in a sandbox takes, however long it really ran; None: that."""
    content: str
    seed: int | None


@dataclass(slots=True)
class Performed:
    """What was seen, in picoseconds."""

    place: str
    label: str
    title: str
    app_host: str
    """The application's name on the network."""
    visits: list[Visit]
    exchanges: list[WireExchange]
    app_worked_ps: int
    ended_ps: int
    warnings: list[str]
