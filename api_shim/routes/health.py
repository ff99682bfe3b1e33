"""`/health` for whoever waits for the server, `/metrics` for Prometheus. No key is asked for."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api_shim.routes.described import TheShim, api_router
from api_shim.wire.answers import Health

router = api_router("server")


@router.get("/health", summary="Tell whether the server answers")
async def health() -> Health:
    return Health()


@router.get(
    "/metrics",
    summary="Read the metrics, by vLLM's names where it has them",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(shim: TheShim) -> Response:
    text = generate_latest(shim.metrics.registry)
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})
