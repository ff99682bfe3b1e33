"""Everything that is refused: status, the four keys, the parameter named; and what limits tell."""

import json
from typing import Any

import pytest
from starlette.types import Message

from api_shim.settings import ServerSettings
from api_shim.testing.asgi_transport import Conversation
from tests.support.live import LLAMA, MS, MakeWire, Scripted, Wire, chat, scenario

IMAGE = [{"type": "image_url", "image_url": {"url": "http://example.com/a.png"}}]
TOOL = {"type": "function", "function": {"name": "f"}}


def tool(parameters: Any) -> Any:
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


def named(name: str) -> Any:
    return {"type": "function", "function": {"name": name}}


def form(schema: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": []}, "messages", "array_below_min_length"),
        ({"messages": None}, "messages", "invalid_type"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0]", "invalid_value"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": IMAGE}]}, "messages[0].content[0]", "invalid_value"),
        (
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]},
            "messages[0].tool_call_id",
            "invalid_value",
        ),
        ({"model": 5}, "model", "invalid_type"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"n": True}, "n", "invalid_type"),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"temperature": -1}, "temperature", "decimal_below_min_value"),
        ({"top_p": 1.1}, "top_p", "decimal_above_max_value"),
        ({"frequency_penalty": -3}, "frequency_penalty", "decimal_below_min_value"),
        ({"presence_penalty": 3}, "presence_penalty", "decimal_above_max_value"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_completion_tokens": 0}, "max_completion_tokens", "integer_below_min_value"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length"),
        ({"stop": [1]}, "stop[0]", "invalid_type"),
        ({"stop": ""}, "stop[0]", "string_below_min_length"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"seed": 2**63}, "seed", "integer_above_max_value"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort", "invalid_value"),
        ({"metadata": {"k" * 65: "v"}}, "metadata." + "k" * 65, "string_above_max_length"),
        ({"metadata": {str(i): "" for i in range(17)}}, "metadata", "array_above_max_length"),
        ({"response_format": {"type": "json"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "invalid_value"),
        ({"response_format": form({"$ref": "#"})}, "response_format.json_schema.schema", "invalid_schema"),
        (
            {"tools": [tool({"properties": {"a": {"type": "text"}}})]},
            "tools[0].function.parameters",
            "invalid_function_parameters",
        ),
        ({"tool_choice": "auto2", "tools": [TOOL]}, "tool_choice", "invalid_value"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"tool_choice": named("g"), "tools": [TOOL]}, "tool_choice", "invalid_value"),
        (
            {"tool_choice": {"type": "function"}, "tools": [TOOL]},
            "tool_choice.function",
            "invalid_value",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "invalid_value",
        ),
    ],
)
def test_a_bad_field_answers_400_and_is_named(
    wire: Wire, fields: dict[str, Any], param: str, code: str
) -> None:
    reply = wire.ask(body=chat() | fields)
    assert reply.status == 400
    assert (reply.error["type"], reply.error["param"], reply.error["code"]) == (
        "invalid_request_error",
        param,
        code,
    )
    assert "x-request-id" in reply.headers
    assert "openai-processing-ms" in reply.headers


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"model": NaN}', b"[" * 100_000]
)
def test_a_malformed_body_answers_400(wire: Wire, body: bytes) -> None:
    reply = wire.ask(body=body)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"


def test_a_body_that_is_no_object_is_told_by_its_kind(wire: Wire) -> None:
    told = wire.ask(body=b"[]").error["message"]
    assert told.startswith("Invalid type for the JSON body: ")
    assert told.endswith("but got an array instead.")


def test_a_lone_surrogate_is_no_text(wire: Wire) -> None:
    body = b'{"model": "%s", "messages": [{"role": "user", "content": "\\ud800"}]}' % LLAMA.encode()
    assert wire.ask(body=body).status == 400


