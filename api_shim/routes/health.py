"""`/health` for whoever waits for the server, `/metrics` for Prometheus. No key is asked for.

On the port of a node both are that node's.
"""

from http import HTTPStatus

from fastapi import Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api_shim.routes.common import node_of
from api_shim.routes.described import TheShim, api_router
from api_shim.wire.answers import Health
from api_shim.wire.errors import SERVER, ApiError

router = api_router("server")


@router.get("/health", summary="Tell whether the server answers")
async def health(request: Request, shim: TheShim) -> Health:
    node = node_of(request)
    if node is not None and not shim.world.platform.pools[node.model].takes(node.index):
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, f"{node} takes no requests.", type=SERVER)
    return Health()


@router.get(
    "/metrics",
    summary="Read the metrics, by vLLM's names where it has them",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, shim: TheShim) -> Response:
    text = generate_latest(shim.metrics.registry_of(node_of(request)))
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})
