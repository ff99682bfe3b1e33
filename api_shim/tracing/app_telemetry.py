"""What apps send a collector, over OTLP/HTTP: spans are read, metrics and logs are taken and dropped.

https://opentelemetry.io/docs/specs/otlp/
"""

import zlib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

from api_shim.store.app_spans import AppSpan
from api_shim.tracing.redaction import Redaction

Signal = Literal["traces", "metrics", "logs"]
MESSAGES: dict[Signal, tuple[str, str]] = {
    "traces": ("opentelemetry.proto.collector.trace.v1.trace_service_pb2", "ExportTraceService"),
    "metrics": ("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", "ExportMetricsService"),
    "logs": ("opentelemetry.proto.collector.logs.v1.logs_service_pb2", "ExportLogsService"),
}
MOST_BYTES = 4 * 2**20
"""Unpacked."""
MOST_SPANS_AT_ONCE = 5000
MOST_ATTRIBUTES = 64
LONGEST_TEXT = 1000
LONGEST_NAME = 200
MOST_NESTED = 4
GZIP = 16 + zlib.MAX_WBITS
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
SERVICE_NAME = "service.name"
STATUS_ERROR = 2


class BadTelemetryError(Exception):
    """No message of OTLP, or too large a one; the text says why."""


class ReadTelemetry(NamedTuple):
    spans: list[AppSpan]
    rejected: int
    """Spans beyond MOST_SPANS_AT_ONCE, or without ids."""


def unpacked(raw: bytes, encoding: str) -> bytes:
    """By HTTP's content encoding. Raises BadTelemetryError."""
    if encoding in {"", "identity"}:
        return raw
    if encoding != "gzip":
        raise BadTelemetryError(f"the content encoding {encoding!r} is not known: gzip is")
    try:
        plain = zlib.decompressobj(GZIP).decompress(raw, MOST_BYTES + 1)
    except zlib.error as error:
        raise BadTelemetryError(f"it is not what gzip makes: {error}") from None
    if len(plain) > MOST_BYTES:
        raise BadTelemetryError(f"unpacked it has more than {MOST_BYTES:,} bytes")
    return plain


def read_telemetry(signal: Signal, raw: bytes, project: str, redaction: Redaction) -> ReadTelemetry:
    """Aside: it takes its time. Raises BadTelemetryError."""
    module, service = _module(signal), MESSAGES[signal][1]
    message = getattr(module, f"{service}Request")()
    try:
        message.ParseFromString(raw)
    except Exception as error:  # noqa: BLE001 -- protobuf's own, which is imported where it is needed
        raise BadTelemetryError(f"it is no {service}Request: {error}") from None
    if signal != "traces":
        return ReadTelemetry([], 0)
    found = list(_spans(message, project, redaction))
    kept = [span for span in found[:MOST_SPANS_AT_ONCE] if span is not None]
    return ReadTelemetry(kept, len(found) - len(kept))


def answer_of(signal: Signal, rejected: int) -> bytes:
    """As the exporter reads it."""
    answer = getattr(_module(signal), f"{MESSAGES[signal][1]}Response")()
    if rejected:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = f"at most {MOST_SPANS_AT_ONCE:,} spans are taken at once"
    written: bytes = answer.SerializeToString()
    return written


@cache
def _module(signal: Signal) -> Any:  # noqa: ANN401 -- made of descriptions when it is imported
    return import_module(MESSAGES[signal][0])


def _spans(message: Any, project: str, redaction: Redaction) -> Iterator[AppSpan | None]:  # noqa: ANN401 -- as above
    for group in message.resource_spans:
        service = str(_attributes(group.resource.attributes, redaction).get(SERVICE_NAME, ""))
        for scope in group.scope_spans:
            for span in scope.spans:
                yield _span(span, project, service, redaction)


def _span(span: Any, project: str, service: str, redaction: Redaction) -> AppSpan | None:  # noqa: ANN401 -- as above
    """None for one without the ids that it must have."""
    if (len(span.trace_id), len(span.span_id)) != (16, 8):
        return None
    return AppSpan(
        project=project,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=redaction.text(span.name)[:LONGEST_NAME],
        began_ns=min(span.start_time_unix_nano, 2**63 - 1),
        ended_ns=min(span.end_time_unix_nano, 2**63 - 1),
        detail={
            "service": service[:LONGEST_NAME],
            "kind": KINDS[span.kind] if span.kind < len(KINDS) else KINDS[0],
            "failed": span.status.code == STATUS_ERROR,
            "attributes": _attributes(span.attributes, redaction),
        },
    )


def _attributes(pairs: Any, redaction: Redaction) -> dict[str, Any]:  # noqa: ANN401 -- as above
    return {
        redaction.text(pair.key)[:LONGEST_NAME]: _value(pair.value, redaction, MOST_NESTED)
        for pair in pairs[:MOST_ATTRIBUTES]
    }


def _value(value: Any, redaction: Redaction, deeper: int) -> Any:  # noqa: ANN401 -- as above, and JSON
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return redaction.text(value.string_value)[:LONGEST_TEXT]
    if kind in {"bool_value", "int_value"}:
        return getattr(value, kind)
    if kind == "double_value":
        return value.double_value if abs(value.double_value) < float("inf") else str(value.double_value)
    if kind == "array_value" and deeper:
        return [_value(one, redaction, deeper - 1) for one in value.array_value.values[:MOST_ATTRIBUTES]]
    return None  # maps and bytes say nothing to whoever looks at a trace
