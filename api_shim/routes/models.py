"""`GET /v1/models` and `GET /v1/models/{id}`; ids contain slashes, which clients send raw or encoded."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api_shim.clocks.virtual_loop import EPOCH_UNIX_S
from api_shim.routes.common import shim_of
from api_shim.shim import ServedModel


async def list_models(request: Request) -> Response:
    models = [_described(model) for model in shim_of(request).models.values()]
    return JSONResponse({"object": "list", "data": models})


async def retrieve_model(request: Request) -> Response:
    return JSONResponse(_described(shim_of(request).model(request.path_params["model_id"])))


def _described(model: ServedModel) -> dict[str, Any]:
    owner, *provider = model.id.split("/")
    return {
        "id": model.id,
        "object": "model",
        "created": EPOCH_UNIX_S,
        "owned_by": owner,
        "provider": provider[0] if len(provider) > 1 else owner,
    }


ROUTES = [Route("/v1/models", list_models), Route("/v1/models/{model_id:path}", retrieve_model)]
