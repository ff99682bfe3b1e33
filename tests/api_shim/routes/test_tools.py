"""Calls of the client's functions, JSON of its form, and reasoning: as clients see them, in virtual time."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it comes without types

from api_shim.content.own_words import Echo
from api_shim.content.replay import Replay
from api_shim.content.upstream import Upstream
from api_shim.settings import ServerSettings
from tests.support.live import GPT_OSS, LLAMA, MS, MakeWire, Reply, Wire, chat, scenario

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": WEATHER}}
LEAD = '{"name": "get_weather", "parameters": '


def tool(name: str, parameters: Any = WEATHER) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def named(name: str) -> Any:
    return {"type": "function", "function": {"name": name}}


def calls_of(reply: Reply) -> list[tuple[str, Any]]:
    message = reply.json["choices"][0]["message"]
    return [
        (c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls", [])
    ]


def names(reply: Reply) -> list[str]:
    return [name for name, _ in calls_of(reply)]


def answered(reply: Reply, body: Any, result: str = "fine") -> Any:
    """The body with the calls of the reply and their results, as loops of clients send it."""
    message = reply.json["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": result} for call in message["tool_calls"]
    ]
    return {**body, "messages": [*body["messages"], message, *results]}


def test_a_call_has_the_shape_that_clients_read_and_arguments_that_are_valid(wire: Wire) -> None:
    reply = wire.ask(body=chat(tools=[tool("get_weather")]))
    (choice,) = reply.json["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert call.keys() == {"id", "type", "function"}
    assert call["id"].startswith("call_")
    assert call["type"] == "function"
    assert call["function"]["name"] == "get_weather"
    Draft202012Validator(WEATHER).validate(json.loads(call["function"]["arguments"]))


def test_a_call_costs_the_tokens_that_name_it_and_those_of_its_arguments_in_usage_and_time(
    wire: Wire,
) -> None:
    """A token of prompt takes 1 ms and each further one of output 10 ms."""
    reply = wire.ask(body=chat(tools=[tool("get_weather")]))
    count = wire.platform.shim.model(LLAMA).vocabulary.count
    (call,) = reply.json["choices"][0]["message"]["tool_calls"]
    expected = count(LEAD) + count(call["function"]["arguments"])
    usage = reply.json["usage"]
    assert usage["completion_tokens"] == expected
    assert reply.ended_ps == (usage["prompt_tokens"] + 10 * (expected - 1)) * MS


def test_a_loop_of_a_client_ends_in_text_after_the_result(wire: Wire) -> None:
    body = chat("What is the weather?", tools=[tool("get_weather")])
    first = wire.ask(body=body)
    second = wire.ask(body=answered(first, body))
    assert names(first) == ["get_weather"]
    assert second.json["choices"][0]["finish_reason"] == "stop"
    assert second.json["choices"][0]["message"]["content"]
    assert second.json["usage"]["prompt_tokens"] > first.json["usage"]["prompt_tokens"]
    again = answered(first, body)
    again["messages"].append({"role": "user", "content": "And tomorrow?"})
    assert names(wire.ask(body=again)) == ["get_weather"]


@pytest.mark.parametrize(
    ("said", "fields", "expected"),
    [
        ("hello", {}, ["get_weather"]),
        ("please get_time", {}, ["get_time"]),
        ("Get time, then get weather", {}, ["get_time", "get_weather"]),
        ("Get time, then get weather", {"parallel_tool_calls": False}, ["get_time"]),
        ("get_times", {}, ["get_weather"]),
        ("get_time", {"tool_choice": "none"}, []),
        ("hello", {"tool_choice": "required"}, ["get_weather"]),
        ("get_weather", {"tool_choice": named("get_time")}, ["get_time"]),
    ],
)
def test_the_functions_that_the_user_names_are_called_or_else_the_first(
    wire: Wire, said: str, fields: Any, expected: list[str]
) -> None:
    assert (
        names(wire.ask(body=chat(said, tools=[tool("get_weather"), tool("get_time")], **fields))) == expected
    )


def test_where_a_call_is_demanded_after_a_result_the_functions_that_have_not_answered_come_first(
    wire: Wire,
) -> None:
    """So that frameworks which take their answer as a call get one."""
    body = chat(tools=[tool("get_weather"), tool("final_result")], tool_choice="required")
    first = wire.ask(body=body)
    assert names(first) == ["get_weather"]
    body = answered(first, body)
    second = wire.ask(body=body)
    assert names(second) == ["final_result"]
    assert names(wire.ask(body=answered(second, body))) == ["final_result"]


def streamed(reply: Reply) -> list[dict[str, str]]:
    """The calls as clients put them together: by index, id and name once, arguments joined."""
    calls: list[dict[str, str]] = []
    for frame in reply.frames:
        for delta in (frame["choices"] or [{"delta": {}}])[0]["delta"].get("tool_calls", []):
            if "id" in delta:
                assert delta["index"] == len(calls)
                calls.append({"id": delta["id"], "name": delta["function"]["name"], "arguments": ""})
            assert "name" not in delta["function"] or "id" in delta
            calls[delta["index"]]["arguments"] += delta["function"]["arguments"]
    return calls


@pytest.mark.parametrize("chunks", ["per_token", "coalesced"])
def test_streamed_calls_put_together_equal_those_of_the_whole_answer(make: MakeWire, chunks: Any) -> None:
    wire = make(settings=ServerSettings(stream_chunks=chunks, flush_ms=25.0))
    body = chat("get time and get weather", tools=[tool("get_weather"), tool("get_time")])
    whole = wire.ask(body=body)
    reply = wire.ask(body={**body, "stream": True, "stream_options": {"include_usage": True}})
    found = streamed(reply)
    assert [(call["name"], json.loads(call["arguments"])) for call in found] == calls_of(whole)
    assert len({call["id"] for call in found}) == 2
    *_, last, usage = reply.frames
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["usage"]["completion_tokens"] == whole.json["usage"]["completion_tokens"]


def test_the_name_comes_once_its_tokens_are_made_and_the_arguments_after_it(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(stream_chunks="per_token", flush_ms=10.0))
    reply = wire.ask(body=chat(tools=[tool("get_weather")], stream=True))
    prompt = int(reply.headers["x-sim-first-ps"])
    lead = wire.platform.shim.model(LLAMA).vocabulary.count(LEAD)
    seen = [at_ps for at_ps, chunk in reply.chunks if b'"name":"get_weather"' in chunk]
    assert seen == [prompt + (lead - 1) * 10 * MS]


def test_8080s_own_sdk_gets_each_call_in_one_chunk(wire: Wire) -> None:
    body = chat("get time and get weather", tools=[tool("get_weather"), tool("get_time")], stream=True)
    reply = wire.ask(body=body, headers={"user-agent": "python-httpx/0.28.1"})
    deltas = [frame["choices"][0]["delta"] for frame in reply.frames if frame["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert [call["function"]["name"] for call in calls] == ["get_time", "get_weather"]
    for call in calls:
        Draft202012Validator(WEATHER).validate(json.loads(call["function"]["arguments"]))


def test_usage_so_far_counts_the_tokens_of_calls(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(stream_chunks="per_token", flush_ms=25.0))
    options = {"include_usage": True, "continuous_usage_stats": True}
    reply = wire.ask(body=chat(tools=[tool("get_weather")], stream=True, stream_options=options))
    counts = [frame["usage"]["completion_tokens"] for frame in reply.frames]
    assert counts == sorted(counts)
    assert counts[-2] == counts[-1]


def test_a_cap_cuts_a_call_off(wire: Wire) -> None:
    lead = wire.platform.shim.model(LLAMA).vocabulary.count(LEAD)
    body = chat(tools=[tool("get_weather")])
    cut = wire.ask(body={**body, "max_tokens": lead + 2}).json
    assert cut["choices"][0]["finish_reason"] == "length"
    (call,) = cut["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"city'
    nameless = wire.ask(body={**body, "max_tokens": lead - 1}).json["choices"][0]
    assert nameless["message"].get("tool_calls") is None
    assert nameless["finish_reason"] == "length"


def test_a_load_tool_fixes_the_length_of_calls_and_json_too(wire: Wire) -> None:
    for fields in ({"tools": [tool("get_weather")]}, {"response_format": FORM}):
        reply = wire.ask(body=chat(max_tokens=90, ignore_eos=True, **fields)).json
        assert reply["usage"]["completion_tokens"] == 90
        message = reply["choices"][0]["message"]
        text = message["content"] or message["tool_calls"][0]["function"]["arguments"]
        Draft202012Validator(WEATHER).validate(json.loads(text))


def test_json_of_a_form_is_valid_streamed_or_not(wire: Wire) -> None:
    body = chat(response_format=FORM, n=2)
    whole = wire.ask(body=body).json
    texts = [choice["message"]["content"] for choice in whole["choices"]]
    for text in texts:
        Draft202012Validator(WEATHER).validate(json.loads(text))
    count = wire.platform.shim.model(LLAMA).vocabulary.count
    assert whole["usage"]["completion_tokens"] == sum(map(count, texts))
    assert wire.ask(body={**body, "n": 1, "stream": True}).text == texts[0]


def test_json_is_as_long_as_the_scenario_says_and_fits_into_a_cap_where_it_can(wire: Wire) -> None:
    body = chat(response_format={"type": "json_object"})
    long = wire.ask(body=body, headers={"x-sim-output-tokens": "300"}).json
    assert 240 <= long["usage"]["completion_tokens"] <= 360
    capped = wire.ask(body={**body, "max_tokens": 60}, headers={"x-sim-output-tokens": "300"}).json
    assert capped["usage"]["completion_tokens"] <= 60
    for reply in (long, capped):
        assert reply["choices"][0]["finish_reason"] == "stop"
        assert isinstance(json.loads(reply["choices"][0]["message"]["content"]), dict)
    cut = wire.ask(body={**body, "max_tokens": 3}).json
    assert cut["choices"][0]["finish_reason"] == "length"


def test_tools_first_and_then_json_of_the_form(wire: Wire) -> None:
    body = chat(tools=[tool("get_weather")], response_format=FORM)
    first = wire.ask(body=body)
    assert names(first) == ["get_weather"]
    text = wire.ask(body=answered(first, body)).json["choices"][0]["message"]["content"]
    Draft202012Validator(WEATHER).validate(json.loads(text))


def test_reasoning_is_a_part_of_the_answer_in_usage_and_time(wire: Wire) -> None:
    """Half of the scenario's length is reasoning at medium effort; the answer stays as long at any."""
    stated = {"x-sim-output-tokens": "40"}
    reply = wire.ask(body=chat(model=GPT_OSS), headers=stated).json
    count = wire.platform.shim.model(GPT_OSS).vocabulary.count
    message, usage = reply["choices"][0]["message"], reply["usage"]
    assert (count(message["reasoning"]), count(message["content"])) == (20, 20)
    assert usage["completion_tokens"] == 40
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 20


