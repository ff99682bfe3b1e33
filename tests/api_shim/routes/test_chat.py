"""Chat completions, unstreamed: fields in, fields and stamps out. Times are worked out by hand."""

from typing import Any

import pytest

from tests.support.live import GPT_OSS, LLAMA, MS, MakeWire, Wire, chat


def test_a_lone_request_from_here_takes_its_prefill_and_its_decode(wire: Wire) -> None:
    reply = wire.ask(body=chat(max_tokens=3))
    assert reply.status == 200
    assert reply.ended_ps == (11 + 2 * 10) * MS
    assert reply.headers["x-sim-sent-ps"] == "0"
    assert reply.headers["x-sim-first-ps"] == str(11 * MS)
    assert reply.headers["x-sim-ended-ps"] == str(31 * MS)
    assert reply.headers["openai-processing-ms"] == "31"
    assert reply.headers["x-sim-lateness-ms"] == "0.000"


def test_a_caller_away_pays_connection_set_up_and_both_ways(wire: Wire) -> None:
    place = {"x-sim-place": "away"}
    first = wire.ask(body=chat(max_tokens=1), headers=place)
    assert first.ended_ps == (20 + 10 + 11 + 10) * MS
    second = wire.ask(body=chat(max_tokens=1), headers=place)
    assert second.ended_ps - first.ended_ps == (10 + 11 + 10) * MS, "the connection is kept alive"


def test_the_reply_has_every_field_that_strict_clients_require(wire: Wire) -> None:
    body = wire.ask(body=chat(max_tokens=3)).json
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert body["model"] == LLAMA
    assert body["created"] == 1_767_225_600
    (choice,) = body["choices"]
    assert choice.keys() == {"index", "message", "logprobs", "finish_reason"}
    assert choice["message"].keys() == {"role", "content", "refusal"}
    assert (choice["index"], choice["logprobs"], choice["finish_reason"]) == (0, None, "length")


def test_usage_adds_up_and_tells_what_8080s_clients_read(wire: Wire) -> None:
    usage = wire.ask(body=chat(max_tokens=3)).json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (11, 3, 14)
    assert (usage["prefill_tokens"], usage["decode_tokens"]) == (11, 3)
    assert usage["prefill_rate"] == 1000
    assert usage["decode_rate"] == 100
    assert usage["total_time"] == 0.031
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize(
    ("model", "expected"),
    [(LLAMA, 1 + (5 + 3) + (5 + 2) + 4), (GPT_OSS, 61 + (4 + 3) + (4 + 2) + 2)],
)
def test_prompts_count_their_text_and_their_template(wire: Wire, model: str, expected: int) -> None:
    messages = [{"role": "system", "content": "You are kind"}, {"role": "user", "content": "hello world"}]
    reply = wire.ask(body={"model": model, "messages": messages, "max_tokens": 1})
    assert reply.json["usage"]["prompt_tokens"] == expected


def test_text_as_a_string_and_as_parts_counts_the_same(wire: Wire) -> None:
    parts = [{"type": "text", "text": "hello"}, {"type": "text", "text": " world"}]
    as_parts, as_string = wire.ask(body=chat(parts)), wire.ask(body=chat("hello world"))
    assert as_parts.json["usage"]["prompt_tokens"] == as_string.json["usage"]["prompt_tokens"] == 12
    assert as_parts.json["choices"] == as_string.json["choices"]


def test_what_looks_like_a_special_token_is_ordinary_text(wire: Wire) -> None:
    assert wire.ask(body=chat("<|eot_id|>", max_tokens=1)).json["usage"]["prompt_tokens"] > 10 + 1


def test_null_means_absent_for_every_optional_field(wire: Wire) -> None:
    optional = """
        frequency_penalty logit_bias logprobs max_completion_tokens max_tokens n presence_penalty
        response_format stop temperature top_logprobs top_p parallel_tool_calls reasoning_effort stream
        stream_options tools user tool_choice seed metadata log min_tokens ignore_eos store service_tier
    """.split()  # noqa: SIM905 -- a list literal would take a line per word
    with_nulls = wire.ask(body=chat(**dict.fromkeys(optional)))
    assert with_nulls.status == 200
    assert with_nulls.json["choices"] == wire.ask(body=chat()).json["choices"]


def test_unknown_fields_are_ignored(wire: Wire) -> None:
    assert wire.ask(body=chat(no_such_thing={"a": [1]}, max_tokens=1)).status == 200


def test_the_same_body_gives_the_same_answer_and_another_seed_another(wire: Wire) -> None:
    plain, again, seeded = (wire.ask(body=chat(**f)).json["choices"] for f in ({}, {}, {"seed": 7}))
    assert plain == again
    assert plain != seeded


def test_without_a_cap_the_scenario_says_how_long_answers_are(wire: Wire) -> None:
    body = wire.ask(body=chat()).json
    assert body["usage"]["completion_tokens"] == 5
    assert body["choices"][0]["finish_reason"] == "stop"


