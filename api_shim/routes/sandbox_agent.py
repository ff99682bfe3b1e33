"""A sandbox itself, at the `address` that its making answered: run code, install packages, move files, end.

Whoever holds its token may ask; an API key is neither needed nor enough.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from http import HTTPMethod, HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Header
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api_shim.routes.common import shim_of
from api_shim.routes.described import TheShim, api_router
from api_shim.routes.sandboxes import AGENT, MOST_BODY_BYTES, no_such_sandbox, refusals, took_headers
from api_shim.sandboxes.ports import ask_port
from api_shim.sandboxes.sandbox import Outcome, Program, Sandbox
from api_shim.sandboxes.service import Took
from api_shim.shim import Shim
from api_shim.wire.answers import Health
from api_shim.wire.body import read
from api_shim.wire.errors import ApiError
from api_shim.wire.sandbox_objects import PackagesBody, RunAnswer, RunBody
from traffic.request import KEEP_ALIVE_S

ANY_METHOD = [method for method in HTTPMethod if method not in {HTTPMethod.CONNECT, HTTPMethod.TRACE}]
NOT_OUR_PAGE = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
"""What a browser has to know of an answer that only seems to be ours."""
STOPPED_BY = {"timeout": "it was ended: its time was over", "output": "it was ended: it wrote too much"}

router = api_router("one sandbox", prefix=AGENT)


async def _sandbox(
    request: Request, sandbox_id: str, authorization: Annotated[str | SkipJsonSchema[None], Header()] = None
) -> Sandbox:
    """Raises ApiError 401, and 404 where it has ended."""
    shim = shim_of(request)
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not shim.sandboxes.is_its_token(sandbox_id, token.strip()):
        raise ApiError(
            HTTPStatus.UNAUTHORIZED,
            "Send the sandbox's own `auth_token` in an Authorization header with Bearer auth.",
            code="invalid_sandbox_token",
            headers={"www-authenticate": "Bearer"},
        )
    found = shim.sandboxes.find(sandbox_id)
    if found is None:
        raise no_such_sandbox(sandbox_id)
    return found


TheSandbox = Annotated[Sandbox, Depends(_sandbox)]


@router.get("/.8080/health", summary="Tell whether the sandbox answers")
async def sandbox_health(sandbox: TheSandbox) -> Health:
    del sandbox
    return Health()


@router.post(
    "/python/run", summary="Run Python code", response_model=RunAnswer, max_body_size=MOST_BODY_BYTES
)
async def run_python_code(shim: TheShim, sandbox: TheSandbox, body: RunBody) -> Response:
    return await _answer(shim, sandbox.run(Program(code=body.code), timeout_s=body.timeout_s))


@router.post(
    "/js/run",
    summary="Run JavaScript code, where there is Node.js",
    response_model=RunAnswer,
    max_body_size=MOST_BODY_BYTES,
)
async def run_javascript_code(shim: TheShim, sandbox: TheSandbox, body: RunBody) -> Response:
    return await _answer(shim, sandbox.run_js(body.code, timeout_s=body.timeout_s))


@router.post(
    "/python/deps", summary="Install Python packages", response_model=RunAnswer, max_body_size=MOST_BODY_BYTES
)
async def install_python_packages(shim: TheShim, sandbox: TheSandbox, body: PackagesBody) -> Response:
    installing = shim.sandboxes.install(sandbox, body.dependencies)
    return await _answer(shim, installing, failed=HTTPStatus.BAD_REQUEST)


@router.post(
    "/js/deps", summary="Install JavaScript packages", response_model=RunAnswer, max_body_size=MOST_BODY_BYTES
)
async def install_javascript_packages(sandbox: TheSandbox, body: PackagesBody) -> Response:
    """There is no source of them that needs no network."""
    del sandbox
    if body.dependencies:
        message = (
            "This server has no JavaScript packages. Put what the code needs beside it, as files, or serve "
            "with `--sandboxes docker` and ask for an image that has them."
        )
        raise ApiError(HTTPStatus.NOT_IMPLEMENTED, message, code="no_javascript_packages")
    return _finished(Took(Outcome(0, b"", b"", None, 0.0, 0.0), 0.0, 0.0, 0.0))


@router.put(
    "/files/{path:path}",
    summary="Write a file in the sandbox",
    status_code=HTTPStatus.NO_CONTENT,
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}}},
)
async def write_sandbox_file(request: Request, shim: TheShim, sandbox: TheSandbox, path: str) -> None:
    """Whole or not at all. A path is one of the home directory, or absolute after `//`."""
    content = await read(request, shim.settings.body_limit_bytes)
    with refusals(shim):
        await shim.sandboxes.run(sandbox.put(path, content))


@router.get(
    "/files/{path:path}",
    summary="Read a file of the sandbox",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def read_sandbox_file(shim: TheShim, sandbox: TheSandbox, path: str) -> Response:
    with refusals(shim):
        took = await shim.sandboxes.run(sandbox.get(path, shim.settings.file_limit_bytes))
    headers = {"content-disposition": "attachment", "x-content-type-options": "nosniff", **took_headers(took)}
    return Response(took.value, media_type="application/octet-stream", headers=headers)


async def ask_sandbox_port(request: Request) -> Response:
    """Of a server in the sandbox, by the port that it is exposed as."""
    shim, id_ = shim_of(request), request.path_params["sandbox_id"]
    sandbox = await _sandbox(request, id_, request.headers.get("authorization"))
    as_port = request.path_params["as_port"]
    port = await shim.sandboxes.target_of(id_, as_port)
    if port is None:
        message = f"Port {as_port} of the sandbox is not exposed: POST /v1/sandboxes/{id_}/expose opens it."
        raise ApiError(HTTPStatus.NOT_FOUND, message, code="port_not_exposed")
    body = await read(request, shim.settings.body_limit_bytes)
    path, query = request.path_params["path"], request.url.query
    asking = ask_port(
        sandbox,
        port,
        request.method,
        quote(f"/{path}", safe="/:@!$&'()*+,;=~-._") + (f"?{query}" if query else ""),
        [header for header in request.headers.raw if header[0] != b"authorization"],
        body,
        shim.settings.body_limit_bytes,
    )
    with refusals(shim):
        took = await shim.sandboxes.run(asking)
    answer = Response(took.value.body, took.value.status)
    answer.raw_headers = [*took.value.headers, (b"content-length", b"%d" % len(took.value.body))]
    answer.headers.update(took_headers(took) | NOT_OUR_PAGE)
    return answer


router.routes.append(
    Route(f"{AGENT}/ports/{{as_port:int}}/{{path:path}}", ask_sandbox_port, methods=ANY_METHOD)
)


@router.delete("/me", summary="End the sandbox")
async def end_sandbox(shim: TheShim, sandbox: TheSandbox) -> Health:
    await shim.sandboxes.end(sandbox.wish.name)
    return Health()


async def _answer(
    shim: Shim, work: Coroutine[Any, Any, Outcome], failed: HTTPStatus = HTTPStatus.OK
) -> Response:
    """At once, or as a body that begins with blanks, as 8080's client gives up after 5 s of silence."""
    running = asyncio.create_task(shim.sandboxes.run(work))
    try:
        done, _ = await asyncio.wait({running}, timeout=KEEP_ALIVE_S)
    except asyncio.CancelledError:
        running.cancel()
        raise
    if done:
        with refusals(shim):
            return _finished(running.result(), failed)
    return StreamingResponse(_slowly(shim, running), media_type=JSONResponse.media_type)


