"""Spans of OpenTelemetry from a file, in the two forms that they are written in.

OTLP's JSON has a batch per line (opentelemetry.io/docs/specs/otlp, the collector's file exporter). The SDK
for Python writes a span per line (`ConsoleSpanExporter` with a formatter of one line).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from traffic.traces.formats.fields import BadValueError, shortly
from traffic.traces.formats.json_lines import JsonRow, json_lines, required
from traffic.traces.words import TraceError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = ("stringValue", "boolValue", "intValue", "doubleValue")
_WHOLE = re.compile(r"\d{1,20}", re.ASCII)
_FORM = "2026-11-29T07:10:56.693246Z"
NS_PER_US = 1000


@dataclass(frozen=True, slots=True)
class Span:
    line: int
    trace: str
    name: str
    """Its id, within the trace."""
    parent: str | None
    start_ns: int
    """Since 1970."""
    end_ns: int
    attributes: JsonRow


def read_spans(path: Path, limit_rows: int | None = None) -> Iterator[Span]:
    for line, row in islice(json_lines(path), limit_rows):
        try:
            if "resourceSpans" in row:
                yield from _of_batch(line, row)
            else:
                yield _of_sdk(line, row)
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None


def _of_batch(line: int, row: JsonRow) -> Iterator[Span]:
    for group in _objects("resourceSpans", row["resourceSpans"]):
        for scope in _objects("scopeSpans", group.get("scopeSpans", [])):
            for span in _objects("spans", scope.get("spans", [])):
                yield Span(
                    line,
                    _text("traceId", required(span, "traceId")),
                    _text("spanId", required(span, "spanId")),
                    _text("parentSpanId", parent) if (parent := span.get("parentSpanId")) else None,
                    *_ordered(_ns(span, "startTimeUnixNano"), _ns(span, "endTimeUnixNano")),
                    dict(_pairs(span.get("attributes", []))),
                )


def _of_sdk(line: int, row: JsonRow) -> Span:
    context = _object("context", required(row, "context"))
    parent = row.get("parent_id")
    attributes = row.get("attributes")
    return Span(
        line,
        _text("context.trace_id", required(context, "trace_id")),
        _text("context.span_id", required(context, "span_id")),
        None if parent is None else _text("parent_id", parent),
        *_ordered(_date_ns(row, "start_time"), _date_ns(row, "end_time")),
        {} if attributes is None else _object("attributes", attributes),
    )


def _ordered(start_ns: int, end_ns: int) -> tuple[int, int]:
    if end_ns < start_ns:
        raise BadValueError(f"a span ends {start_ns - end_ns} ns before it starts")
    return start_ns, end_ns


def _ns(span: JsonRow, key: str) -> int:
    """OTLP writes numbers of 64 bits as text."""
    value = required(span, key)
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    raise BadValueError(f"{key} is {shortly(value)}, expected whole nanoseconds since 1970")


def _date_ns(row: JsonRow, key: str) -> int:
    value = required(row, key)
    try:
        since = datetime.fromisoformat(str(value)) - _EPOCH
    except (ValueError, TypeError):
        raise BadValueError(
            f"{key} is {shortly(value)}, expected the form 2026-11-29T07:10:56.693246Z"
        ) from None
    return since // timedelta(microseconds=1) * NS_PER_US


def _pairs(value: object) -> Iterator[tuple[str, object]]:
    for pair in _objects("attributes", value):
        holder = _object("attributes", pair.get("value", {}))
        kind = next((kind for kind in _KINDS if kind in holder), None)
        if kind is not None:
            found = holder[kind]
            whole = kind == "intValue" and isinstance(found, str) and _WHOLE.fullmatch(found)
            yield str(pair.get("key")), int(str(found)) if whole else found


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadValueError(f"{key} is {shortly(value)}, expected an id")
    return value


def _object(key: str, value: object) -> JsonRow:
    if not isinstance(value, dict):
        raise BadValueError(f"{key} is {shortly(value)}, expected an object")
    return value


def _objects(key: str, value: object) -> list[JsonRow]:
    if not isinstance(value, list):
        raise BadValueError(f"{key} is {shortly(value)}, expected a list")
    return [_object(key, one) for one in value]
