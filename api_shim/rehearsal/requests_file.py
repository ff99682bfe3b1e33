"""What users send to an app: a file of requests, as JSON lines or as an editor's `.http` file."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from e80sim.mistakes import UserError

MOST_BYTES = 64 * 2**20
FORM = '{"method": "POST", "path": "/...", "json": ..., "at": seconds}'
HTTP_LINE = re.compile(r"(?P<method>[A-Z]+)\s+(?P<target>\S+)(?:\s+HTTP/[0-9.]+)?")
HTTP_SUFFIXES = {".http", ".rest"}
SEPARATOR = "###"


HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^([!-~]([\t -~]*[!-~])?)?$")]
"""Of RFC 9110, 5.5, without letters beyond ASCII, of which each server thinks otherwise."""


class UserRequest(BaseModel):
    """One line. `json` and `body` exclude each other. Headers that say how long a body is do not count."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    method: Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,20}$")] = "POST"
    path: Annotated[str, StringConstraints(pattern=r"^/[!-~]*$", max_length=8000)]
    content: Any = Field(None, alias="json")
    body: str | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    at: float | None = Field(None, ge=0, le=1e6)
    """Seconds from the beginning; absent: as soon as a user is free."""

    def payload(self) -> bytes:
        if self.body is not None:
            return self.body.encode()
        return b"" if self.content is None else json.dumps(self.content, ensure_ascii=False).encode()


def read_requests(path: Path) -> list[UserRequest]:
    """Raises UserError with file and line."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(
                f"{path} is larger than {MOST_BYTES // 2**20} MiB: give fewer requests, and --repeat"
            )
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise UserError(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8") from None
    rows = _http(path, text) if path.suffix in HTTP_SUFFIXES else _json_lines(path, text)
    requests = [_request(where, row) for where, row in rows]
    if not requests:
        raise UserError(f"{path} holds no request: a line is {FORM}")
    if len({request.at is None for request in requests}) > 1:
        raise UserError(
            f"{path}: either every request has `at`, or none: users send those without when they can"
        )
    return requests


def _json_lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            where = f"{path}:{number}"
            try:
                yield where, json.loads(line)
            except (ValueError, RecursionError) as problem:
                raise UserError(f"{where}: not a JSON object ({problem}); a line is {FORM}") from None


def _http(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """`METHOD /path`, headers, an empty line and the body; requests are told apart by lines of `###`."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate([*text.splitlines(), SEPARATOR], 1):
        if not line.startswith(SEPARATOR):
            block.append((number, line))
            continue
        lines = _without_comments(block)
        if lines:
            yield _http_request(path, lines)
        block = []


def _without_comments(block: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Before the head is over; in a body `#` is no comment."""
    kept: list[tuple[int, str]] = []
    in_body = False
    for number, line in block:
        if not in_body and line.startswith(("#", "//")):
            continue
        if not kept and not line.strip():
            continue
        in_body = in_body or not line.strip()
        kept.append((number, line))
    return kept


def _http_request(path: Path, lines: list[tuple[int, str]]) -> tuple[str, dict[str, Any]]:
    number, first = lines[0]
    where = f"{path}:{number}"
    found = HTTP_LINE.fullmatch(first.strip())
    if found is None:
        raise UserError(f"{where}: {first.strip()!r} is no request line; write it as POST /path")
    target = re.sub(r"^(https?://|\{\{)[^/]*", "", found["target"]) or "/"
    texts = [line for _, line in lines[1:]]
    end = next((i for i, line in enumerate(texts) if not line.strip()), len(texts))
    headers = {}
    for line in texts[:end]:
        name, colon, value = line.partition(":")
        if not colon:
            raise UserError(f"{where}: {line!r} is no header; an empty line goes before the body")
        headers[name.strip()] = value.strip()
    body = "\n".join(texts[end:]).strip()
    return where, {"method": found["method"], "path": target, "headers": headers, "body": body or None}


def _request(where: str, row: Any) -> UserRequest:  # noqa: ANN401 -- JSON
    if not isinstance(row, dict):
        raise UserError(f"{where}: not a JSON object; a line is {FORM}")
    try:
        request = UserRequest.model_validate(row)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            raise UserError(
                f"{where}: there is no `{name}`; a line is {FORM}, or has `body` and `headers`"
            ) from None
        raise UserError(f"{where}: `{name}`: {fault['msg']}; a line is {FORM}") from None
    if request.body is not None and request.content is not None:
        raise UserError(f"{where}: `json` and `body` are two bodies; give one")
    return request
