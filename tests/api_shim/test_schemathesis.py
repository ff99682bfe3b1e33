"""Schemathesis reads our own OpenAPI and asks accordingly, rightly and wrongly: nothing answers 5xx."""

from collections import Counter
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from api_shim.testing.asgi_transport import make_transport
from tests.support.live import LLAMA, MakeWire, Wire, make_wire

schemathesis = pytest.importorskip("schemathesis")
requests = pytest.importorskip("requests")  # what schemathesis writes a case down with

POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
EXAMPLES = {POSITIVE: 30, NEGATIVE: 20}
BASE_URL = "http://e80sim.invalid"
OPERATIONS = {
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "GET /v1/models",
    "GET /v1/models/{model_id}",
    "GET /health",
    "GET /metrics",
}
OF_FILES = {
    "POST /v1/files",
    "GET /v1/files",
    "GET /v1/files/{file_id}",
    "POST /v1/files/{file_id}",
    "DELETE /v1/files/{file_id}",
    "GET /v1/files/{file_id}/content",
}
OF_SANDBOXES = {
    "POST /v1/sandboxes",
    "GET /v1/sandboxes",
    "GET /v1/sandboxes/history",
    "GET /v1/sandboxes/{sandbox_id}",
    "DELETE /v1/sandboxes/{sandbox_id}",
    "POST /v1/sandboxes/{sandbox_id}/stop",
    "POST /v1/sandboxes/{sandbox_id}/expose",
    "GET /sandboxes/{sandbox_id}/.8080/health",
    "POST /sandboxes/{sandbox_id}/python/run",
    "POST /sandboxes/{sandbox_id}/python/deps",
    "POST /sandboxes/{sandbox_id}/js/run",
    "POST /sandboxes/{sandbox_id}/js/deps",
    "PUT /sandboxes/{sandbox_id}/files/{path}",
    "GET /sandboxes/{sandbox_id}/files/{path}",
    "DELETE /sandboxes/{sandbox_id}/me",
    "POST /api/sandbox/{organisation}/{slug}/deploy",
    "GET /api/sandbox/{organisation}/{slug}/list",
    "POST /api/sandbox/{organisation}/{slug}/{sandbox_id}/stop",
}
MAKES_SANDBOXES = {label for label in OF_SANDBOXES if label.endswith(("/sandboxes", "/deploy"))}
OF_BATCHES = {
    "POST /v1/batches",
    "GET /v1/batches",
    "GET /v1/batches/{batch_id}",
    "DELETE /v1/batches/{batch_id}",
    "POST /v1/batches/{batch_id}/cancel",
}
OF_TRACES = {"GET /v1/traces", "GET /v1/traces/{trace_id}"}
OF_RESPONSES = {
    "POST /v1/responses",
    "GET /v1/responses/{response_id}",
    "DELETE /v1/responses/{response_id}",
    "POST /v1/responses/{response_id}/cancel",
    "GET /v1/responses/{response_id}/input_items",
    "POST /v1/conversations",
    "GET /v1/conversations/{conversation_id}",
    "POST /v1/conversations/{conversation_id}",
    "DELETE /v1/conversations/{conversation_id}",
    "GET /v1/conversations/{conversation_id}/items",
    "POST /v1/conversations/{conversation_id}/items",
    "GET /v1/conversations/{conversation_id}/items/{item_id}",
    "DELETE /v1/conversations/{conversation_id}/items/{item_id}",
}
OF_THE_PLATFORM = {
    "GET /v1/secrets",
    "POST /v1/secrets",
    "GET /v1/secrets/{name}",
    "POST /v1/secrets/{name}",
    "DELETE /v1/secrets/{name}",
    "POST /v1/artifacts",
    "POST /v1/multipart",
    "POST /v1/multipart/{artifact_id}/part",
    "POST /v1/multipart/{artifact_id}/finish",
    "GET /v1/jobs",
    "POST /v1/jobs",
    "GET /v1/job-histories",
    "POST /accounts/login/oauth/token",
    "GET /api/org",
    "PUT /api/project/{organisation}",
    "GET /api/secrets/{slug}",
    "POST /api/endpoint/{organisation}/{slug}/artifact",
    "POST /api/endpoint/{organisation}/{slug}/artifact/multipart",
    "POST /api/endpoint/{organisation}/{slug}/artifact/multipart/{artifact_id}/{number}",
    "POST /api/endpoint/{organisation}/{slug}/artifact/multipart/{artifact_id}",
    "POST /api/endpoint/{organisation}/{slug}/deploy",
}
OF_APPS = {f"POST /otlp/v1/{signal}" for signal in ("traces", "metrics", "logs")}
"""It writes no protobuf: `tests/api_shim/platform/test_app_telemetry.py` does."""
OF_WHAT_IS_KEPT = OF_FILES | OF_BATCHES | OF_TRACES | OF_SANDBOXES | OF_RESPONSES | OF_THE_PLATFORM
ANSWERED_OF_THEM = {"POST /v1/responses", "POST /v1/conversations"}
TAKES_INPUT = sorted(
    {label for label in OPERATIONS if "completions" in label or "{" in label}
    | {"POST /v1/batches"}
    | ANSWERED_OF_THEM
)


