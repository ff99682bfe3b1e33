"""`/v1/traces`: what `log: true` and sampling have kept, of the caller's own project."""

from functools import partial
from http import HTTPStatus

from starlette.requests import Request

from api_shim.routes.described import TheShim, api_router, checked_query, query_parameters
from api_shim.shim import Shim
from api_shim.store.app_spans import AppSpan
from api_shim.store.traces import Trace
from api_shim.tracing.span_ids import trace_of, traceparent_within
from api_shim.wire.errors import LONGEST_ECHO, ApiError
from api_shim.wire.trace_objects import TraceList, TraceObject, TracesQuery

router = api_router("traces", prefix="/v1")


@router.get(
    "/traces",
    summary="List the project's traces, newest first",
    openapi_extra={"parameters": query_parameters(TracesQuery)},
)
async def list_traces(request: Request, shim: TheShim) -> TraceList:
    project, now_s = request.state.caller.project, shim.clock.unix_s()
    wanted = checked_query(TracesQuery, request).wanted()
    return TraceList.of(await shim.clock.aside(partial(shim.store.traces.page, project, now_s, wanted)))


@router.get("/traces/{trace_id}", summary="Read a trace")
async def retrieve_trace(request: Request, shim: TheShim, trace_id: str) -> TraceObject:
    project, now_s = request.state.caller.project, shim.clock.unix_s()
    trace = await shim.clock.aside(partial(shim.store.traces.get, project, trace_id, now_s))
    if trace is None:
        message = f"No such Trace object: {trace_id[:LONGEST_ECHO]}"
        raise ApiError(HTTPStatus.NOT_FOUND, message, param="id", code="trace_not_found")
    return TraceObject.of_trace(trace, await app_spans_of(shim, trace))


async def app_spans_of(shim: Shim, trace: Trace) -> list[AppSpan]:
    """What apps of its project reported under the trace that the request was part of, or began."""
    w3c_id = trace_of(traceparent_within(trace.traceparent, trace.row.id, sampled=True))
    return await shim.clock.aside(partial(shim.store.app_spans.of_trace, trace.row.project, w3c_id))
