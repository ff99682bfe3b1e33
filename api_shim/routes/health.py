"""`/health` for whoever waits for the server, `/metrics` for Prometheus. No key is asked for."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api_shim.routes.common import shim_of


async def health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def metrics(request: Request) -> Response:
    text = generate_latest(shim_of(request).metrics.registry)
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})


ROUTES = [Route("/health", health), Route("/metrics", metrics)]
