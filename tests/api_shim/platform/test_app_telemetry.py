"""What apps report of themselves, and how it meets the requests that they made meanwhile."""

import gzip
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from api_shim.settings import ServerSettings
from api_shim.store import app_spans
from api_shim.tracing import app_telemetry
from api_shim.tracing.span_ids import trace_of, traceparent_within
from tests.support.live import MakeWire, Reply, Wire, chat

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
PROTOBUF = {"content-type": "application/x-protobuf"}


def message(*names: str, trace_id: str = TRACE) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "demo"
    scope = group.scope_spans.add()
    for number, name in enumerate(names):
        span = scope.spans.add(
            trace_id=bytes.fromhex(trace_id),
            span_id=bytes.fromhex(SPAN[:-1] + str(number)),
            parent_span_id=bytes.fromhex(PARENT),
            name=name,
            kind=2,
            start_time_unix_nano=1_000_000_000 + number,
            end_time_unix_nano=1_500_000_000,
        )
        span.attributes.add(key="http.status_code").value.int_value = 200
        span.attributes.add(key="authorization").value.string_value = "Bearer sk-secret-of-somebody"
        span.status.code = 2
    return made


def send(wire: Wire, raw: bytes, signal: str = "traces", **options: Any) -> Reply:
    headers = PROTOBUF | options.pop("headers", {})
    return wire.ask(f"/otlp/v1/{signal}", raw, headers=headers, **options)


def traced_chat(wire: Wire) -> str:
    """The id of the trace of a request that is a part of the app's."""
    wire.ask(body=chat("hello", log=True), headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    return str(wire.ask("/v1/traces").json["data"][0]["id"])


def test_spans_of_an_app_stand_beside_its_requests(wire: Wire) -> None:
    answer = send(wire, message("GET /", "POST").SerializeToString())
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert not ExportTraceServiceResponse.FromString(answer.body).HasField("partial_success")
    first, second = wire.ask(f"/v1/traces/{traced_chat(wire)}").json["app_spans"]
    assert first == {
        "trace_id": TRACE,
        "span_id": SPAN[:-1] + "0",
        "parent_id": PARENT,
        "name": "GET /",
        "service": "demo",
        "kind": "server",
        "failed": True,
        "began_at": 1.0,
        "duration_ms": 500.0,
        "attributes": {"http.status_code": 200, "authorization": "[redacted]"},
    }
    assert second["name"] == "POST"


def test_spans_may_come_packed(wire: Wire) -> None:
    packed = gzip.compress(message("GET /").SerializeToString())
    assert send(wire, packed, headers={"content-encoding": "gzip"}).status == 200
    assert len(wire.ask(f"/v1/traces/{traced_chat(wire)}").json["app_spans"]) == 1


def test_no_project_sees_anothers_spans_nor_those_of_another_trace(wire: Wire) -> None:
    send(wire, message("theirs").SerializeToString(), key="sk-other")
    send(wire, message("mine", trace_id="f" * 32).SerializeToString())
    assert wire.ask(f"/v1/traces/{traced_chat(wire)}").json["app_spans"] == []


def test_spans_that_follow_a_request_that_began_their_trace_stand_beside_it(wire: Wire) -> None:
    """Such as a user's to an app, which is told of the trace that we began."""
    wire.ask(body=chat("hello", log=True))
    own_id = wire.ask("/v1/traces").json["data"][0]["id"]
    begun = trace_of(traceparent_within("", own_id, sampled=True))
    send(wire, message("GET /", trace_id=begun).SerializeToString())
    assert [one["name"] for one in wire.ask(f"/v1/traces/{own_id}").json["app_spans"]] == ["GET /"]


def test_metrics_and_logs_are_taken(wire: Wire) -> None:
    for signal, made in (("metrics", ExportMetricsServiceRequest()), ("logs", ExportLogsServiceRequest())):
        assert send(wire, made.SerializeToString(), signal).status == 200
        assert send(wire, b"\xff\xff", signal).status == 400


@pytest.mark.parametrize(
    ("raw", "headers", "status"),
    [
        (b"\xff\xff\xff", {}, 400),
        (b"not packed", {"content-encoding": "gzip"}, 400),
        (b"", {"content-encoding": "br"}, 400),
        (gzip.compress(b"\0" * (app_telemetry.MOST_BYTES + 1)), {"content-encoding": "gzip"}, 400),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"\0" * (app_telemetry.MOST_BYTES + 1), {}, 413),
    ],
)
def test_what_is_no_telemetry_is_refused(
    wire: Wire, raw: bytes, headers: dict[str, str], status: int
) -> None:
    assert send(wire, raw, headers=headers).error["message"]
    assert send(wire, raw, headers=headers).status == status


def test_nobody_reports_without_a_key(wire: Wire) -> None:
    assert send(wire, b"", key=None).status == 401


def test_spans_without_ids_are_rejected_and_the_others_kept(wire: Wire) -> None:
    made = message("a", "b")
    made.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    answer = ExportTraceServiceResponse.FromString(send(wire, made.SerializeToString()).body)
    assert answer.partial_success.rejected_spans == 1
    assert [one["name"] for one in wire.ask(f"/v1/traces/{traced_chat(wire)}").json["app_spans"]] == ["b"]


def test_what_is_kept_of_spans_is_bounded(make: MakeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_spans, "MOST_SPANS", 3)
    wire = make(settings=ServerSettings())
    send(wire, message(*"abcde").SerializeToString())
    assert [one["name"] for one in wire.ask(f"/v1/traces/{traced_chat(wire)}").json["app_spans"]] == [*"cde"]