@cache
def operations() -> dict[str, Any]:
    """By label. An operation that schemathesis cannot read raises what it has against it."""
    wire = make_wire()
    schema = schemathesis.openapi.from_dict(wire.ask("/openapi.json").json)
    wire.platform.close()
    return {result.ok().label: result.ok() for result in schema.get_all_operations()}


def cases(operation: Any, mode: Any) -> Any:
    """What the schema does not say of messages is seen to here, or most would be refused for it."""
    drawn = operation.as_strategy(generation_mode=mode)
    return drawn.map(_speaking) if mode is POSITIVE else drawn


NOT_TOGETHER = {
    "previous_response_id",
    "conversation",
    "template",
    "inputs",
    "stream_options",
    "tool_choice",
    "background",
}
"""Of a response: what excludes, or needs, something else, or has to be there already."""


def _speaking(case: Any) -> Any:
    if case.operation.label == "POST /v1/responses":
        case.body = {name: value for name, value in case.body.items() if name not in NOT_TOGETHER}
        case.body |= {"input": "hello", "model": LLAMA}
    messages = case.body.get("messages", []) if isinstance(case.body, dict) else []
    for message in messages:
        if not isinstance(message.get("content"), str):
            message["content"] = "hello"
        if message["role"] == "tool":
            message["role"] = "user"
    return case


def answered(wire: Wire, case: Any) -> httpx.Response:
    """Through the door, as bytes, in virtual time."""
    written = requests.Request(**_plain(case.as_transport_kwargs(base_url=BASE_URL))).prepare()
    given = {"authorization": "Bearer sk-me", **dict(written.headers)}
    headers = {name: value.encode() if isinstance(value, str) else value for name, value in given.items()}
    transport = make_transport(httpx, wire.platform.app)

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, timeout=None) as client:
            return await client.request(written.method, written.url, content=written.body, headers=headers)

    return wire.platform.run(send())


def _plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    known = {"method", "url", "headers", "files", "data", "json", "params", "cookies"}
    return {name: value for name, value in kwargs.items() if name in known}


def statuses(wire: Wire, label: str, mode: Any, examples: int | None = None) -> Counter[int]:
    """Of a few dozen cases, the same in every run. Each is checked against what the description promises."""
    found: Counter[int] = Counter()

    @settings(
        max_examples=examples or EXAMPLES[mode],
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(operations()[label], mode))
    def ask(case: Any) -> None:
        reply = answered(wire, case)
        found[reply.status_code] += 1
        case.validate_response(
            reply,
            checks=[
                schemathesis.checks.not_a_server_error,
                schemathesis.checks.CHECKS.get_one("status_code_conformance"),
                schemathesis.checks.CHECKS.get_one("response_schema_conformance"),
            ],
        )

    ask()
    return found


def test_schemathesis_can_read_every_operation() -> None:
    assert set(operations()) == OPERATIONS | OF_WHAT_IS_KEPT | OF_APPS


@pytest.mark.parametrize("label", sorted(OPERATIONS | ANSWERED_OF_THEM))
def test_what_the_description_allows_is_answered_and_never_with_5xx(make: MakeWire, label: str) -> None:
    found = statuses(make(), label, POSITIVE)
    assert found[200] > 0
    assert max(found) < 500


@pytest.mark.parametrize("label", sorted(OF_WHAT_IS_KEPT - ANSWERED_OF_THEM - MAKES_SANDBOXES))
def test_what_is_kept_is_asked_for_without_5xx(make: MakeWire, label: str) -> None:
    """Ids are made up, so most of it finds nothing."""
    assert max(statuses(make(), label, POSITIVE, 60 if label in OF_FILES else 15)) < 500


@pytest.mark.parametrize("label", TAKES_INPUT)
def test_what_the_description_forbids_is_refused_and_never_with_5xx(make: MakeWire, label: str) -> None:
    found = statuses(make(), label, NEGATIVE)
    assert sum(count for status, count in found.items() if 400 <= status < 500) > 0
    assert max(found) < 500
