"""`GET /openapi.json`: what this server takes, for tools that read it. Bodies come from their models."""

from typing import Any

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api_shim.routes.common import shim_of
from api_shim.wire.body import Body
from api_shim.wire.chat_body import ChatBody
from api_shim.wire.completions_body import CompletionsBody

Json = dict[str, Any]

BODIES: dict[str, type[Body]] = {"/v1/chat/completions": ChatBody, "/v1/completions": CompletionsBody}
REFERENCE = "#/components/schemas/{model}"
STRING_OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": STRING_OR_NULL,
                "code": STRING_OR_NULL,
            },
        }
    },
}


def openapi(model_ids: list[str]) -> Json:
    schemas, definitions = models_json_schema(
        [(kind, "validation") for kind in BODIES.values()], ref_template=REFERENCE
    )
    for kind in BODIES.values():
        definitions["$defs"][kind.__name__]["properties"]["model"]["enum"] = model_ids
    paths: Json = {
        path: {"post": _operation(path, {"requestBody": _json_body(schemas[kind, "validation"])})}
        for path, kind in BODIES.items()
    }
    paths["/v1/models"] = {"get": _operation("/v1/models", {})}
    parameter = {
        "name": "model_id",
        "in": "path",
        "required": True,
        "schema": {"enum": model_ids},
    }
    paths["/v1/models/{model_id}"] = {"get": _operation("/v1/models/{id}", {"parameters": [parameter]})}
    for path in ("/health", "/metrics"):
        paths[path] = {"get": {"responses": {"200": {"description": "fine"}}, "security": []}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "e80sim", "version": "1"},
        "paths": paths,
        "security": [{"key": []}],
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Error": ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _json_body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _operation(path: str, rest: Json) -> Json:
    error = {
        "description": "an error object",
        "content": {"application/json": {"schema": {"$ref": REFERENCE.format(model="Error")}}},
    }
    name = path.removeprefix("/v1/").replace("/", "_").strip("{}")
    return {
        "operationId": name,
        "responses": {"200": {"description": "the answer"}, "default": error},
        **rest,
    }


async def describe(request: Request) -> Response:
    return JSONResponse(openapi(list(shim_of(request).models)))


ROUTES = [Route("/openapi.json", describe)]
