"""`/sim/faults`: whoever runs the server breaks something in the running model, and sees what is broken.

It asks for the dashboard's token, not for an API key: customers do not break their platform.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from math import ceil
from typing import Annotated, Any

from fastapi import Depends
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from api_shim.dashboard.pages import dashboard_of
from api_shim.dashboard.sessions import TooManyGuessesError, WrongTokenError
from api_shim.routes.described import TheShim, api_router
from api_shim.shim import Shim
from api_shim.wire.body import read, refusal_of_fault
from api_shim.wire.errors import ApiError, bad_value
from sim.faults.breakage import Broken
from sim.faults.kinds import Fault
from sim.run.journal import FAULT
from sim.scenario.faults import problems_of
from sim.time.units import s_of_ps

MOST_BODY_BYTES = 64 * 1024
SCHEDULES = ("at_s", "mtbf_s", "mttr_s")
Json = dict[str, Any]

router = api_router("faults", prefix="/sim/faults")


async def _operator(request: Request, shim: TheShim) -> None:
    sessions = dashboard_of(request).sessions
    if sessions is None:
        message = "This server has no dashboard, whose token opens this: start it with one."
        raise ApiError(HTTPStatus.NOT_FOUND, message, code="unknown_url")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    client = request.scope.get("client")
    try:
        sessions.check(
            token.strip() if scheme.lower() == "bearer" else "",
            client[0] if client else "",
            shim.clock.unix_s(),
        )
    except WrongTokenError:
        message = "Give the token of this server's dashboard as `Authorization: Bearer TOKEN`."
        headers = {"www-authenticate": "Bearer"}
        raise ApiError(HTTPStatus.UNAUTHORIZED, message, code="invalid_api_key", headers=headers) from None
    except TooManyGuessesError as error:
        headers = {"retry-after": str(ceil(error.retry_after_s))}
        message = "Too many wrong tokens came from your address."
        raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, message, headers=headers) from None


OnlyOperators = Depends(_operator)
Asked = Annotated[None, OnlyOperators]


@router.get("", summary="List what is broken, and what was", include_in_schema=False)
async def list_faults(shim: TheShim, _asked: Asked) -> Json:
    shim.clock.reach()
    breakage = shim.world.breakage
    was = [_told(broken, ended_ps) for broken, ended_ps in breakage.past]
    return {"object": "list", "data": [*was, *(_told(broken, None) for broken in breakage.broken.values())]}


@router.post("", summary="Break something now", include_in_schema=False)
async def break_something(request: Request, shim: TheShim, _asked: Asked) -> Json:
    fault = _understood(shim, await read(request, MOST_BODY_BYTES))
    told = asyncio.get_running_loop().create_future()
    shim.clock.inject(partial(_strike, shim, fault, told))
    broken: list[Broken] | str = await told
    if isinstance(broken, str):
        raise ApiError(
            HTTPStatus.CONFLICT, f"{broken} is broken already: one thing breaks in one way at a time."
        )
    return {"object": "list", "data": [_told(one, None) for one in broken]}


def _strike(shim: Shim, fault: Fault, told: "asyncio.Future[list[Broken] | str]") -> None:
    breakage = shim.world.breakage
    already = breakage.already_broken(fault)
    if already is not None:
        told.set_result(already)
        return
    if shim.journal is not None:
        shim.journal.broke(fault)
    told.set_result(breakage.break_now(fault))


def _understood(shim: Shim, raw: bytes) -> Fault:
    """Raises ApiError 400."""
    try:
        stated = from_json(raw)
    except ValueError:
        stated = None
    if not isinstance(stated, dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, "The body is no JSON object.", code="invalid_json")
    for name in SCHEDULES:
        if name in stated:
            raise bad_value(name, f"`{name}` is for scenarios: this breaks now, and `for_s` says how long.")
    try:
        fault = FAULT.validate_python({**stated, "at_s": 0.0})
    except ValidationError as error:
        raise refusal_of_fault(error.errors(include_url=False)[0]) from None
    for location, sentence in problems_of(shim.world.scenario, (), fault):
        raise bad_value(".".join(map(str, location)), f"{sentence}.")
    return fault


def _told(broken: Broken, ended_ps: int | None) -> Json:
    return dict(_members(broken, ended_ps))


def _members(broken: Broken, ended_ps: int | None) -> Iterator[tuple[str, object]]:
    yield "fault", broken.name
    yield "kind", broken.fault.kind
    yield "target", broken.target.label
    yield "began_s", s_of_ps(broken.span.begin_ps)
    yield "ends_s", None if broken.span.end_ps is None else s_of_ps(broken.span.end_ps)
    yield "broken", ended_ps is None
    yield "requests_failed", broken.struck.failed
    yield "requests_moved", broken.struck.moved
