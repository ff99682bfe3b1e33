"""`/v1/sandboxes`: others' code, really run, in what holds it; and the older routes to the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api_shim.routes.described import TheShim, api_router, query_parameters
from api_shim.sandboxes.backend import NoIsolationError, SandboxRefusedError
from api_shim.sandboxes.sandbox import SandboxEndedError
from api_shim.sandboxes.service import Took, TooManySandboxesError
from api_shim.shim import Shim
from api_shim.store.full_disk import StorageFullError
from api_shim.store.sandboxes import SandboxRow
from api_shim.wire.body import refusal_of_fault
from api_shim.wire.errors import LONGEST_ECHO, SERVER, ApiError
from api_shim.wire.sandbox_objects import (
    CreatedSandbox,
    ExposeBody,
    SandboxBody,
    SandboxHistory,
    SandboxList,
    SandboxObject,
    SandboxQuery,
    page_members,
)

AGENT = "/sandboxes/{sandbox_id}"
"""Where a sandbox itself answers."""
MOST_BODY_BYTES = 2**21
"""Twice the longest program."""

router = api_router("sandboxes", prefix="/v1/sandboxes")


@router.post("", summary="Create a sandbox", max_body_size=MOST_BODY_BYTES)
async def create_sandbox(
    request: Request, response: Response, shim: TheShim, body: SandboxBody | None = None
) -> CreatedSandbox:
    """Answers when it stands, at the time that the scenario says."""
    plan = (body or SandboxBody()).plan(shim.sandboxes.section.reference_mhz)
    with refusals(shim):
        took = await shim.sandboxes.create(request.state.caller.project, plan)
    response.headers.update(took_headers(took))
    address = str(request.base_url).rstrip("/") + AGENT.format(sandbox_id=took.value.row.id)
    return CreatedSandbox.made(took, address)


@router.get(
    "",
    summary="List the project's sandboxes, those that run first",
    openapi_extra={"parameters": query_parameters(SandboxQuery)},
)
async def list_sandboxes(request: Request, shim: TheShim) -> SandboxList:
    members = await _page(request, shim)
    return SandboxList.model_validate(members | {"sandboxes": members["data"]})


@router.get(
    "/history",
    summary="List all sandboxes that the project has had",
    openapi_extra={"parameters": query_parameters(SandboxQuery)},
)
async def sandbox_history(request: Request, shim: TheShim) -> SandboxHistory:
    return SandboxHistory.model_validate(await _page(request, shim))


@router.get("/{sandbox_id}", summary="Describe a sandbox")
async def retrieve_sandbox(request: Request, shim: TheShim, sandbox_id: str) -> SandboxObject:
    row = await shim.sandboxes.get(request.state.caller.project, sandbox_id)
    return SandboxObject.of(there(row, sandbox_id))


@router.post("/{sandbox_id}/stop", summary="Stop a sandbox")
@router.delete("/{sandbox_id}", summary="Stop a sandbox (8080's delete)", operation_id="delete_sandbox")
async def stop_sandbox(request: Request, shim: TheShim, sandbox_id: str) -> SandboxObject:
    """Ends whatever runs in it. It may be asked again."""
    row = await shim.sandboxes.stop(request.state.caller.project, sandbox_id)
    return SandboxObject.of(there(row, sandbox_id))


@router.post("/{sandbox_id}/expose", summary="Open ports of a sandbox", max_body_size=MOST_BODY_BYTES)
async def expose_sandbox(request: Request, shim: TheShim, sandbox_id: str, body: ExposeBody) -> SandboxObject:
    with refusals(shim):
        project = request.state.caller.project
        row = await shim.sandboxes.open_ports(project, sandbox_id, body.opened())
    return SandboxObject.of(there(row, sandbox_id))


@contextmanager
def refusals(shim: Shim) -> Iterator[None]:
    """Raises ApiError for what sandboxes raise."""
    try:
        yield
    except NoIsolationError as error:
        raise ApiError(
            HTTPStatus.NOT_IMPLEMENTED,
            _sentence(error),
            type=SERVER,
            code="sandboxes_unavailable",
            headers={"x-should-retry": "false"},
        ) from None
    except SandboxRefusedError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, _sentence(error), code="sandbox_refused") from None
    except SandboxEndedError as error:
        raise ApiError(
            HTTPStatus.CONFLICT, f"The sandbox has ended: {error}.", code="sandbox_ended"
        ) from None
    except TooManySandboxesError:
        most = shim.sandboxes.section.most_per_project
        message = f"The project has {most} sandboxes, which is all that it may: stop one."
        raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, message, code="sandbox_limit") from None
    except StorageFullError:
        message = "The server's disk is full: nothing was changed."
        raise ApiError(
            HTTPStatus.INSUFFICIENT_STORAGE,
            message,
            type=SERVER,
            code="storage_full",
            headers={"x-should-retry": "false"},
        ) from None


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def took_headers(took: Took[Any]) -> dict[str, str]:
    return {
        "x-sim-took-ms": f"{took.simulated_ms:.3f}",
        "x-wall-took-ms": f"{took.wall_ms:.3f}",
        "x-sim-lateness-ms": f"{took.lateness_ms:.3f}",
    }


def there(row: SandboxRow | None, sandbox_id: str) -> SandboxRow:
    """Raises ApiError 404."""
    if row is None:
        raise no_such_sandbox(sandbox_id)
    return row


def no_such_sandbox(sandbox_id: str) -> ApiError:
    message = f"No such sandbox: {sandbox_id[:LONGEST_ECHO]}"
    return ApiError(HTTPStatus.NOT_FOUND, message, param="id", code="sandbox_not_found")


async def _page(request: Request, shim: Shim) -> dict[str, object]:
    try:
        query = SandboxQuery.model_validate_strings(dict(request.query_params))
    except ValidationError as error:
        raise refusal_of_fault(error.errors(include_url=False)[0]) from None
    page = await shim.sandboxes.page(
        request.state.caller.project, query.limit, (query.page - 1) * query.limit
    )
    return page_members(page, query)
