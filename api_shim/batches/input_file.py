"""The file of a batch: a request on each line. It is read a block at a time, and never held whole."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from api_shim.clocks.clock import Clock
from api_shim.shim import Shim
from api_shim.wire.batch_objects import BatchError, BatchLine
from api_shim.wire.body import parse
from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value

MOST_INPUT_BYTES = 200 * 2**20
MOST_REQUESTS = 50_000
MOST_ERRORS = 1_000
"""That are told; a file can hold more."""
AROUND_THE_BODY_BYTES = 64 * 1024
"""What a line may have beside the body of its request."""
BLOCK_LINES, BLOCK_BYTES = 256, 2**20
"""Read in one go, hence kept in memory, whichever is reached first."""


class InputLine(NamedTuple):
    number: int
    """From 1."""
    raw: bytes
    """None of it where the line is longer than any that is taken."""


class InputFile:
    """Lines that are empty are none, though they count."""

    def __init__(self, path: Path, clock: Clock, body_limit_bytes: int) -> None:
        self._path = path
        self._clock = clock
        self._longest_bytes = body_limit_bytes + AROUND_THE_BODY_BYTES
        self._file: BinaryIO | None = None
        self._number = 0
        self._ahead: deque[InputLine] = deque()
        self._turn = asyncio.Lock()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    async def next(self) -> InputLine | None:
        """None at the end. Several tasks may ask at a time."""
        if not self._ahead:
            async with self._turn:
                if not self._ahead:
                    self._ahead.extend(await self._clock.aside(self._block))
        return self._ahead.popleft() if self._ahead else None

    def _block(self) -> list[InputLine]:
        if self._file is None:
            self._file = self._path.open("rb")
        block: list[InputLine] = []
        room_bytes = BLOCK_BYTES
        while room_bytes > 0 and len(block) < BLOCK_LINES:
            raw = self._file.readline(self._longest_bytes)
            if not raw:
                break
            room_bytes -= len(raw)
            self._number += 1
            if len(raw) == self._longest_bytes and not raw.endswith(b"\n"):
                self._skip_the_rest(self._file)
                block.append(InputLine(self._number, b""))
            elif raw := raw.strip():
                block.append(InputLine(self._number, raw))
        return block

    def _skip_the_rest(self, file: BinaryIO) -> None:
        while (more := file.readline(BLOCK_BYTES)) and not more.endswith(b"\n"):
            pass


class Checked(NamedTuple):
    lines: int
    model: str | None
    """None: there are several."""
    errors: list[BatchError]


async def check(shim: Shim, file: InputFile, endpoint: str) -> Checked:
    """All of a file, as far as can be said without running it."""
    errors: list[BatchError] = []
    seen: set[bytes] = set()
    models: set[str] = set()
    lines = untold = 0
    while (line := await file.next()) is not None:
        lines += 1
        if lines > MOST_REQUESTS:
            message = f"The file holds more than {MOST_REQUESTS:,} requests."
            errors.append(BatchError(code="too_many_requests", message=message))
            break
        found = await shim.apart(len(line.raw), partial(_faults, shim, line, endpoint, seen, models))
        room = MOST_ERRORS - len(errors)
        errors += found[:room]
        untold += len(found[room:])
    if not lines:
        errors.append(BatchError(code="empty_file", message="The file holds no request."))
    if untold:
        errors.append(BatchError(code="more_errors", message=f"There are {untold:,} more."))
    return Checked(lines, next(iter(models)) if len(models) == 1 else None, errors)


def _faults(
    shim: Shim, line: InputLine, endpoint: str, seen: set[bytes], models: set[str]
) -> list[BatchError]:
    try:
        request = parsed(line)
    except ApiError as error:
        return [_told(error, line)]
    checks = (
        partial(_unused, request, seen),
        partial(_is_a_post, request),
        partial(_goes_to, request, endpoint),
        partial(_served, shim, request, models),
    )
    return [_told(error, line) for error in map(_fault, checks) if error is not None]


def parsed(line: InputLine) -> BatchLine:
    """Raises ApiError."""
    if not line.raw:
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "This line is longer than a request may be.",
            code="request_too_large",
        )
    try:
        return parse(BatchLine, line.raw)
    except ApiError as error:
        error.code = error.code or "invalid_json_line"
        raise


def _fault(check: Callable[[], None]) -> ApiError | None:
    try:
        check()
    except ApiError as error:
        return error
    return None


def _unused(request: BatchLine, seen: set[bytes]) -> None:
    digest = blake2b(request.custom_id.encode(), digest_size=16).digest()
    if digest in seen:
        message = f"The custom_id '{request.custom_id[:LONGEST_ECHO]}' stands on an earlier line."
        raise bad_value("custom_id", message, "duplicate_custom_id")
    seen.add(digest)


def _is_a_post(request: BatchLine) -> None:
    if request.method != "POST":
        message = f"The method has to be 'POST', not '{request.method[:LONGEST_ECHO]}'."
        raise bad_value("method", message, "invalid_method")


def _goes_to(request: BatchLine, endpoint: str) -> None:
    if request.url != endpoint:
        message = f"The url '{request.url[:LONGEST_ECHO]}' is not the endpoint of the batch, '{endpoint}'."
        raise bad_value("url", message, "invalid_url")


def _served(shim: Shim, request: BatchLine, models: set[str]) -> None:
    model: Any = request.body.get("model")
    if not isinstance(model, str):
        raise bad_value(
            "body.model", "Missing required parameter: 'body.model'.", "missing_required_parameter"
        )
    try:
        models.add(shim.model(model).id)
    except ApiError as error:
        error.param = "body.model"
        raise


def _told(error: ApiError, line: InputLine) -> BatchError:
    return BatchError(
        code=error.code or "invalid_request", message=error.message, param=error.param, line=line.number
    )
