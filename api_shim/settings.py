"""How the server behaves; what it simulates, the scenario says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from api_shim.node_ports import NodePort
from api_shim.sandboxes.choice import SandboxChoice
from api_shim.store.archives import ArchiveLimits

LoginMode = Literal["local", "token", "off"]
"""local: whoever is on this machine may. token: who knows the dashboard's token. off: nobody."""
StreamChunks = Literal["per_token", "coalesced"]
IN_MEMORY = ":memory:"
"""The state directory of a server that keeps nothing."""

BASE_FLUSH_MS = 5.0
FLUSH_MS_PER_STREAM = 0.2
"""A wake-up costs 0.03 ms of CPU without its socket, so most of a core is left for everything else."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    stream_chunks: StreamChunks = "coalesced"
    """Of the tokens due at a wake-up: one event for each, or one for all."""
    flush_ms: float | None = None
    """Between two writes of a stream; None: it grows with the number of streams."""
    body_limit_bytes: int = 4 * 2**20
    """Ten times what fills the largest context."""
    file_limit_bytes: int = 200 * 2**20
    """8080's for the input of a batch, OpenAI's too."""
    artifact_limit_bytes: int = 2 * 2**30
    """Of an app's zip file, in all its parts."""
    archive_limits: ArchiveLimits = field(default_factory=ArchiveLimits)
    """Of what is in it."""
    need_key: bool = True
    sim_comment: bool = True
    """Whether streams end with a comment that holds their stamps; a request may say otherwise."""
    trace_share: float = 0.0
    """Of the requests that do not say `log`, from 0 to 1: traced without bodies."""
    cors_origins: tuple[str, ...] = ()
    """Whose pages may read the answers in a browser; `*` is everybody's."""
    place_of_port: dict[int, str] = field(default_factory=dict)
    """Where the callers of a listener are."""
    node_of_port: Mapping[int, NodePort] = field(default_factory=dict)
    """Which node a port is that belongs to one."""
    login: LoginMode = "local"
    """Who may log in with 8080's command line."""
    dashboard_token: str | None = field(default=None, repr=False)
    """Opens `/dashboard` to whoever shows it; None: there is no dashboard."""
    api_url: str = "http://127.0.0.1:8080"
    """Where applications on this machine find the server."""
    app_python: str | None = None
    """The interpreter of applications; None: that of their virtual environment, or else the server's."""
    sandboxes: SandboxChoice = field(default_factory=SandboxChoice)
    sandbox_run_ms: float | None = None
    """What each program in a sandbox takes by the model's clock, however long it really ran; None: that."""
    instance: str = "00000000"
    """Goes into every id, so that two runs of a server do not share any."""

    def flush(self, streams: int) -> float:
        """In ms of the client's clock."""
        if self.flush_ms is not None:
            return self.flush_ms
        return max(BASE_FLUSH_MS, FLUSH_MS_PER_STREAM * streams)
