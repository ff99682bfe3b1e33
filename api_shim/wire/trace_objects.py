"""Traces on the wire: a list of rows, and one trace with all that is kept of it."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from api_shim.store.app_spans import AppSpan
from api_shim.store.traces import KeptText, Trace, TracePage, TraceRow, TraceSpan, TracesWanted
from api_shim.wire.body import Body

MOST_TRACES_LISTED = 100
NS_PER_S, NS_PER_MS = 10**9, 10**6
PS_PER_MS = 10**9
LATEST_S = 2**32


class TracesQuery(Body):
    """Newest first. What is given must all hold."""

    limit: Annotated[int, Field(ge=1, le=MOST_TRACES_LISTED)] = 20
    after: Annotated[str | None, Field(description="the id of the last trace of the piece before")] = None
    since: Annotated[
        Decimal | None, Field(ge=0, le=LATEST_S, description="seconds since 1970, inclusive")
    ] = None
    until: Annotated[
        Decimal | None, Field(ge=0, le=LATEST_S, description="seconds since 1970, exclusive")
    ] = None
    endpoint: Annotated[str | None, Field(description="a path, such as /v1/chat/completions")] = None
    model: str | None = None
    status: Annotated[int | None, Field(ge=0, le=599, description="of HTTP")] = None
    outcome: str | None = None
    request_id: Annotated[str | None, Field(description="what it begins with")] = None

    def wanted(self) -> TracesWanted:
        return TracesWanted(
            limit=self.limit,
            after=self.after,
            since_ns=None if self.since is None else round(self.since * NS_PER_S),
            until_ns=None if self.until is None else round(self.until * NS_PER_S),
            endpoint=self.endpoint,
            model=self.model,
            status=self.status,
            outcome=self.outcome,
            request_id=self.request_id,
        )


class TraceSummary(BaseModel):
    id: str
    object: Literal["trace"] = "trace"
    request_id: str
    endpoint: str
    model: str = Field(description="empty where the request named none")
    status: int = Field(description="of HTTP; 499: the client left before there was any")
    outcome: str = Field(
        description="stop, length, rejected, cancelled, timeout, node_lost, path_lost; refused: by the API"
    )
    created_at: float = Field(description="seconds since 1970: the request left its caller")
    duration_ms: float = Field(description="simulated")
    time_to_first_token_ms: float | None = Field(description="simulated; null: the caller saw none")
    prompt_tokens: int
    completion_tokens: int
    stream: bool
    log: bool = Field(description="kept by `log: true`, with bodies; else sampled")

    @classmethod
    def of(cls, row: TraceRow) -> Self:
        return cls.model_validate(summary(row))


class TraceList(BaseModel):
    object: Literal["list"] = "list"
    data: list[TraceSummary]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, page: TracePage) -> Self:
        data = [TraceSummary.of(row) for row in page.rows]
        return cls(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=page.has_more,
        )


class SpanObject(BaseModel):
    """A stage of the request's way. Those of several prompts or completions lie side by side."""

    name: Literal["set_up", "network", "admission", "queue", "prefill", "decode", "return", "app"]
    began_ps: int = Field(description="simulated picoseconds, as in the records of a run")
    ended_ps: int
    attributes: dict[str, str | int] = Field(
        description="request: its number in the records; sample: which completion; node; tokens; call"
    )

    @classmethod
    def of(cls, span: TraceSpan) -> Self:
        return cls.model_validate(
            {
                "name": span.name,
                "began_ps": span.began_ps,
                "ended_ps": span.ended_ps,
                "attributes": span.attributes,
            }
        )


class AppSpanObject(BaseModel):
    """What an app has reported of itself under the same trace."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    service: str
    kind: str
    failed: bool
    began_at: float = Field(description="seconds since 1970, by the app's own clock")
    duration_ms: float = Field(description="by the app's own clock")
    attributes: dict[str, Any]

    @classmethod
    def of_app(cls, span: AppSpan) -> Self:
        return cls(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_id=span.parent_id,
            name=span.name,
            began_at=span.began_ns / NS_PER_S,
            duration_ms=(span.ended_ns - span.began_ns) / NS_PER_MS,
            **span.detail,
        )


class PromptMessage(BaseModel):
    role: str
    content: str


class KeptBody(BaseModel):
    """Without secrets."""

    text: str = Field(description="of a stream, its events")
    size_bytes: int = Field(description="of all of it, as it was sent")
    cut: bool = Field(description="whether `text` is only its beginning")

    @classmethod
    def of(cls, body: KeptText | None) -> Self | None:
        return None if body is None else cls(text=body.text, size_bytes=body.size_bytes, cut=body.cut)


class TraceObject(TraceSummary):
    began_ps: int = Field(description="the simulated instant of `created_at`")
    duration_ps: int
    key: str = Field(description="the name of the key")
    place: str = Field(description="where in the scenario's network the caller is")
    finish_reasons: list[str]
    settings: dict[str, Any] = Field(description="what the request said of its generation")
    spans: list[SpanObject]
    messages: list[PromptMessage] = Field(description="of the prompt; empty unless `log`")
    messages_cut: bool
    request: KeptBody | None
    response: KeptBody | None
    traceparent: str | None = Field(description="W3C's, of the client's own trace")
    app_spans: list[AppSpanObject] = Field(description="of the same trace, from `/otlp/v1/traces`")

    @classmethod
    def of_trace(cls, trace: Trace, app_spans: list[AppSpan]) -> Self:
        return cls(
            **summary(trace.row),
            began_ps=trace.began_ps,
            duration_ps=trace.row.duration_ps,
            key=trace.key,
            place=trace.place,
            finish_reasons=trace.finish_reasons,
            settings=trace.settings,
            spans=[SpanObject.of(span) for span in trace.spans],
            messages=[PromptMessage(role=role, content=text) for role, text in trace.messages],
            messages_cut=trace.messages_cut,
            request=KeptBody.of(trace.request),
            response=KeptBody.of(trace.response),
            traceparent=trace.traceparent or None,
            app_spans=[AppSpanObject.of_app(span) for span in app_spans],
        )


def summary(row: TraceRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "request_id": row.request_id,
        "endpoint": row.endpoint,
        "model": row.model,
        "status": row.status,
        "outcome": row.outcome,
        "created_at": row.began_ns / NS_PER_S,
        "duration_ms": row.duration_ps / PS_PER_MS,
        "time_to_first_token_ms": None if row.first_seen_ps is None else row.first_seen_ps / PS_PER_MS,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.output_tokens,
        "stream": row.streamed,
        "log": row.logged,
    }