async def _slowly(shim: Shim, running: "asyncio.Task[Took[Outcome]]") -> AsyncIterator[bytes]:
    try:
        while not running.done():
            yield b" "
            await asyncio.wait({running}, timeout=KEEP_ALIVE_S)
    finally:
        running.cancel()  # who asked has left
    try:
        with refusals(shim):
            answer = answer_of(running.result()).model_dump()
    except ApiError as error:  # too late for a status
        answer = {"exit_code": -1, "message": "", "error": error.message}
    yield json.dumps(answer).encode()


def _finished(took: Took[Outcome], failed: HTTPStatus = HTTPStatus.OK) -> Response:
    answer = answer_of(took)
    if answer.exit_code and failed != HTTPStatus.OK:
        raise ApiError(failed, answer.error.strip() or answer.message, code="installation_failed")
    return JSONResponse(answer.model_dump(), headers=took_headers(took))


def answer_of(took: Took[Outcome]) -> RunAnswer:
    outcome = took.value
    error = outcome.errors.decode(errors="replace")
    why = STOPPED_BY.get(outcome.stopped_by or "")
    return RunAnswer(
        exit_code=outcome.exit_code or (1 if why else 0),
        message=outcome.output.decode(errors="replace"),
        error=error if why is None else f"{error}{why}",
        simulated_ms=took.simulated_ms,
        wall_ms=took.wall_ms,
        cpu_ms=outcome.cpu_s * 1e3,
    )
