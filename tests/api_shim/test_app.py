"""The application as a whole: its routes are async and described, and a new group of endpoints fits in."""

import inspect
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import Query
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Route, WebSocketRoute

from api_shim import app as application
from api_shim.routes.common import ANSWER_HEADERS
from api_shim.routes.described import TheShim, api_router
from api_shim.wire.answers import ChatCompletion, ChatCompletionChunk, Completion, CompletionChunk
from api_shim.wire.body import Body
from tests.support.live import GPT_OSS, LLAMA, MakeWire, Wire, chat, scenario

STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
SO_FAR = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}


def routes(wire: Wire) -> list[Route]:
    found = [route for route in wire.platform.app.routes if isinstance(route, Route)]
    websockets = [route for route in wire.platform.app.routes if isinstance(route, WebSocketRoute)]
    assert len(found) + len(websockets) == len(wire.platform.app.routes)
    return found


def called(dependant: Dependant) -> Iterator[Any]:
    """The endpoint and, at any depth, what it depends on."""
    yield dependant.call
    for inner in dependant.dependencies:
        yield from called(inner)


def sync_calls(found: list[Route]) -> list[str]:
    """What would run in a thread, where simulated time stands still and then jumps."""
    calls = {
        call: route.path
        for route in found
        for call in (called(route.dependant) if isinstance(route, APIRoute) else [route.endpoint])
    }
    return [
        f"{path}: {call}"
        for call, path in calls.items()
        if not (inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__))
    ]


def test_no_endpoint_and_no_dependency_runs_in_a_thread(wire: Wire) -> None:
    assert len(routes(wire)) >= 9
    assert sync_calls(routes(wire)) == []


def test_a_sync_endpoint_or_dependency_would_be_found() -> None:
    from fastapi import APIRouter, Depends

    router = APIRouter()
    router.add_api_route("/endpoint", lambda: None)

    async def fine() -> None: ...

    router.add_api_route("/dependency", fine, dependencies=[Depends(lambda: None)])
    found = sync_calls([route for route in router.routes if isinstance(route, Route)])
    assert [text.split(":")[0] for text in found] == ["/endpoint", "/dependency"]


def test_every_body_that_fastapi_reads_has_a_bound(wire: Wire) -> None:
    """Those of plain routes are read by `wire.body.read`, which has one."""
    typed = [route for route in routes(wire) if type(route) is APIRoute]
    assert len(typed) >= 4
    assert [route.path for route in typed if route.body_field and not route.max_body_size] == []


def test_what_stands_under_v1_takes_a_key_and_all_of_it_is_described(wire: Wire) -> None:
    document = wire.ask("/openapi.json").json
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == path.startswith(("/v1/", "/api/", "/otlp/")), path
            assert operation["summary"]
            assert operation["tags"]
            assert "422" not in operation["responses"]
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/ErrorAnswer"}
    described = [route for route in routes(wire) if isinstance(route, APIRoute) and route.include_in_schema]
    assert {route.path_format for route in described} == set(document["paths"])


def test_the_document_names_the_models_and_places_of_this_server(wire: Wire) -> None:
    document = wire.ask("/openapi.json").json
    models, places = sorted(wire.platform.shim.models), ["here", "away"]
    for body in ("ChatBody", "CompletionsBody"):
        assert sorted(document["components"]["schemas"][body]["properties"]["model"]["enum"]) == models
    headers = document["paths"]["/v1/chat/completions"]["post"]["parameters"]
    assert next(header["schema"]["enum"] for header in headers if header["name"] == "x-sim-place") == places
    (model_id,) = document["paths"]["/v1/models/{model_id}"]["get"]["parameters"]
    assert sorted(model_id["schema"]["enum"]) == models
    assert "x-served" not in str(document)


CALLS = {"tools": [{"type": "function", "function": {"name": "f"}}], "max_tokens": 40, "ignore_eos": False}
CUSTOM = {**CALLS, "tools": [{"type": "custom", "custom": {"name": "f"}}]}
OLDER = {"functions": [{"name": "f"}], "max_tokens": 40, "ignore_eos": False}


@pytest.mark.parametrize(
    "more", [{}, {"logprobs": True, "top_logprobs": 2}, {"n": 2}, CALLS, CUSTOM, OLDER, {"model": GPT_OSS}]
)
@pytest.mark.parametrize("stream", [None, STREAMED, SO_FAR], ids=["whole", "stream", "usage so far"])
def test_chat_is_answered_as_described_member_for_member(wire: Wire, stream: Any, more: Any) -> None:
    reply = wire.ask(body=chat(**{"max_tokens": 3, "ignore_eos": True, **(stream or {}), **more}))
    check(ChatCompletionChunk if stream else ChatCompletion, reply.frames if stream else [reply.json])


