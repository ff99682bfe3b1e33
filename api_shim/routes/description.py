"""`/openapi.json` and `/docs`: what this server takes and gives, for tools that read it and for people.

The page is Swagger UI, from files of our own: it works without a network.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from api_shim.routes.described import SCHEMA_OF, PlainRoute
from api_shim.shim import Shim
from api_shim.wire.body import SERVED

Json = dict[str, Any]
ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
PAGE = {
    "defaultModelsExpandDepth": 0,  # the operations first; their models unfold with them
    "persistAuthorization": True,
    "validatorUrl": None,  # swagger.io's; the page asks nobody but this server
}
A_DAY = {"cache-control": "max-age=86400"}


class DescribedApp(FastAPI):
    """Its document also has the events of streams, and the names of what this very server serves."""

    def openapi(self) -> Json:
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["schemas"] |= _event_schemas(self.routes)
            _name_what_is_served(document, self.state.shim)
            return document
        return self.openapi_schema


def _event_schemas(routes: Iterable[BaseRoute]) -> Json:
    """FastAPI describes streams or answers in one piece, not an endpoint that gives either."""
    schemas: Json = {}
    for route in routes:
        if isinstance(route, PlainRoute) and route.event is not None:
            schema = route.event.model_json_schema(ref_template=SCHEMA_OF)
            schemas |= schema.pop("$defs", {}) | {route.event.__name__: schema}
    return schemas


def _name_what_is_served(document: Json, shim: Shim) -> None:
    """Model ids and places are the scenario's, so their schemas only say which they take."""
    served = {"models": list(shim.models), "places": list(shim.world.scenario.network.places)}
    for schema in _objects(document):
        if isinstance(kind := schema.get(SERVED), str):
            del schema[SERVED]
            schema["enum"] = served[kind]


def _objects(document: object) -> Iterator[Json]:
    if isinstance(document, dict):
        yield document
        for value in document.values():
            yield from _objects(value)
    elif isinstance(document, list):
        for value in document:
            yield from _objects(value)


router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Addresses are relative, so that the page also works behind a proxy's prefix."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="e80sim",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters=PAGE,
    )


@router.get("/docs/{name}")
async def docs_asset(name: str) -> Response:
    if name not in ASSETS:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(_asset(name), media_type=ASSETS[name], headers=A_DAY)


@cache
def _asset(name: str) -> bytes:
    return (files("api_shim") / "assets" / name).read_bytes()