def test_the_unnecessary_is_not_said_about_a_missing_field(wire: Wire) -> None:
    assert wire.ask(body={"messages": []}).error == {
        "message": "Missing required parameter: 'model'.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "missing_required_parameter",
    }


def test_an_unknown_model_answers_404(wire: Wire) -> None:
    reply = wire.ask(body=chat(model="gpt-99"))
    assert reply.status == 404
    assert (reply.error["param"], reply.error["code"]) == ("model", "model_not_found")


def test_an_unknown_url_answers_404_and_a_wrong_method_405(wire: Wire) -> None:
    reply = wire.ask("/v1/chat/nonsense", {})
    assert (reply.status, reply.error["code"]) == (404, "unknown_url")
    reply = wire.ask("/v1/chat/completions")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert reply.error["type"] == "invalid_request_error"


@pytest.mark.parametrize(("key", "code"), [(None, None), ("", None)])
def test_without_a_key_the_body_is_not_even_read(wire: Wire, key: str | None, code: str | None) -> None:
    wire.key = key
    reply = wire.ask(body=b"{ not json", key=key or None)
    assert reply.status == 401
    assert reply.error["code"] == code


def test_keys_that_the_scenario_states_are_the_only_ones(make: MakeWire) -> None:
    keys = {"sk-acme": {"project": "acme", "place": "away"}, "sk-other": {}}
    wire = make(scenario(serve={"keys": keys}))
    assert wire.ask(body=chat(max_tokens=1), key="sk-acme").headers["x-sim-place"] == "away"
    reply = wire.ask(body=chat(max_tokens=1), key="sk-acme2")
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    assert "sk-acme2" not in reply.body.decode()


def test_without_auth_nobody_needs_a_key(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(need_key=False))
    assert wire.ask(body=chat(max_tokens=1), key=None).status == 200


def test_an_unknown_place_answers_400_with_the_nearest(wire: Wire) -> None:
    reply = wire.ask(body=chat(), headers={"x-sim-place": "awya"})
    assert reply.status == 400
    assert "did you mean 'away'?" in reply.error["message"]


def test_an_oversized_body_answers_413_whether_announced_or_not(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(body_limit_bytes=1000))
    announced = {"content-length": "1001"}
    assert wire.ask(body=chat(), headers=announced).status == 413
    reply = wire.ask(body=chat("x" * 1000))
    assert reply.status == 413
    assert reply.error["code"] == "request_too_large"


def test_a_request_beyond_the_context_answers_400_after_a_trip_to_the_gateway(wire: Wire) -> None:
    reply = wire.ask(body=chat(max_tokens=1990), headers={"x-sim-place": "away"})
    assert reply.status == 400
    assert reply.ended_ps == (20 + 10 + 10) * MS
    assert (reply.error["param"], reply.error["code"]) == ("messages", "context_length_exceeded")
    assert "maximum context length is 2000 tokens" in reply.error["message"]
    assert wire.platform.world.platform.records.labels.vocabulary()["outcome"] == ["rejected_context"]


def test_a_huge_cap_costs_nothing_to_refuse(wire: Wire) -> None:
    assert wire.ask(body=chat(max_tokens=10**15)).error["code"] == "context_length_exceeded"


TWO_A_MINUTE = {"requests_per_minute": 2, "tokens_per_minute": 1000}


def test_limits_are_told_on_every_reply_that_concerns_a_model(make: MakeWire) -> None:
    """A prompt of 11 and a cap of 89 reserve 100 of 1,000 tokens, which refill in 6 s; a request in 30 s."""
    wire = make(scenario(limits=TWO_A_MINUTE))
    headers = wire.ask(body=chat(max_tokens=89)).headers
    limits = {name: value for name, value in headers.items() if name.startswith("x-ratelimit-")}
    assert limits == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-requests": "30s",
        "x-ratelimit-reset-tokens": "6s",
    }