@pytest.mark.parametrize(
    ("effort", "reasoning", "total"), [("none", 0, 2), ("low", 1, 3), ("medium", 2, 5), ("high", 10, 12)]
)
def test_more_effort_takes_more_tokens_and_longer(
    wire: Wire, effort: str, reasoning: int, total: int
) -> None:
    """5 tokens are natural here at medium effort, so 2.5 times 1, 1.25, 2 and 5."""
    reply = wire.ask(body=chat(model=GPT_OSS, reasoning_effort=effort))
    usage = reply.json["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == reasoning
    assert usage["completion_tokens"] == total
    assert reply.ended_ps == (usage["prompt_tokens"] + 10 * (total - 1)) * MS


def test_reasoning_streams_before_the_answer(wire: Wire) -> None:
    body = chat(model=GPT_OSS, max_tokens=30, ignore_eos=True)
    message = wire.ask(body=body).json["choices"][0]["message"]
    frames = wire.ask(body={**body, "stream": True}).frames
    deltas = [frame["choices"][0]["delta"] for frame in frames]
    kinds = [key for delta in deltas for key in ("reasoning", "content") if delta.get(key)]
    assert kinds == sorted(kinds, reverse=True)
    for key in ("reasoning", "content"):
        assert "".join(delta.get(key, "") for delta in deltas) == message[key]


def test_a_cap_may_leave_nothing_but_reasoning(wire: Wire) -> None:
    reply = wire.ask(body=chat(model=GPT_OSS, max_tokens=3), headers={"x-sim-output-tokens": "40"}).json
    message = reply["choices"][0]["message"]
    assert message["content"] is None
    assert reply["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3
    assert reply["choices"][0]["finish_reason"] == "length"


def test_llama_takes_an_effort_and_does_not_reason(wire: Wire) -> None:
    reply = wire.ask(body=chat(reasoning_effort="high")).json
    assert "reasoning" not in reply["choices"][0]["message"]
    assert reply["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize(
    ("model", "verbosity", "total"), [(LLAMA, "low", 2), (LLAMA, "high", 10), (GPT_OSS, "high", 10)]
)
def test_verbosity_halves_or_doubles_what_is_said(wire: Wire, model: str, verbosity: str, total: int) -> None:
    """5 tokens are natural here. A length that the request states stays."""
    body = chat(model=model, verbosity=verbosity)
    assert wire.ask(body=body).json["usage"]["completion_tokens"] == total
    stated = wire.ask(body=body, headers={"x-sim-output-tokens": "7"})
    assert stated.json["usage"]["completion_tokens"] == 7
    assert wire.ask(body=chat(verbosity="loud")).error["param"] == "verbosity"


def test_an_echo_calls_only_where_a_call_is_demanded(make: MakeWire) -> None:
    wire = make(content=Echo())
    body = chat("as it is", tools=[tool("get_weather")])
    assert wire.ask(body=body).json["choices"][0]["message"]["content"] == "as it is"
    assert names(wire.ask(body={**body, "tool_choice": "required"})) == ["get_weather"]


LINES = """
{"match": "weather", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Turin"}}]}
{"match": "weather", "content": "I cannot look."}
{"after": "get_weather", "match": "remind", "tool_calls": [{"name": "set_alarm"}]}
{"after": "get_weather", "content": "It rains in Turin."}
{"content": "Hello!"}
"""


def test_a_file_says_when_and_what_is_called(make: MakeWire, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(LINES, encoding="utf-8")
    wire = make(content=Replay(file))

    def said(body: Any) -> Any:
        return wire.ask(body=body).json["choices"][0]["message"]["content"]

    tools = [tool("get_weather"), tool("set_alarm", {})]
    body = chat("the weather?", tools=tools)
    first = wire.ask(body=body)
    assert calls_of(first) == [("get_weather", {"city": "Turin"})]
    assert said(answered(first, body)) == "It rains in Turin."
    chain = chat("the weather, and remind me", tools=tools)
    assert calls_of(wire.ask(body=answered(wire.ask(body=chain), chain))) == [("set_alarm", {})]
    assert said(chat("the weather?")) == "I cannot look."
    assert said(chat("hi", tools=tools)) == "Hello!"
    assert names(wire.ask(body=chat("hi", tools=tools, tool_choice="required"))) == ["get_weather"]


def test_a_scenario_says_when_and_what_is_called(make: MakeWire) -> None:
    answers = [
        {"match": "weather", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Turin"}}]},
        {"match": "list", "tool_calls": [{"name": "shell", "arguments": "ls -l"}]},
        {"after": "get_weather", "content": "It rains in Turin."},
    ]
    wire = make(scenario(serve={"answers": answers}))
    body = chat("the weather?", tools=[tool("get_time"), tool("get_weather"), custom("shell")])
    first = wire.ask(body=body)
    assert calls_of(first) == [("get_weather", {"city": "Turin"})]
    last = wire.ask(body=answered(first, body)).json
    assert last["choices"][0]["message"]["content"] == "It rains in Turin."
    (call,) = wire.ask(body={**body, **chat("list it")}).json["choices"][0]["message"]["tool_calls"]
    assert call["custom"] == {"name": "shell", "input": "ls -l"}
    other = wire.ask(body={**body, **chat("hello")})
    assert names(other) == ["get_time"], "which no answer fits, so that it is made up"


def test_an_answer_of_a_scenario_speaks_or_calls() -> None:
    for wrong in ({}, {"content": "Hi", "tool_calls": [{"name": "f"}]}):
        with pytest.raises(ValueError, match="either `content` or `tool_calls`"):
            scenario(serve={"answers": [wrong]})


def upstream(said: Any, asked: list[Any]) -> Upstream:
    """One that is answered by `said`, and writes down what it is asked."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, json={"choices": [{"message": said}]})

    content = Upstream("http://upstream/v1", "real-model")
    content._client = httpx.AsyncClient(base_url="http://upstream/v1", transport=httpx.MockTransport(answer))
    return content


def test_tools_and_forms_are_passed_on_upstream_as_they_are_allowed(make: MakeWire) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "get_time", "arguments": '{"zone": "CET"}'}}
    stray = {"id": "d", "type": "function", "function": {"name": "get_date", "arguments": "{}"}}
    asked: list[Any] = []
    wire = make(content=upstream({"content": None, "tool_calls": [call, stray]}, asked))
    tools = [tool("get_weather"), tool("get_time")]
    choice = allowed("required", named("get_time"))
    reply = wire.ask(body=chat(tools=tools, tool_choice=choice, response_format=FORM, temperature=0.5))
    assert calls_of(reply) == [("get_time", {"zone": "CET"})]
    (body,) = asked
    assert body["model"] == "real-model"
    assert body["tools"] == [tools[1]]
    assert body["tool_choice"] == "required"
    assert body["response_format"] == FORM
    assert body["temperature"] == 0.5
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    body = chat(tools=tools, tool_choice="none")
    wire.ask(body=answered(reply, {**body, "tools": tools}))
    assert "tools" not in asked[-1]
    assert [message["role"] for message in asked[-1]["messages"]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize(
    ("fields", "said", "kept"),
    [
        ({"response_format": FORM}, '{"city": "Turin", "unit": "c"}', True),
        ({"response_format": FORM}, '{"city": "Turin"}', False),
        ({"response_format": FORM}, "Certainly!", False),
        ({"tools": [tool("get_weather")], "tool_choice": "required"}, "I will not.", False),
        ({"tools": [tool("get_weather")]}, "It rains.", True),
    ],
)
def test_what_upstream_leaves_undone_is_made_here(make: MakeWire, fields: Any, said: str, kept: bool) -> None:
    reply = make(content=upstream({"content": said}, [])).ask(body=chat(**fields))
    message = reply.json["choices"][0]["message"]
    assert (message["content"] == said) is kept
    if not kept:
        made = message["content"] or message["tool_calls"][0]["function"]["arguments"]
        Draft202012Validator(WEATHER).validate(json.loads(made))


def allowed(mode: str, *tools: Any) -> Any:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


@pytest.mark.parametrize(
    ("said", "choice", "expected"),
    [
        ("get_weather", allowed("auto", named("get_time")), ["get_time"]),
        ("get_time and get_weather", allowed("auto", named("get_time"), named("get_weather")), "both"),
        ("hello", allowed("required", named("get_date")), ["get_date"]),
    ],
)
def test_only_allowed_tools_are_called(wire: Wire, said: str, choice: Any, expected: Any) -> None:
    tools = [tool("get_weather"), tool("get_time"), tool("get_date")]
    reply = wire.ask(body=chat(said, tools=tools, tool_choice=choice))
    assert names(reply) == (["get_time", "get_weather"] if expected == "both" else expected)
    after = wire.ask(body=answered(reply, chat(said, tools=tools, tool_choice=choice)))
    must = choice["allowed_tools"]["mode"] == "required"
    assert names(after) == (expected if must else [])


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        (allowed("auto", named("get_thyme")), "tool_choice"),
        (allowed("auto"), "tool_choice.allowed_tools.tools"),
        ({"type": "allowed_tools"}, "tool_choice.allowed_tools"),
        ({"type": "custom"}, "tool_choice.custom"),
        ({"type": "custom", "custom": {"name": "shell"}}, "tool_choice"),
    ],
)
def test_a_choice_of_what_is_not_offered_is_refused(wire: Wire, choice: Any, param: str) -> None:
    reply = wire.ask(body=chat(tools=[tool("get_weather")], tool_choice=choice))
    assert (reply.status, reply.error["param"]) == (400, param)


def custom(name: str, **fields: Any) -> Any:
    return {"type": "custom", "custom": {"name": name, **fields}}


def grammar(syntax: str, definition: str) -> Any:
    return {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}


@pytest.mark.parametrize("stream", [False, True])
def test_a_custom_tool_gets_text_that_its_grammar_matches(wire: Wire, stream: bool) -> None:
    tools = [custom("shell", format=grammar("regex", "ls( -[al]){1,3}")), tool("get_weather")]
    body = chat("shell, then get_weather", tools=tools, stream=stream)
    reply = wire.ask(body=body)
    if stream:
        deltas = [frame["choices"][0]["delta"] for frame in reply.frames]
        parts = [delta["tool_calls"][0] for delta in deltas if delta.get("tool_calls")]
        assert {part["index"]: part["type"] for part in parts if "id" in part} == {0: "custom", 1: "function"}
        text = "".join(part["custom"]["input"] for part in parts if part["index"] == 0)
    else:
        shell, weather = reply.json["choices"][0]["message"]["tool_calls"]
        assert shell.keys() == {"id", "type", "custom"}
        assert (shell["type"], weather["type"]) == ("custom", "function")
        text = shell["custom"]["input"]
        assert wire.ask(body=answered(reply, body)).json["choices"][0]["message"]["content"]
    assert re.fullmatch("ls( -[al]){1,3}", text)


def test_a_custom_tool_without_a_grammar_gets_words_and_one_can_be_demanded(wire: Wire) -> None:
    tools = [tool("get_weather"), custom("note", description="Write it down.", format={"type": "text"})]
    reply = wire.ask(body=chat(tools=tools, tool_choice={"type": "custom", "custom": {"name": "note"}}))
    (call,) = reply.json["choices"][0]["message"]["tool_calls"]
    assert call["custom"]["name"] == "note"
    assert len(call["custom"]["input"].split()) >= 2


@pytest.mark.parametrize(
    ("told", "param", "reason"),
    [
        (grammar("lark", "start: 'a'"), "syntax", "only the syntax 'regex' is simulated"),
        (grammar("regex", "(?=a)b"), "definition", "Invalid grammar for tool 'shell'"),
    ],
)
def test_a_grammar_that_cannot_be_met_is_refused(wire: Wire, told: Any, param: str, reason: str) -> None:
    reply = wire.ask(body=chat(tools=[custom("shell", format=told)]))
    assert (reply.status, reply.error["param"]) == (400, f"tools[0].custom.format.grammar.{param}")
    assert reason in reply.error["message"]


def test_functions_from_before_there_were_tools_are_called_one_at_a_time(wire: Wire) -> None:
    functions = [tool(name)["function"] for name in ("get_weather", "get_time")]
    body = chat("get_time and get_weather", functions=functions)
    first = wire.ask(body=body)
    (choice,) = first.json["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"].keys() == {"role", "content", "refusal", "function_call"}
    assert choice["message"]["function_call"]["name"] == "get_time"
    Draft202012Validator(WEATHER).validate(json.loads(choice["message"]["function_call"]["arguments"]))
    result = {"role": "function", "name": "get_time", "content": "noon"}
    last = wire.ask(body={**body, "messages": [*body["messages"], choice["message"], result]})
    assert last.json["choices"][0]["finish_reason"] == "stop"
    assert last.json["choices"][0]["message"]["content"]
    assert last.json["usage"]["prompt_tokens"] > first.json["usage"]["prompt_tokens"]


def test_a_streamed_function_call_is_the_unstreamed_one(wire: Wire) -> None:
    body = chat(functions=[tool("get_weather")["function"]], function_call={"name": "get_weather"})
    whole = wire.ask(body=body).json["choices"][0]["message"]["function_call"]
    frames = wire.ask(body={**body, "stream": True}).frames
    parts = [frame["choices"][0]["delta"].get("function_call", {}) for frame in frames]
    assert [part["name"] for part in parts if "name" in part] == ["get_weather"]
    assert "".join(part.get("arguments", "") for part in parts) == whole["arguments"]
    assert frames[-1]["choices"][0]["finish_reason"] == "function_call"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": [], "function_call": "none"}, "functions"),
        ({"function_call": {"name": "get_weather"}}, "function_call"),
        ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call"),
        ({"functions": [{"name": "f"}], "function_call": "always"}, "function_call"),
        ({"functions": [{"name": "f"}], "tools": [tool("f")]}, "functions"),
        ({"functions": [{"name": "f", "parameters": {"type": 7}}]}, "functions[0].parameters"),
    ],
)
def test_what_is_wrong_with_functions_is_told(wire: Wire, fields: Any, param: str) -> None:
    reply = wire.ask(body=chat(**fields))
    assert (reply.status, reply.error["param"]) == (400, param)


def test_the_result_of_a_function_names_it(wire: Wire) -> None:
    body = {"model": LLAMA, "messages": [{"role": "function", "content": "noon"}]}
    assert wire.ask(body=body).error["param"] == "messages[0].name"


@pytest.mark.parametrize("fields", [{"tools": [tool("get_weather")]}, {"response_format": FORM}])
def test_each_choice_has_values_of_its_own_and_all_are_equally_long(wire: Wire, fields: Any) -> None:
    body = chat(n=4, **fields)
    choices = wire.ask(body=body).json["choices"]
    texts = [
        (choice["message"].get("tool_calls") or [{"function": {"arguments": choice["message"]["content"]}}])[
            0
        ]["function"]["arguments"]
        for choice in choices
    ]
    assert len(set(texts)) == 4
    for text in texts:
        Draft202012Validator(WEATHER).validate(json.loads(text))
    usage = wire.ask(body=body).json["usage"]
    count = wire.platform.shim.model(LLAMA).vocabulary.count
    longest = max(count(text.rstrip()) for text in texts)
    lead = count(LEAD) if "tools" in fields else 0
    assert usage["completion_tokens"] == 4 * (longest + lead)
