"""`/v1/secrets`: what an app must know and its code should not say. Values are in no trace and no log."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus

from starlette.requests import Request

from api_shim.routes.described import TheShim, api_router, checked_query, query_parameters
from api_shim.store.full_disk import StorageFullError
from api_shim.store.secrets import MOST_SECRETS, SecretExistsError, TooManySecretsError
from api_shim.wire.errors import LONGEST_ECHO, ApiError, no_room
from api_shim.wire.platform_objects import (
    SecretBody,
    SecretDeleted,
    SecretList,
    SecretNamed,
    SecretObject,
    SecretsQuery,
)

MOST_BODY_BYTES = 2**20

router = api_router("secrets", prefix="/v1/secrets")


@router.get(
    "", summary="List the project's secrets", openapi_extra={"parameters": query_parameters(SecretsQuery)}
)
async def list_secrets(request: Request, shim: TheShim) -> SecretList:
    query = checked_query(SecretsQuery, request)
    page = await shim.clock.aside(
        partial(
            shim.store.secrets.page,
            request.state.caller.project,
            local=None if query.local is None else query.local == "true",
            limit=query.limit,
            offset=query.offset,
        )
    )
    return SecretList.of(page, query.limit)


@router.post("", summary="Make a secret", max_body_size=MOST_BODY_BYTES)
async def create_secret(request: Request, shim: TheShim, body: SecretBody) -> SecretNamed:
    secret = body.secret()
    with _refusals(secret.name):
        await shim.clock.aside(partial(shim.store.secrets.add, request.state.caller.project, secret))
    return SecretNamed.of(secret)


@router.get("/{name}", summary="Read a secret")
async def retrieve_secret(request: Request, shim: TheShim, name: str) -> SecretObject:
    secret = await shim.clock.aside(partial(shim.store.secrets.get, request.state.caller.project, name))
    if secret is None:
        raise _no_such_secret(name)
    return SecretObject.of(secret)


@router.post("/{name}", summary="Change a secret, its name included", max_body_size=MOST_BODY_BYTES)
async def update_secret(request: Request, shim: TheShim, name: str, body: SecretBody) -> SecretNamed:
    secret, project = body.secret(), request.state.caller.project
    with _refusals(secret.name):
        there = await shim.clock.aside(partial(shim.store.secrets.replace, project, name, secret))
    if not there:
        raise _no_such_secret(name)
    return SecretNamed.of(secret)


@router.delete("/{name}", summary="Delete a secret")
async def delete_secret(request: Request, shim: TheShim, name: str) -> SecretDeleted:
    with _refusals(name):
        there = await shim.clock.aside(partial(shim.store.secrets.remove, request.state.caller.project, name))
    if not there:
        raise _no_such_secret(name)
    return SecretDeleted(name=name)


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """Raises ApiError for what the store raises."""
    try:
        yield
    except SecretExistsError:
        message = f"The project has a secret named {name[:LONGEST_ECHO]!r} already."
        raise ApiError(HTTPStatus.CONFLICT, message, param="name", code="secret_exists") from None
    except TooManySecretsError:
        message = f"The project has {MOST_SECRETS:,} secrets, which is all that it may."
        raise ApiError(HTTPStatus.CONFLICT, message, code="secret_limit") from None
    except StorageFullError:
        raise no_room() from None


def _no_such_secret(name: str) -> ApiError:
    message = f"No such secret: {name[:LONGEST_ECHO]}"
    return ApiError(HTTPStatus.NOT_FOUND, message, param="name", code="secret_not_found")