@pytest.mark.parametrize("more", [{}, {"logprobs": 2}, {"echo": True}])
@pytest.mark.parametrize("stream", [None, STREAMED, SO_FAR], ids=["whole", "stream", "usage so far"])
def test_completions_are_answered_as_described_member_for_member(wire: Wire, stream: Any, more: Any) -> None:
    reply = wire.ask("/v1/completions", {"model": LLAMA, "prompt": "hello", **(stream or {}), **more})
    check(CompletionChunk if stream else Completion, reply.frames if stream else [reply.json])


def check(kind: type[BaseModel], said: list[Any]) -> None:
    assert said
    for one in said:
        kind.model_validate(one, strict=True, extra="forbid")


def test_the_headers_of_an_answer_are_described(make: MakeWire) -> None:
    limits = {"requests_per_minute": 9, "tokens_per_minute": 9999}
    headers = make(scenario(limits=limits)).ask(body=chat()).headers
    assert set(headers) - {"content-type", "content-length"} == set(ANSWER_HEADERS)


def test_what_can_be_read_can_be_asked_about(wire: Wire) -> None:
    """Load balancers ask so whether a server is up."""
    for path in ("/health", "/v1/models", "/openapi.json", "/docs"):
        assert wire.ask(path, method="HEAD").status == 200, path
    assert wire.ask("/v1/models", method="HEAD", key=None).status == 401
    assert wire.ask("/v1/chat/completions", method="HEAD").status == 405


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/chat/completions", "POST"),
        ("/v1/files", "GET, HEAD, POST"),
        ("/v1/files/file-1", "DELETE, GET, HEAD, POST"),
        ("/v1/responses/resp_1", "DELETE, GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(wire: Wire, path: str, allowed: str) -> None:
    reply = wire.ask(path, method="PATCH")
    assert (reply.status, reply.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "/v1/files?limit=x",
            None,
            "Invalid type for 'limit': Input should be a valid integer, but got a string instead.",
        ),
        (
            "/v1/conversations",
            [],
            "Invalid type for the JSON body: Input should be an object, but got an array instead.",
        ),
    ],
)
def test_a_wrong_type_is_refused_in_few_words(wire: Wire, path: str, body: Any, message: str) -> None:
    json_body = {"content-type": "application/json"}
    assert wire.ask(path, body, headers=json_body).error["message"] == message


# A group of endpoints as somebody would add it: a router, and its place in the table.


class Note(Body):
    text: str = Field(max_length=5)


class Noted(BaseModel):
    text: str
    models: int


notes = api_router("notes", prefix="/v1")


@notes.post("/notes", summary="Take a note", max_body_size=1000)
async def take_note(note: Note, shim: TheShim, times: Annotated[int, Query(ge=1)] = 1) -> Noted:
    if note.text == "tea":
        raise HTTPException(418, "no coffee here")
    return Noted(text=note.text * times, models=len(shim.models))


@pytest.fixture
def extended(make: MakeWire, monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(application, "GROUPS", [*application.GROUPS, SimpleNamespace(router=notes)])
    return make()


def test_a_group_is_a_router_and_a_line_in_the_table(extended: Wire) -> None:
    reply = extended.ask("/v1/notes", {"text": "ab"}, headers=JSON)
    assert reply.json == {"text": "ab", "models": 2}
    assert reply.headers["x-request-id"].startswith("req_")
    assert extended.ask("/v1/notes", {"text": "ab"}, headers=JSON, key=None).status == 401
    operation = extended.ask("/openapi.json").json["paths"]["/v1/notes"]["post"]
    assert operation["security"] == [{"HTTPBearer": []}]


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("query", "body", "status", "code", "param", "words"),
    [
        ("", {"text": "abcdef"}, 400, "string_above_max_length", "text", "Expected a length of max 5"),
        ("", {"text": 5}, 400, "invalid_type", "text", "but got an integer"),
        ("", {}, 400, "missing_required_parameter", "text", "Missing required parameter: 'text'."),
        ("", None, 400, "missing_required_parameter", None, "Missing request body."),
        ("", b'{"text": ', 400, None, None, "could not parse the JSON"),
        ("times=0", {"text": "a"}, 400, "integer_below_min_value", "times", "Expected a value >= 1"),
        ("times=x", {"text": "a"}, 400, "invalid_type", "times", "but got a string"),
        ("", {"text": "x" * 2000}, 413, None, None, ""),
        ("", {"text": "tea"}, 418, None, None, "no coffee here"),
    ],
)
def test_whatever_the_framework_refuses_has_openais_four_keys(
    extended: Wire, query: str, body: Any, status: int, code: str | None, param: str | None, words: str
) -> None:
    reply = extended.ask(f"/v1/notes?{query}", body, method="POST", headers=JSON)
    assert reply.status == status, reply.body
    assert (reply.error["code"], reply.error["param"]) == (code, param)
    assert words in reply.error["message"]
    assert reply.headers["x-request-id"].startswith("req_")


def test_a_wrong_method_and_an_unknown_path_have_them_too(extended: Wire) -> None:
    assert extended.ask("/v1/notes").error["code"] == "method_not_allowed"
    assert extended.ask("/v1/notes/").error["code"] == "unknown_url"
