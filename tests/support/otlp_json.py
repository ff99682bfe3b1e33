"""Spans as the files have them that OpenTelemetry's tools write."""

import base64
import json
from collections.abc import Sequence

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan


def as_otlp(spans: Sequence[ReadableSpan]) -> str:
    """As the collector's file exporter: the protocol's JSON has ids as hexadecimal, not as protobuf's."""
    batch = MessageToDict(encode_spans(spans))
    for group in batch["resourceSpans"]:
        for span in (span for scope in group["scopeSpans"] for span in scope["spans"]):
            for key in ("traceId", "spanId", "parentSpanId"):
                if key in span:
                    span[key] = base64.b64decode(span[key]).hex()
    return json.dumps(batch) + "\n"


def as_sdk(spans: Sequence[ReadableSpan]) -> str:
    """As the exporter to the console, told to keep to one line."""
    return "".join(span.to_json(indent=None) + "\n" for span in spans)
