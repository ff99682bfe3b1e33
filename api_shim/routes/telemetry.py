"""`/otlp/v1/{traces,metrics,logs}`: a collector for apps, with a key of their project."""

from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api_shim.routes.described import TheShim, api_router
from api_shim.shim import Shim
from api_shim.store.full_disk import StorageFullError
from api_shim.tracing.app_telemetry import (
    MOST_BYTES,
    BadTelemetryError,
    Signal,
    answer_of,
    read_telemetry,
    unpacked,
)
from api_shim.tracing.redaction import Redaction
from api_shim.wire.body import read
from api_shim.wire.errors import ApiError, no_room

PROTOBUF = "application/x-protobuf"
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {PROTOBUF: {"schema": {"type": "string", "format": "binary"}}},
    }
}
ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {PROTOBUF: {}}}}

router = api_router("telemetry of apps", prefix="/otlp/v1")


@router.post(
    "/traces",
    summary="Take spans, which `GET /v1/traces/{id}` shows beside the requests of their trace",
    response_class=Response,
    responses=ANSWER,
    openapi_extra=BODY,
)
async def take_traces(request: Request, shim: TheShim) -> Response:
    return await _taken(request, shim, "traces")


@router.post(
    "/metrics",
    summary="Take metrics, and drop them",
    response_class=Response,
    responses=ANSWER,
    openapi_extra=BODY,
)
async def take_metrics(request: Request, shim: TheShim) -> Response:
    return await _taken(request, shim, "metrics")


@router.post(
    "/logs", summary="Take logs, and drop them", response_class=Response, responses=ANSWER, openapi_extra=BODY
)
async def take_logs(request: Request, shim: TheShim) -> Response:
    return await _taken(request, shim, "logs")


async def _taken(request: Request, shim: Shim, signal: Signal) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != PROTOBUF:
        message = (
            f"OTLP is taken as {PROTOBUF} (OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf), not as {kind[:80]!r}."
        )
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, code="unsupported_media_type")
    raw, encoding = await read(request, MOST_BYTES), request.headers.get("content-encoding", "")
    redaction = Redaction(request.headers.get("authorization", "").partition(" ")[2].strip())
    project = request.state.caller.project

    def keep() -> int:
        found = read_telemetry(signal, unpacked(raw, encoding), project, redaction)
        if found.spans:
            shim.store.app_spans.add(found.spans)
        return found.rejected

    try:
        rejected = await shim.clock.aside(keep)
    except BadTelemetryError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"The telemetry is refused: {error}.") from None
    except StorageFullError:
        raise no_room() from None
    return Response(await shim.clock.aside(partial(answer_of, signal, rejected)), media_type=PROTOBUF)
