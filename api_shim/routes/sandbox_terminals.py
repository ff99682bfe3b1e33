"""Terminals in sandboxes, over WebSockets, in the two dialects that 8080's clients have spoken.

Both clients stop reading as soon as the connection closes, even if frames are still unread: it closes a while
after the last one.
"""

import asyncio
import binascii
import codecs
import json
from base64 import b64decode, b64encode
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import APIRouter
from pydantic import BaseModel, Field, ValidationError
from starlette.routing import WebSocketRoute
from starlette.status import WS_1000_NORMAL_CLOSURE
from starlette.websockets import WebSocket, WebSocketDisconnect

from api_shim.routes.sandboxes import no_such_sandbox
from api_shim.sandboxes.backend import SandboxRefusedError
from api_shim.sandboxes.sandbox import Execution, Program, Sandbox, SandboxEndedError
from api_shim.shim import Shim
from api_shim.wire.errors import ApiError

Json = dict[str, Any]
SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash --norc --noprofile -i; exec sh -i")
LINGER_S = 1.0
"""Between the last frame and the closing of a connection."""
PATIENCE_S = 5.0
"""For a client to close after it was told what is wrong."""
STANDARD_ALPHABET = str.maketrans("-_", "+/")
Length = Annotated[int, Field(ge=1, le=1000)]


class Resize(BaseModel):
    height: Length
    width: Length


class BadFrameError(Exception):
    """The message says what is wrong with it."""


class Dialect(Protocol):
    def read(self, frame: Json) -> "bytes | Resize":
        """What was typed, or the terminal's size. Raises BadFrameError."""
        ...

    def output(self, data: bytes) -> Json | None:
        """None where a character is not whole yet."""
        ...

    def exit(self, code: int) -> Json | None:
        """None where the client knows no such frame."""
        ...

    def error(self, message: str) -> Json: ...


