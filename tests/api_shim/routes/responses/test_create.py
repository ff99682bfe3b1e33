"""`POST /v1/responses` in one piece: what it answers, costs, remembers and refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it comes without types

from api_shim.content.own_words import Synthetic
from api_shim.content.plan import ContentAsk, ContentPlan
from api_shim.settings import ServerSettings
from api_shim.store.store import Store
from api_shim.wire.responses.body import ResponseBody
from api_shim.wire.responses.objects import ResponseObject
from tests.support.live import GPT_OSS, LLAMA, MS, MakeWire, Wire, chat, scenario
from tests.support.responding import WEATHER, asked, calls_of, events_of, made, respond, result, text_of, tool

FORM = {"format": {"type": "json_schema", "name": "weather", "schema": WEATHER, "strict": True}}
IMAGE = {"type": "input_image", "image_url": "https://example.org/a.png"}
SEALED = ["reasoning.encrypted_content"]


def test_a_text_is_answered_in_the_time_and_with_the_usage_of_a_chat(wire: Wire) -> None:
    """11 tokens of prompt at 1 ms each, and 4 more tokens of 10 ms."""
    reply = respond(wire)
    assert reply.status == 200
    assert reply.ended_ps == (11 + 40) * MS
    assert reply.headers["x-sim-ended-ps"] == str(51 * MS)
    response = reply.json
    ResponseObject.model_validate(response, strict=True, extra="forbid")
    assert response["status"] == "completed"
    (message,) = response["output"]
    assert message["content"][0]["text"] == wire.ask(body=chat()).json["choices"][0]["message"]["content"]
    usage = response["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (11, 5, 16)


def test_what_was_asked_comes_back_with_openais_defaults(wire: Wire) -> None:
    response = made(wire)
    expected = {
        "object": "response", "background": False, "error": None, "incomplete_details": None,
        "instructions": None, "max_output_tokens": None, "max_tool_calls": None, "model": LLAMA,
        "parallel_tool_calls": True, "previous_response_id": None, "conversation": None,
        "service_tier": "default", "store": True, "temperature": 1.0, "tool_choice": "auto", "tools": [],
        "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": None, "metadata": {},
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "reasoning": {"effort": None, "summary": None},
    }  # fmt: skip
    assert {name: response[name] for name in expected} == expected
    fields = {
        "instructions": "be <b>brief</b>", "max_output_tokens": 100, "metadata": {"a": "'; DROP TABLE"},
        "temperature": 0.5, "user": "me", "safety_identifier": "s", "prompt_cache_key": "k",
        "store": False, "truncation": "auto", "parallel_tool_calls": False, "max_tool_calls": 2,
    }  # fmt: skip
    response = made(wire, **fields)
    assert {name: response[name] for name in fields} == fields


def test_every_null_means_absent(wire: Wire) -> None:
    """As 8080's own client sends all its fields."""
    ours = {"model", "input", "log", "template", "inputs", "priority"}
    names = ResponseBody.model_fields.keys() - ours
    assert len(names) == 25
    assert made(wire, **dict.fromkeys(names))["status"] == "completed"


def test_8080s_own_client_gets_the_choice_as_an_object(wire: Wire) -> None:
    agent = {"user-agent": "python-httpx/0.28.1"}
    reply = wire.ask("/v1/responses", asked(), headers=agent).json
    assert reply["tool_choice"] == {"type": "string", "value": "auto"}
    assert wire.ask(f"/v1/responses/{reply['id']}").json["tool_choice"] == "auto"
    assert b'"usage":{"input_tokens":0' in wire.ask("/v1/responses", asked(stream=True), headers=agent).body


CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Turin"}'}
DIALOGUES: list[tuple[list[Any], list[Any]]] = [
    ([{"role": "user", "content": "hi"}], [{"role": "user", "content": "hi"}]),
    (
        [
            {"role": "developer", "content": [{"type": "input_text", "text": "brief"}]},
            {"type": "message", "role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "yes", "annotations": []}]},
            {"role": "user", "content": "why?"},
        ],
        [
            {"role": "developer", "content": "brief"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "why?"},
        ],
    ),
    (
        [
            {"role": "user", "content": "weather"},
            CALL,
            {**CALL, "call_id": "call_2"},
            result({"call_id": "call_1"}, "rain"),
            result({"call_id": "call_2"}, [{"type": "input_text", "text": "sun"}]),
        ],
        [
            {"role": "user", "content": "weather"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": f"call_{i}",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city": "Turin"}'},
                    }
                    for i in (1, 2)
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            {"role": "tool", "tool_call_id": "call_2", "content": "sun"},
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("items", "messages"), DIALOGUES)
def test_a_conversation_costs_the_same_as_items_and_as_messages(
    wire: Wire, items: list[Any], messages: list[Any]
) -> None:
    response = made(wire, items)
    completion = wire.ask(body={"model": LLAMA, "messages": messages}).json
    assert response["usage"]["input_tokens"] == completion["usage"]["prompt_tokens"]
    assert text_of(response) == completion["choices"][0]["message"]["content"]


def test_instructions_are_a_message_of_the_system(wire: Wire) -> None:
    alone = made(wire)["usage"]["input_tokens"]
    assert made(wire, instructions="be brief")["usage"]["input_tokens"] == alone + 5 + 2


def test_earlier_turns_are_read_again_but_not_their_instructions(wire: Wire) -> None:
    first = made(wire, "hello", instructions="be brief")
    second = made(wire, "hello", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    assert second["instructions"] is None
    """Two messages more: "hello" with 6 tokens, and the answer of 5 tokens with 10."""
    assert second["usage"]["input_tokens"] == 11 + 6 + 10
    third = made(wire, "hello", previous_response_id=second["id"])
    assert third["usage"]["input_tokens"] == 11 + 2 * 16


def test_a_loop_of_calls_ends_over_previous_responses_alone(wire: Wire) -> None:
    tools = [tool("get_weather")]
    first = made(wire, "what is the weather?", tools=tools)
    (call,) = calls_of(first)
    assert call["id"] != call["call_id"]
    Draft202012Validator(WEATHER).validate(json.loads(call["arguments"]))
    second = made(wire, [result(call)], previous_response_id=first["id"], tools=tools)
    assert calls_of(second) == []
    assert text_of(second)
    again = made(wire, "and now?", previous_response_id=second["id"], tools=tools)
    assert len(calls_of(again)) == 1


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["get_time", "get_weather"]),
        ({"parallel_tool_calls": False}, ["get_time"]),
        ({"max_tool_calls": 1}, ["get_time"]),
        ({"tool_choice": "none"}, []),
        ({"tool_choice": {"type": "function", "name": "get_weather"}}, ["get_weather"]),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "get_weather"}],
                }
            },
            ["get_weather"],
        ),
    ],
)
def test_which_functions_are_called(wire: Wire, fields: Any, names: list[str]) -> None:
    tools = [tool("get_weather"), tool("get_time")]
    response = made(wire, "get time, then get weather", tools=tools, **fields)
    assert [call["name"] for call in calls_of(response)] == names


def test_json_satisfies_the_form(wire: Wire) -> None:
    response = made(wire, text=FORM)
    Draft202012Validator(WEATHER).validate(json.loads(text_of(response)))
    assert response["text"]["format"] == {**FORM["format"], "description": None}
    assert isinstance(json.loads(text_of(made(wire, text={"format": {"type": "json_object"}}))), dict)


@pytest.mark.parametrize(("verbosity", "tokens"), [("low", 16), ("medium", 32), ("high", 64)])
def test_verbosity_is_a_factor_on_the_length(make: MakeWire, verbosity: str, tokens: int) -> None:
    wire = make(scenario(serve={"output": {"kind": "fixed", "tokens": 32}}))
    assert made(wire, text={"verbosity": verbosity})["usage"]["output_tokens"] == tokens


def test_reasoning_is_an_item_of_its_own_before_the_message(wire: Wire) -> None:
    """5 tokens at medium effort, 12 at high: 10 of them reasoning."""
    response = made(wire, model=GPT_OSS, reasoning={"effort": "high"}, include=SEALED)
    reasoning, message = response["output"]
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"]
    assert reasoning["summary"] == []
    assert response["reasoning"]["effort"] == "high"
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] == 10
    assert response["usage"]["output_tokens"] == 12
    count = wire.platform.shim.model(GPT_OSS).vocabulary.count
    assert count(reasoning["content"][0]["text"]) == 10
    assert message["content"][0]["text"]


