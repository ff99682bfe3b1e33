"""What a collector is sent: a real one, in a process of its own, by a real server."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from opentelemetry import trace as global_trace
from opentelemetry.sdk.resources import Resource

from api_shim.cli import serve_traces_to
from api_shim.store.traces import Trace, TraceSpan
from api_shim.tracing import otlp
from api_shim.tracing.otlp import Exporting, spans_of
from e80sim.mistakes import UserError
from tests.api_shim.store.test_traces import trace
from tests.api_shim.test_serve import KEY
from tests.support.live import LLAMA, chat
from tests.support.served import serve

CLIENTS_TRACE, CLIENTS_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{CLIENTS_TRACE}-{CLIENTS_SPAN}"
AWAY = {**KEY, "x-sim-place": "away", "x-sim-output-tokens": "3"}
MS = 10**9


class Collector:
    def __init__(self, file: Path, *arguments: str) -> None:
        self._file = file
        command = [sys.executable, "-m", "tests.support.collector", str(file), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    @property
    def requests(self) -> list[Any]:
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def spans(self) -> list[Any]:
        return [span for request in self.requests for span in request["spans"]]


@contextmanager
def collecting(file: Path, *arguments: str) -> Iterator[Collector]:
    collector = Collector(file, *arguments)
    try:
        yield collector
    finally:
        collector.process.kill()
        collector.process.communicate()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with collecting(tmp_path / "spans.jsonl") as made:
        yield made


@pytest.mark.realtime
def test_a_collector_sees_every_request_of_a_served_platform(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-tests")
    before_s = datetime.now(UTC).timestamp()
    server = serve(tmp_path, "--otlp", collector.url)
    with httpx.Client(base_url=server.urls[0]) as client:
        client.post("/v1/chat/completions", json=chat(temperature=0.5, n=1), headers=AWAY)
        client.post(
            "/v1/completions",
            json={"model": LLAMA, "prompt": "hello", "stream": True, "log": True},
            headers={**AWAY, "traceparent": f"{PARENT}-00"},
        )
        client.post("/v1/chat/completions", json=chat(), headers={**AWAY, "traceparent": f"{PARENT}-00"})
        client.post("/v1/chat/completions", json=chat(), headers={**AWAY, "traceparent": f"{PARENT}-01"})
        client.post("/v1/chat/completions", json=chat(n=0), headers=AWAY)
    assert server.end() == 0
    assert any(f"go to {collector.url}/v1/traces" in line for line in server.lines)
    assert not any("did not reach" in line for line in server.lines)
    assert {(one["path"], one["type"], one["key"]) for one in collector.requests} == {
        ("/v1/traces", "application/x-protobuf", "secret")
    }
    spans = collector.spans
    roots = [span for span in spans if span["kind"] == "SPAN_KIND_SERVER"]
    assert [span["name"] for span in roots] == [
        f"chat {LLAMA}",
        f"text_completion {LLAMA}",  # its client does not sample, but it says log
        f"chat {LLAMA}",  # the one whose client does
        f"chat {LLAMA}",
    ]
    first, logged, joined, refused = roots
    assert first["resource"]["service.name"] == "my-tests"
    assert first["scope"] == "e80sim"
    attributes = first["attributes"]
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.request.model"] == attributes["gen_ai.response.model"] == LLAMA
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (11, 3)
    assert attributes["gen_ai.request.temperature"] == 0.5
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert attributes["sim.place"] == "away"
    assert "sk-me" not in json.dumps(spans)
    assert (first["parent"], logged["parent"], joined["parent"]) == ("", CLIENTS_SPAN, CLIENTS_SPAN)
    assert {logged["trace_id"], joined["trace_id"]} == {CLIENTS_TRACE}
    assert refused["attributes"]["error.type"] == "400"
    assert refused["status"] == 0
    stages = [span for span in spans if span["parent"] == first["span_id"]]
    assert [(span["name"], span["ended_ns"] - span["began_ns"]) for span in stages] == [
        ("set_up", 20_000_000),
        ("network", 10_000_000),
        ("admission", 0),
        ("queue", 0),
        ("prefill", 11_000_000),
        ("decode", 20_000_000),
        ("return", 10_000_000),
    ]
    assert stages[0]["began_ns"] == first["began_ns"]
    assert stages[-1]["ended_ns"] == first["ended_ns"]
    assert before_s - 1 <= first["began_ns"] / 1e9 <= datetime.now(UTC).timestamp()
    assert len({span["span_id"] for span in spans}) == len(spans)


@pytest.mark.realtime
def test_a_collector_that_is_not_there_changes_no_answer_and_is_told_of_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    server = serve(tmp_path, "--otlp", url)
    with httpx.Client(base_url=server.urls[0], headers=KEY) as client:
        for _ in range(5):
            assert client.post("/v1/chat/completions", json=chat(max_tokens=1)).status_code == 200
    assert server.end() == 0
    assert server.lines[-1] == f"e80sim: 5 of 5 traces did not reach {url}/v1/traces"
    assert sum("traces" in line for line in server.lines) == 2, server.lines


def test_what_a_collector_refuses_is_counted(tmp_path: Path) -> None:
    with collecting(tmp_path / "spans.jsonl", "400") as refusing:
        exporting = Exporting(f"{refusing.url}/v1/traces")
        for number in range(3):
            exporting(partial(trace, number))
        exporting.close()
        assert exporting.missing() == f"3 of 3 traces did not reach {refusing.url}/v1/traces"
        assert len(refusing.spans) == 3


def test_a_queue_that_is_full_takes_no_more_and_does_not_wait(
    monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.setattr(otlp, "MOST_WAITING", 2)
    exporting = Exporting(f"{collector.url}/v1/traces")
    held, going_on = threading.Event(), threading.Event()

    def slow() -> Trace:
        held.set()
        assert going_on.wait(10)
        return trace(0)

    exporting(slow)
    assert held.wait(10)
    for number in range(1, 6):
        exporting(partial(trace, number))
    going_on.set()
    exporting.close()
    assert exporting.missing() == f"3 of 6 traces did not reach {collector.url}/v1/traces"
    assert len(collector.spans) == 3


def of_server(made: Trace) -> Any:
    return next(iter(spans_of(made, Resource({}))))


def test_only_what_is_the_servers_fault_is_an_error() -> None:
    statuses = {
        (200, "stop"): (None, False),
        (429, "rejected"): ("429", False),
        (499, "cancelled"): ("499", False),
        (200, "cancelled"): ("cancelled", False),
        (200, "node_lost"): ("node_lost", True),
        (503, "node_lost"): ("503", True),
    }
    for (status, outcome), (error, failed) in statuses.items():
        span = of_server(replace(trace(1), row=trace(1, status=status, outcome=outcome).row))
        assert (span.attributes.get("error.type"), not span.status.is_unset) == (error, failed)


def test_stamps_keep_their_distances_to_the_nanosecond() -> None:
    made = replace(
        trace(1), began_ps=5 * MS, spans=[TraceSpan("decode", 5 * MS + 1500, 7 * MS, {"sample": 1})]
    )
    around, stage = spans_of(made, Resource({}))
    began_ns = made.row.began_ns
    assert (around.start_time, stage.start_time, stage.end_time) == (
        began_ns,
        began_ns + 1,
        began_ns + 2_000_000,
    )
    assert dict(stage.attributes or {}) == {
        "sim.sample": 1,
        "sim.began_ps": 5 * MS + 1500,
        "sim.ended_ps": 7 * MS,
    }


def test_no_provider_is_set_for_all() -> None:
    assert type(global_trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"


@pytest.mark.parametrize(
    ("option", "environment", "endpoint"),
    [
        ("http://c:4318", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/", {}, "http://c:4318/v1/traces"),
        ("https://c/otlp", {}, "https://c/otlp/v1/traces"),
        ("http://c:4318/v1/traces", {}, "http://c:4318/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://e:1"}, "http://e:1/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:1/x"}, "http://t:1/x"),
        ("http://c:4318", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://e:1"}, "http://c:4318/v1/traces"),
        (None, {}, None),
    ],
)
def test_where_traces_go(
    monkeypatch: pytest.MonkeyPatch, option: str | None, environment: dict[str, str], endpoint: str | None
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    made = Mock()
    monkeypatch.setattr(otlp, "Exporting", made)
    serve_traces_to(option)
    assert [call.args[0] for call in made.call_args_list] == ([] if endpoint is None else [endpoint])


def test_an_address_that_is_none_is_one_sentence() -> None:
    with pytest.raises(UserError, match="--otlp localhost:4318: write it as http://HOST:PORT"):
        serve_traces_to("localhost:4318")