def test_the_cap_goes_by_both_names(wire: Wire) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        assert wire.ask(body=chat(**{name: 2})).json["usage"]["completion_tokens"] == 2
    assert wire.ask(body=chat(max_tokens=2, max_completion_tokens=2)).status == 200


def test_ignore_eos_goes_on_to_the_cap_and_min_tokens_beyond_the_end(wire: Wire) -> None:
    assert wire.ask(body=chat(max_tokens=50, ignore_eos=True)).json["usage"]["completion_tokens"] == 50
    reply = wire.ask(body=chat(max_tokens=50, min_tokens=20)).json
    assert (reply["usage"]["completion_tokens"], reply["choices"][0]["finish_reason"]) == (20, "stop")


def test_a_load_tool_can_state_the_length_without_a_cap(wire: Wire) -> None:
    reply = wire.ask(body=chat(), headers={"x-sim-output-tokens": "17"}).json
    assert (reply["usage"]["completion_tokens"], reply["choices"][0]["finish_reason"]) == (17, "stop")
    assert (
        wire.ask(body=chat(), headers={"x-sim-output-tokens": "many"}).error["param"] == "x-sim-output-tokens"
    )


def test_text_is_exactly_as_long_as_usage_says(wire: Wire) -> None:
    for model in (LLAMA, GPT_OSS):
        reply = wire.ask(body=chat(model=model, max_tokens=137, ignore_eos=True)).json
        message = reply["choices"][0]["message"]
        vocabulary = wire.platform.shim.model(model).vocabulary
        texts = [message["content"], message.get("reasoning", "")]
        assert sum(map(vocabulary.count, texts)) == reply["usage"]["completion_tokens"] == 137


def test_several_choices_share_one_prompt(wire: Wire) -> None:
    body = wire.ask(body=chat(n=3, max_tokens=4)).json
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["prompt_tokens"] == 11
    assert body["usage"]["completion_tokens"] == 12
    assert len({choice["message"]["content"] for choice in body["choices"]}) == 3


def test_a_stop_string_ends_the_text_before_it(wire: Wire) -> None:
    whole = wire.ask(body=chat(max_tokens=30, ignore_eos=True)).json["choices"][0]["message"]["content"]
    word = whole.split()[5]
    body = wire.ask(body=chat(max_tokens=30, ignore_eos=True, stop=["no such words", word])).json
    assert body["choices"][0]["message"]["content"] == whole[: whole.index(word)]
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["completion_tokens"] == 6, "the model made the stop string too"


def test_logprobs_come_one_entry_per_token(wire: Wire) -> None:
    choice = wire.ask(body=chat(max_tokens=3, logprobs=True, top_logprobs=2)).json["choices"][0]
    entries = choice["logprobs"]["content"]
    assert choice["logprobs"]["refusal"] is None
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
    assert len(entries) == 3
    for entry in entries:
        assert entry.keys() == {"token", "logprob", "bytes", "top_logprobs"}
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert entry["logprob"] <= 0
        assert len(entry["top_logprobs"]) == 2
        assert entry["top_logprobs"][0]["token"] == entry["token"]


def test_two_callers_at_once_have_a_node_each_and_a_third_waits(wire: Wire) -> None:
    """Prefill 11 ms and one token more, 21 ms; the third starts when the first is out."""
    import asyncio

    async def three() -> list[Any]:
        return await asyncio.gather(
            *(wire.send("/v1/chat/completions", chat(max_tokens=2)) for _ in range(3))
        )

    assert sorted(reply.ended_ps for reply in wire.platform.run(three())) == [21 * MS, 21 * MS, 42 * MS]


def test_the_key_of_a_source_stands_for_it(make: MakeWire) -> None:
    reply = make().ask(body=chat(max_tokens=1), key="sk-chat")
    assert reply.headers["x-sim-place"] == "away"


def test_a_listener_says_where_its_callers_are_and_the_header_knows_better(make: MakeWire) -> None:
    from api_shim.settings import ServerSettings

    wire = make(settings=ServerSettings(place_of_port={8082: "away"}))
    assert wire.ask(body=chat(max_tokens=1)).headers["x-sim-place"] == "here"
    assert wire.ask(body=chat(max_tokens=1), port=8082).headers["x-sim-place"] == "away"
    stated = wire.ask(body=chat(max_tokens=1), port=8082, headers={"x-sim-place": "here"})
    assert stated.headers["x-sim-place"] == "here"


def test_tools_count_towards_the_prompt(wire: Wire) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    body = wire.ask(body=chat(tools=[tool], tool_choice="none", max_tokens=1)).json
    vocabulary = wire.platform.shim.model(LLAMA).vocabulary
    assert body["usage"]["prompt_tokens"] == 11 + vocabulary.count(
        '{"name": "look_up", "parameters": {"type": "object"}}'
    )