def test_reasoning_is_read_again_until_the_user_speaks_and_sealed_reasoning_counts_like_it(
    wire: Wire,
) -> None:
    first = made(wire, "weather", model=GPT_OSS, tools=[tool("get_weather")], include=SEALED)
    reasoning, call = first["output"]
    sealed = {name: value for name, value in reasoning.items() if name != "content"}

    def tokens(*items: Any) -> int:
        said = [{"role": "user", "content": "weather"}, *items]
        count: int = made(wire, said, model=GPT_OSS)["usage"]["input_tokens"]
        return count

    without = tokens(call, result(call))
    thought = first["usage"]["output_tokens_details"]["reasoning_tokens"]
    assert tokens(reasoning, call, result(call)) == without + thought
    assert tokens(sealed, call, result(call)) == without + thought
    """"and?" of 2 tokens is a message of 4 more."""
    user = {"role": "user", "content": "and?"}
    assert tokens(reasoning, call, result(call), user) == tokens(call, result(call), user)
    assert tokens(call, result(call), user) == without + 4 + 2


def test_a_cap_makes_a_response_incomplete(wire: Wire) -> None:
    reply = wire.ask("/v1/responses", asked(max_output_tokens=16), headers={"x-sim-output-tokens": "40"})
    response = reply.json
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["completed_at"] is None
    assert response["output"][0]["status"] == "incomplete"
    assert response["usage"]["output_tokens"] == 16
    reply = wire.ask(
        "/v1/responses",
        asked(model=GPT_OSS, max_output_tokens=16, reasoning={"effort": "max"}),
        headers={"x-sim-output-tokens": "400"},
    )
    assert [item["type"] for item in reply.json["output"]] == ["reasoning"]


def test_log_probabilities_come_where_they_are_asked_for(wire: Wire) -> None:
    response = made(wire, include=["message.output_text.logprobs"], top_logprobs=2)
    (part,) = response["output"][0]["content"]
    assert len(part["logprobs"]) == 5
    assert "".join(entry["token"] for entry in part["logprobs"]) == part["text"]
    assert {len(entry["top_logprobs"]) for entry in part["logprobs"]} == {2}
    assert made(wire, top_logprobs=2)["output"][0]["content"][0]["logprobs"] == []


LONG = " ".join(["word"] * 900)


def test_too_long_a_conversation_is_refused_or_loses_its_oldest_messages(wire: Wire) -> None:
    """The context holds 2,000 tokens, of which `auto` leaves 512 for the answer."""
    said = [
        {"role": "user", "content": LONG},
        {"role": "assistant", "content": LONG},
        {"role": "user", "content": "hi"},
    ]
    refused = respond(wire, [*said, {"role": "user", "content": LONG}])
    assert (refused.status, refused.error["code"]) == (400, "context_length_exceeded")
    assert refused.error["param"] == "input"
    kept = made(wire, said, truncation="auto", instructions="be brief")
    short = made(wire, said[1:], instructions="be brief")
    assert kept["usage"]["input_tokens"] == short["usage"]["input_tokens"]
    assert made(wire, LONG, truncation="auto")["usage"]["input_tokens"] == 910
    assert respond(wire, said, truncation="auto", max_output_tokens=1999).status == 400


def test_the_result_of_a_call_that_was_cut_off_goes_with_it(wire: Wire) -> None:
    call = {**CALL, "arguments": json.dumps({"city": LONG})}
    said = [
        call,
        {"type": "function_call_output", "call_id": "call_1", "output": LONG},
        {"role": "user", "content": "hi"},
    ]
    assert made(wire, said, truncation="auto")["usage"]["input_tokens"] == 11