def test_the_third_request_is_refused_with_the_exact_wait(make: MakeWire) -> None:
    """Two requests of 21 ms are gone at 42 ms; the bucket refills one in 30 s, counted from the start."""
    wire = make(scenario(limits=TWO_A_MINUTE))
    for _ in range(2):
        assert wire.ask(body=chat(max_tokens=2)).status == 200
    reply = wire.ask(body=chat(max_tokens=2))
    assert reply.status == 429
    assert (reply.error["type"], reply.error["code"]) == ("requests", "rate_limit_exceeded")
    assert reply.headers["retry-after-ms"] == str(30_000 - 42)
    assert reply.headers["retry-after"] == "30"
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"
    assert "Please try again in 29.958s." in reply.error["message"]
    assert f"for {LLAMA}" in reply.error["message"]


def test_a_client_that_waits_as_told_is_let_in(make: MakeWire) -> None:
    import asyncio

    wire = make(scenario(limits=TWO_A_MINUTE))

    async def obey() -> list[int]:
        replies = [await wire.send("/v1/chat/completions", chat(max_tokens=2)) for _ in range(3)]
        await asyncio.sleep(int(replies[-1].headers["retry-after-ms"]) / 1000)
        replies.append(await wire.send("/v1/chat/completions", chat(max_tokens=2)))
        return [reply.status for reply in replies]

    assert wire.platform.run(obey()) == [200, 200, 429, 200]


def test_a_request_larger_than_the_limit_is_told_not_to_retry(make: MakeWire) -> None:
    wire = make(scenario(limits=TWO_A_MINUTE))
    reply = wire.ask(body=chat(max_tokens=990))
    assert (reply.status, reply.error["type"]) == (429, "tokens")
    assert reply.error["message"].startswith("Request too large")
    assert "retry-after" not in reply.headers
    assert reply.headers["x-should-retry"] == "false"


def test_every_key_is_a_project_with_limits_of_its_own(make: MakeWire) -> None:
    wire = make(scenario(limits=TWO_A_MINUTE))
    for key in ("sk-a", "sk-b"):
        statuses = [wire.ask(body=chat(max_tokens=1), key=key).status for _ in range(3)]
        assert statuses == [200, 200, 429]


def test_a_stream_that_is_refused_gets_a_real_status(make: MakeWire) -> None:
    wire = make(scenario(limits=TWO_A_MINUTE))
    for _ in range(2):
        wire.ask(body=chat(max_tokens=2))
    reply = wire.ask(body=chat(stream=True))
    assert reply.status == 429
    assert reply.error["type"] == "requests"


def test_a_client_that_leaves_while_it_sends_is_nobodys_fault(wire: Wire) -> None:
    reply = wire.ask(body=chat(), leave_in_body=True)
    assert (reply.status, reply.body) == (0, b"")
    assert wire.platform.world.platform.inside == {}


def test_a_crash_answers_500_with_an_error_object_and_is_not_swallowed(make: MakeWire) -> None:
    platform = make(content=Scripted([])).platform
    body = json.dumps(chat()).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": [(b"authorization", b"Bearer k")],
    }

    async def story() -> tuple[Message, bytes | None]:
        conversation = Conversation(platform.app, scope, body)
        answer = await conversation.head(), await conversation.chunk()
        with pytest.raises(IndexError):
            await conversation.outcome()
        return answer

    head, text = platform.run(story())
    assert head["status"] == 500
    assert any(name == b"x-request-id" for name, _ in head["headers"])
    assert json.loads(text or b"")["error"]["type"] == "server_error"


def test_keys_of_two_sources_of_one_tenant_share_its_limits(make: MakeWire) -> None:
    """As they do in a run: two requests a minute for both together."""
    spec = scenario(limits=TWO_A_MINUTE)
    twin = spec.traffic["chat"]
    spec = spec.model_copy(update={"traffic": {"chat": twin, "other": twin}})
    wire = make(spec)
    keys = ["sk-chat", "sk-other", "sk-chat"]
    assert [wire.ask(body=chat(max_tokens=1), key=key).status for key in keys] == [200, 200, 429]
