"""How endpoints are described: FastAPI reads it off their types, also where it does not run them.

Most endpoints are FastAPI's own: typed, and async, since a thread knows nothing of simulated time.
The few on the hot path are `PlainRoute`s.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.routing import request_response

from api_shim.middleware import GUARDED, RequestHandler
from api_shim.routes.common import shim_of
from api_shim.shim import Shim
from api_shim.wire.answers import ErrorAnswer
from api_shim.wire.body import SERVED, AnyBody, Body, checked_strings

Json = dict[str, Any]

KEY = HTTPBearer(
    auto_error=False,  # the door refuses who has no key
    description="A key of the scenario's `serve.keys`; where it lists none, any key.",
)
SCHEMA_OF = "#/components/schemas/{model}"


def api_router(tag: str, prefix: str = "") -> APIRouter:
    """For a group of endpoints. Everything under `/v1` takes a key."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        dependencies=[Depends(KEY)] if prefix.startswith(GUARDED) else [],
        responses={"default": {"model": ErrorAnswer, "description": "What was wrong"}},
        generate_unique_id_function=lambda route: route.name,
    )


async def _shim(request: Request) -> Shim:
    return shim_of(request)


TheShim = Annotated[Shim, Depends(_shim)]
"""What a typed endpoint asks for to reach the simulated platform."""


def query_parameters(query: type[BaseModel]) -> list[Json]:
    """For an endpoint that reads the query itself: strict models take no numbers from FastAPI's strings."""
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in query.model_json_schema()["properties"].items()
    ]


def checked_query(kind: type[AnyBody], request: Request) -> AnyBody:
    """Raises ApiError 400."""
    return checked_strings(kind, dict(request.query_params))


class GenerationHeaders(BaseModel):
    """What a request for generated text may say in its headers."""

    x_sim_place: str | SkipJsonSchema[None] = Field(
        None,
        description="where the caller is; else the key's place, the listener's, the scenario's",
        json_schema_extra={SERVED: "places"},
    )
    x_sim_output_tokens: Annotated[int, Field(ge=1, le=10**8)] | SkipJsonSchema[None] = Field(
        None, description="how long the answer is, where no cap ends it sooner"
    )
    x_sim_comment: Literal["on", "off"] | SkipJsonSchema[None] = Field(
        None, description="whether the stream ends with a comment that holds its stamps"
    )
    x_sim_stream_fault: str | SkipJsonSchema[None] = Field(
        None,
        description="what goes wrong with the bytes of the stream: `cut` or `malformed` after one frame or "
        "`=NUMBER` of them; `dribble`, in pieces of `=NUMBER` bytes",
    )
    x_request_id: str | SkipJsonSchema[None] = Field(
        None, description="comes back, if it is 1 to 128 visible ASCII characters"
    )


class PlainRoute(APIRoute):
    """Described as any route of FastAPI's, run as one of Starlette's: only its endpoint is called.

    Dependencies and models describe what the endpoint reads and writes itself.
    """

    event: type[BaseModel] | None = None
    """What the events of its streams hold, if it has any."""

    def __init__(self, path: str, endpoint: RequestHandler, **description: Any) -> None:  # noqa: ANN401 -- FastAPI's many
        super().__init__(path, endpoint, **description)
        self.app = request_response(endpoint)


def add_generating(
    router: APIRouter,
    path: str,
    endpoint: RequestHandler,
    *,
    body: type[Body],
    answer: type[BaseModel],
    event: type[BaseModel],
    headers: Json,
    summary: str,
) -> None:
    """An endpoint on the hot path, which answers in one piece or as a stream of events."""
    router.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        summary=summary,
        dependencies=[Depends(_taking(body)), Depends(_headers)],
        response_model=answer,
        response_description="In one piece, or with `stream` as server-sent events that end with `[DONE]`",
        responses={200: {"headers": headers, "content": {"text/event-stream": _events(event)}}},
        route_class_override=PlainRoute,
    )
    route = router.routes[-1]
    assert isinstance(route, PlainRoute)
    route.event = event


def add_described(
    router: APIRouter,
    path: str,
    endpoint: RequestHandler,
    *,
    body: type[Body],
    answer: type[BaseModel],
    summary: str,
) -> None:
    """An endpoint that reads its body itself, since FastAPI sets no bound to it."""
    router.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        summary=summary,
        dependencies=[Depends(_taking(body))],
        response_model=answer,
        route_class_override=PlainRoute,
    )


def _events(event: type[BaseModel]) -> Json:
    """As FastAPI describes streams. `contentSchema` is what the text of `data` holds as JSON."""
    content = {"$ref": SCHEMA_OF.format(model=event.__name__)}
    data = {
        "type": "string",
        "anyOf": [
            {"contentMediaType": "application/json", "contentSchema": content},
            {"const": "[DONE]"},
        ],
    }
    return {"itemSchema": {"type": "object", "required": ["data"], "properties": {"data": data}}}


def _taking(body: type[Body]) -> Callable[..., Awaitable[None]]:
    """A dependency that nobody calls: what FastAPI reads off it stands in the description."""

    async def taken(body: Body) -> None:
        raise NotImplementedError

    taken.__annotations__["body"] = body
    return taken


async def _headers(headers: Annotated[GenerationHeaders, Header()]) -> None:
    """The same."""
    raise NotImplementedError
