"""Where applications are reached: at hosts of their own, and below a path of the server's."""

import re

from starlette.types import Scope

HOSTED = "/hosted"
HOST = re.compile(rb"([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.hosted\.[a-z0-9.-]+(?::\d+)?", re.IGNORECASE)
BETWEEN = b".hosted."


def api_url_of(host: str, port: int) -> str:
    """The server's own address, for a program on this machine."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- what was bound, not to bind
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def under_its_path(scope: Scope) -> Scope:
    """A request to an application's own host as one below its path; every other one as it is."""
    host = next((value for name, value in scope.get("headers", ()) if name == b"host"), b"")
    found = HOST.fullmatch(host) if BETWEEN in host else None
    if found is None or scope["type"] not in {"http", "websocket"}:
        return scope
    prefix = f"{HOSTED}/{found[1].decode().lower()}"
    path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
    return {**scope, "path": prefix + path, "raw_path": prefix.encode() + raw, "hosted_by_name": True}
