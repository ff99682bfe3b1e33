"""How whoever starts a server learns where its dashboard is, and the token that opens it."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from api_shim.dashboard.pages import ROOT
from api_shim.dashboard.sessions import SECRET_BYTES

FILE = "dashboard-token"


def new_token() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def announce(address: str, token: str, directory: Path | None, *, to_a_person: bool) -> str:
    """What to say. A log may keep it, so that it has no token but where nothing else can have it."""
    page = f"dashboard: {address}{ROOT}"
    if directory is not None:
        _write(directory / FILE, token)
        if not to_a_person:
            return f"{page}, its token in {directory / FILE}"
    return f"{page}#token={token}"


def _write(file: Path, token: str) -> None:
    """For the server's own user, from its first byte on."""
    with suppress(FileNotFoundError):
        file.unlink()  # of an earlier start
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(f"{token}\n")