class NewerDialect:
    """Of the client 0.1.0a14."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self, frame: Json) -> bytes | Resize:
        if "resize" in frame:
            return _resize(frame["resize"])
        return _decoded(frame.get("input"))

    def output(self, data: bytes) -> Json | None:
        text = self._decoder.decode(data)
        return {"output_source": "stdout", "output": text} if text else None

    def exit(self, code: int) -> Json | None:
        del code  # any frame that it does not know ends the client with a traceback
        return None

    def error(self, message: str) -> Json:
        return {"message": message}


class OlderDialect:
    """Of the clients 0.1.0a9 to a13."""

    def read(self, frame: Json) -> bytes | Resize:
        if frame.get("type") == "resize":
            return _resize({"height": frame.get("rows"), "width": frame.get("cols")})
        if frame.get("type") != "input":
            raise BadFrameError("a frame has the type `input` or `resize`")
        return _decoded(frame.get("data"))

    def output(self, data: bytes) -> Json | None:
        return {"type": "output", "data": b64encode(data).decode()}

    def exit(self, code: int) -> Json | None:
        return {"type": "exit", "code": code}

    def error(self, message: str) -> Json:
        return {"type": "error", "message": message}


async def exec_newer(websocket: WebSocket) -> None:
    query = websocket.query_params
    size = {"height": query.get("initial_height", "24"), "width": query.get("initial_width", "80")}
    await _serve(websocket, NewerDialect(), size, coloured=query.get("color", "True").lower() != "false")


async def exec_older(websocket: WebSocket) -> None:
    await _serve(websocket, OlderDialect(), {"height": "24", "width": "80"}, coloured=True)


router = APIRouter()
router.routes += [
    WebSocketRoute("/v1/sandboxes/{sandbox_id}/exec", exec_newer),
    WebSocketRoute("/api/sandbox/{organisation}/{slug}/{sandbox_id}/connect", exec_older),
]


async def _serve(websocket: WebSocket, dialect: Dialect, size: dict[str, str], *, coloured: bool) -> None:
    shim: Shim = websocket.app.state.shim
    try:
        sandbox = await _sandbox(websocket, shim)
    except ApiError as error:
        await websocket.send_denial_response(error.response())
        return
    await websocket.accept()
    try:
        rows, columns = _size(size)
        environment = () if coloured else (("NO_COLOR", "1"),)
        program = Program(SHELL, terminal=(rows, columns), environment=environment)
        execution = await shim.sandboxes.live(sandbox.start(program))
    except (BadFrameError, SandboxEndedError, SandboxRefusedError) as error:
        await _tell(websocket, dialect, str(error))
        return
    try:
        await _Terminal(shim, websocket, dialect, execution).serve()
    finally:
        await shim.sandboxes.live(_hang_up(execution))


class _Terminal:
    def __init__(self, shim: Shim, websocket: WebSocket, dialect: Dialect, execution: Execution) -> None:
        self._sandboxes = shim.sandboxes
        self._websocket = websocket
        self._dialect = dialect
        self._execution = execution

    async def serve(self) -> None:
        """Until the shell ends or the client leaves."""
        tasks = [asyncio.create_task(self._show()), asyncio.create_task(self._type())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            wrong = next((why for task in done if (why := task.result()) is not None), None)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if wrong is not None:
            await _tell(self._websocket, self._dialect, wrong)
            return
        with suppress(WebSocketDisconnect, RuntimeError):  # it has left meanwhile
            await asyncio.sleep(LINGER_S)
            await self._websocket.close(WS_1000_NORMAL_CLOSURE)

    async def _show(self) -> str | None:
        """What went wrong, if anything did."""
        try:
            while (piece := await self._sandboxes.live(self._execution.read())) is not None:
                await self._send(self._dialect.output(piece[1]))
            await self._send(self._dialect.exit(self._execution.exit_code))
        except (SandboxEndedError, SandboxRefusedError) as error:
            return f"the sandbox has ended: {error}"
        except WebSocketDisconnect:
            pass
        return None

    async def _type(self) -> str | None:
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return None
                what = self._dialect.read(_frame(message.get("text") or message.get("bytes") or ""))
                if isinstance(what, bytes):
                    await self._sandboxes.live(self._execution.write(what))
                else:
                    await self._sandboxes.live(_resized(self._execution, what))
        except BadFrameError as error:
            return str(error)
        except SandboxEndedError as error:
            return f"the sandbox has ended: {error}"

    async def _send(self, frame: Json | None) -> None:
        if frame is not None:
            await self._websocket.send_text(json.dumps(frame))


async def _sandbox(websocket: WebSocket, shim: Shim) -> Sandbox:
    """Raises ApiError 403, and 404 where the caller's project has none of that name that runs."""
    origin, allowed = websocket.headers.get("origin"), shim.settings.cors_origins
    if origin is not None and "*" not in allowed and origin not in allowed:
        # Browsers let any page open WebSockets anywhere, and say which page it is; other clients say nothing.
        raise ApiError(
            HTTPStatus.FORBIDDEN, "Pages of this origin may not connect: `serve --cors` lets them."
        )
    id_ = websocket.path_params["sandbox_id"]
    row = await shim.sandboxes.get(websocket.state.caller.project, id_)
    found = None if row is None else shim.sandboxes.find(id_)
    if found is None:
        raise no_such_sandbox(id_)
    return found


async def _tell(websocket: WebSocket, dialect: Dialect, message: str) -> None:
    """And leave the closing to the client, which would not show it otherwise."""
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.send_text(json.dumps(dialect.error(message)))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while (await websocket.receive())["type"] != "websocket.disconnect":
                    pass
                return
        await websocket.close(WS_1000_NORMAL_CLOSURE)


async def _hang_up(execution: Execution) -> None:
    """In the sandboxes' own loop."""
    execution.channel.kill()
    execution.sandbox.leave_running(execution)


async def _resized(execution: Execution, size: Resize) -> None:
    execution.channel.resize(size.height, size.width)


def _frame(text: str | bytes) -> Json:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrameError("a frame is a JSON object") from None
    if not isinstance(frame, dict):
        raise BadFrameError("a frame is a JSON object")
    return frame


def _decoded(data: object) -> bytes:
    """Of either alphabet of base64."""
    if not isinstance(data, str):
        raise BadFrameError("what was typed comes as base64")
    try:
        return b64decode(data.translate(STANDARD_ALPHABET), validate=True)
    except (binascii.Error, ValueError):
        raise BadFrameError("what was typed comes as base64") from None


def _resize(data: object) -> Resize:
    try:
        return Resize.model_validate(data)
    except ValidationError:
        raise BadFrameError("a terminal has 1 to 1,000 rows and columns") from None


def _size(size: dict[str, str]) -> tuple[int, int]:
    """Raises BadFrameError."""
    asked = _resize(size)
    return asked.height, asked.width
