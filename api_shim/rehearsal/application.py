"""The application of a folder, imported here and started as uvicorn starts it."""

import asyncio
import os
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api_shim.edge.manifest import AppFolder
from e80sim.mistakes import UserError

E80_SDK = "e80_sdk"
E80_SDK_NEEDS = (3, 13)


def import_app(app: AppFolder) -> Any:  # noqa: ANN401 -- whatever the entrypoint names
    """Raises UserError, with the line of the application's own code where it failed."""
    module_name, _, variable = app.manifest.entrypoint.partition(":")
    sys.path.insert(0, str(app.folder))
    os.chdir(app.folder)
    try:
        found: Any = import_module(module_name)
        for name in variable.split("."):
            found = getattr(found, name)
    except ModuleNotFoundError as error:
        _say_what_is_missing(app, module_name, error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- the application's own, whatever it is
        where = _own_line(app.folder, error) or str(app.file)
        raise UserError(
            f"{where}: the entrypoint {app.manifest.entrypoint} does not import: "
            f"{type(error).__name__}: {error}"
        ) from None
    if not callable(found):
        raise UserError(
            f"{app.file}: the entrypoint {app.manifest.entrypoint} is no ASGI application: "
            f"`{variable}` is of type {type(found).__name__}"
        )
    return found


def _say_what_is_missing(app: AppFolder, module_name: str, error: ModuleNotFoundError) -> NoReturn:
    missing = error.name or ""
    if missing.partition(".")[0] == E80_SDK:
        wanted, here = (".".join(map(str, each[:2])) for each in (E80_SDK_NEEDS, sys.version_info))
        old = "" if sys.version_info >= E80_SDK_NEEDS else f", and this is Python {here}"
        raise UserError(
            f"{_own_line(app.folder, error) or app.file}: e80_sdk is not installed; it needs Python {wanted} "
            f"or newer{old}: make an environment of Python {wanted}, install e80sim there, and "
            '`pip install "httpx<1" e80-sdk`'
        ) from None
    if missing == module_name.partition(".")[0]:
        raise UserError(
            f"{app.file}: the entrypoint {app.manifest.entrypoint} names the module {module_name}, "
            f"and {app.folder} has none of that name"
        ) from None
    raise UserError(
        f"{_own_line(app.folder, error) or app.file}: {missing} is not installed beside e80sim, "
        f"where the application runs: {sys.executable} -m pip install …"
    ) from None


def _own_line(folder: Path, error: BaseException) -> str | None:
    """The last line of the application's own that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None


class AppServer:
    """Makes a protocol of uvicorn's for each connection to the application."""

    def __init__(self, app: Any, keep_alive_s: float) -> None:  # noqa: ANN401
        self._config = Config(
            app,
            http=HttpToolsProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            timeout_keep_alive=max(1, round(keep_alive_s)),
        )
        self._config.load()
        self._lifespan = self._config.lifespan_class(self._config)
        self._state = ServerState()

    def protocol(self) -> asyncio.Protocol:
        return HttpToolsProtocol(self._config, self._state, self._lifespan.state)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """From the application's start-up to its shut-down. Raises UserError where it does not start."""
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise UserError("the application's start-up (its lifespan) failed; what it said stands above")
        try:
            yield
        finally:
            await self._lifespan.shutdown()