def test_items_that_were_stored_can_be_referred_to(wire: Wire) -> None:
    first = made(wire, "weather", tools=[tool("get_weather")])
    (call,) = calls_of(first)
    (asked_item,) = wire.ask(f"/v1/responses/{first['id']}/input_items").json["data"]
    by_reference = made(
        wire, [{"type": "item_reference", "id": asked_item["id"]}, {"id": call["id"]}, result(call)]
    )
    in_full = made(wire, [{"role": "user", "content": "weather"}, call, result(call)])
    assert by_reference["usage"]["input_tokens"] == in_full["usage"]["input_tokens"]
    for unknown in ("msg_1", "fc_00000000000000000099o0", call["id"] + "0"):
        reply = respond(wire, [{"type": "item_reference", "id": unknown}])
        assert (reply.status, reply.error["param"]) == (404, "input")
    assert respond(wire, [{"id": call["id"]}], key="sk-other").status == 404


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"input": [{"type": "computer_call"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [IMAGE]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": "y"}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": "x"}] * 2049}, "input"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"max_tool_calls": 0}, "max_tool_calls"),
        ({"temperature": 3}, "temperature"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [tool("f", {"type": "object", "required": "x"})]}, "tools[0].parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [tool("f")], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"text": {"format": {**FORM["format"], "schema": {"not": {}}}}}, "text.format.schema"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True, "store": False}, "store"),
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"include": ["everything"]}, "include[0]"),
        ({"inputs": {}}, "inputs"),
        ({"truncation": "middle"}, "truncation"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_parameter(wire: Wire, fields: Any, param: str) -> None:
    reply = wire.ask("/v1/responses", {**asked(), **fields})
    assert reply.status == 400, reply.body
    assert reply.error["param"] == param
    assert reply.error["type"] == "invalid_request_error"


def test_a_deleted_turn_breaks_the_chain_unless_it_may_be_cut(wire: Wire) -> None:
    first = made(wire)
    second = made(wire, previous_response_id=first["id"])
    assert wire.ask(f"/v1/responses/{first['id']}", method="DELETE").status == 200
    refused = respond(wire, previous_response_id=second["id"])
    assert (refused.status, refused.error["code"]) == (400, "previous_response_not_found")
    assert first["id"] in refused.error["message"]
    cut = made(wire, previous_response_id=second["id"], truncation="auto")
    assert cut["usage"]["input_tokens"] == 27


def test_limits_refuse_responses_like_chats(make: MakeWire) -> None:
    wire = make(scenario(limits={"requests_per_minute": 1, "tokens_per_minute": 100_000}))
    assert respond(wire).status == 200
    refused = respond(wire)
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert refused.headers["retry-after"] == "60"


def test_a_full_disk_answers_507_and_nothing_is_acknowledged(make: MakeWire, monkeypatch: Any) -> None:
    from api_shim.store.full_disk import StorageFullError

    wire = make()

    async def full(_write: Any, **_options: Any) -> None:
        raise StorageFullError

    monkeypatch.setattr(wire.platform.shim.writes, "write", full)
    reply = respond(wire)
    assert (reply.status, reply.error["code"]) == (507, "storage_full")
    assert respond(wire, background=True).status == 507
    last = events_of(respond(wire, stream=True))[-1]
    assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "server_error")
    assert respond(wire, store=False).status == 200


def test_a_stored_response_is_there_for_the_next_server(make: MakeWire, tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    wire = make(store=store)
    first = made(wire)
    store.close()
    store = Store(tmp_path / "state")
    wire = make(store=store, settings=ServerSettings(instance="00000001"))
    assert wire.ask(f"/v1/responses/{first['id']}").json == first
    store.close()


def test_who_supplies_the_words_is_offered_what_tool_choice_leaves(make: MakeWire) -> None:
    """As for a chat, whose words may come from another server."""
    offered: list[list[str]] = []

    class Noting(Synthetic):
        async def plan(self, ask: ContentAsk) -> ContentPlan:
            assert ask.as_chat is not None
            offered.append([tool["function"]["name"] for tool in ask.as_chat()["tools"]])
            return await super().plan(ask)

    wire = make(content=Noting())
    only = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    response = made(wire, tools=[tool("f"), tool("g")], tool_choice=only)
    assert offered == [["g"]]
    assert [call["name"] for call in calls_of(response)] == ["g"]
    assert response["tool_choice"] == only
