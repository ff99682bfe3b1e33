"""openai for Python, in whichever major it is installed; its own types check what it gets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

LLAMA = "8080/taalas/llama3.1-8b-instruct"
GPT_OSS = "8080/llm_server/gpt-oss-20b"
LIMITED = "8080/taalas/limited"
HELLO: Any = [{"role": "user", "content": "hello"}]
WHOLE: Any = {"ignore_eos": True}


class Weather(BaseModel):
    city: str
    degrees: float
    sky: Literal["sun", "rain"]


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with openai.OpenAI(_strict_response_validation=True) as client:
        yield client


@pytest.fixture
async def other() -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(_strict_response_validation=True) as client:
        yield client


def test_a_chat_costs_the_tokens_of_its_prompt_and_of_its_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=LLAMA, messages=HELLO)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 24)
    assert answer.choices[0].finish_reason == "stop"
    cut = client.chat.completions.create(model=LLAMA, messages=HELLO, max_tokens=5)
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 5
    assert cut.choices[0].finish_reason == "length"


def test_a_stream_says_what_the_answer_in_one_piece_says(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=LLAMA, messages=HELLO)
    stream = client.chat.completions.create(
        model=LLAMA, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_a_tool_loop_calls_gets_its_result_and_ends_in_text(client: openai.OpenAI) -> None:
    tools: Any = [openai.pydantic_function_tool(Weather, name="get_weather")]
    messages: list[Any] = [{"role": "user", "content": "What will the weather be?"}]
    first = client.chat.completions.create(model=LLAMA, messages=messages, tools=tools).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls is not None
    (call,) = first.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    Weather.model_validate_json(call.function.arguments)
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    last = client.chat.completions.create(model=LLAMA, messages=messages, tools=tools).choices[0]
    assert last.finish_reason == "stop"
    assert last.message.content


def test_streamed_calls_are_put_together_by_the_clients_helper(client: openai.OpenAI) -> None:
    tools: Any = [openai.pydantic_function_tool(Weather, name="get_weather")]
    with client.chat.completions.stream(model=LLAMA, messages=HELLO, tools=tools) as stream:
        kinds = {event.type for event in stream}
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert "tool_calls.function.arguments.done" in kinds
    assert calls is not None
    assert [type(call.function.parsed_arguments) for call in calls] == [Weather]


def test_a_structured_answer_becomes_the_callers_own_model(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model=LLAMA, messages=HELLO, response_format=Weather)
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Weather)
    assert parsed.sky in {"sun", "rain"}


def test_effort_decides_how_much_of_an_answer_is_reasoning(client: openai.OpenAI) -> None:
    """24 tokens at medium effort are half reasoning; without any the answer is the other half."""
    medium = client.chat.completions.create(model=GPT_OSS, messages=HELLO, reasoning_effort="medium")
    assert medium.usage is not None
    assert medium.usage.completion_tokens_details is not None
    assert medium.usage.completion_tokens_details.reasoning_tokens == 12
    assert medium.usage.completion_tokens == 24
    assert (medium.choices[0].message.model_extra or {})["reasoning"]
    none = client.chat.completions.create(model=GPT_OSS, messages=HELLO, reasoning_effort="none")
    assert none.usage is not None
    assert none.usage.completion_tokens == 12


def test_files_go_up_are_listed_come_back_and_are_deleted(client: openai.OpenAI) -> None:
    content = b'{"line": 1}\n' * 1000
    file = client.files.create(file=("lines.jsonl", content), purpose="user_data")
    assert (file.bytes, file.filename, file.purpose) == (12_000, "lines.jsonl", "user_data")
    assert file.id in [each.id for each in client.files.list(limit=1)]
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_batch_runs_a_file_and_gives_its_results_line_by_line(client: openai.OpenAI) -> None:
    """The last of its requests is refused, and stands in the error file."""
    bodies = [{"model": LLAMA, "messages": HELLO, "max_tokens": tokens} for tokens in range(1, 6)]
    bodies.append({"model": LLAMA, "messages": HELLO, "max_tokens": 30_000})
    lines = [
        {"custom_id": f"line-{index}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for index, body in enumerate(bodies)
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("requests.jsonl", content), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert batch.status == "validating"
    batch = finished(client, batch.id)
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 6, "completed": 5, "failed": 1}
    assert batch.output_file_id is not None
    assert batch.error_file_id is not None
    results = {each["custom_id"]: each for each in rows(client, batch.output_file_id)}
    used = {name: each["response"]["body"]["usage"]["completion_tokens"] for name, each in results.items()}
    assert used == {f"line-{index}": index + 1 for index in range(5)}
    (failed,) = rows(client, batch.error_file_id)
    assert failed["custom_id"] == "line-5"
    assert batch.id in [each.id for each in client.batches.list(limit=1)]


def test_a_batch_can_be_cancelled_and_a_bad_one_fails_with_its_lines(client: openai.OpenAI) -> None:
    file = client.files.create(file=("bad.jsonl", b"not json\n"), purpose="batch")
    bad = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    bad = finished(client, bad.id)
    assert bad.status == "failed"
    assert bad.errors is not None
    assert bad.errors.data is not None
    assert [(error.code, error.line) for error in bad.errors.data] == [("invalid_json_line", 1)]
    with pytest.raises(openai.ConflictError):
        client.with_options(max_retries=0).batches.cancel(bad.id)
    line = {"custom_id": "long", "method": "POST", "url": "/v1/chat/completions"}
    body = {"model": LLAMA, "messages": HELLO, "max_tokens": 20_000, **WHOLE}
    file = client.files.create(
        file=("long.jsonl", json.dumps({**line, "body": body}).encode()), purpose="batch"
    )
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
    assert finished(client, batch.id).status == "cancelled"


def finished(client: openai.OpenAI, batch_id: str) -> Any:
    for _ in range(200):
        batch = client.batches.retrieve(batch_id)
        if batch.status in {"completed", "failed", "cancelled", "expired"}:
            return batch
        time.sleep(0.1)
    pytest.fail(f"the batch is still {batch.status}")


def rows(client: openai.OpenAI, file_id: str) -> list[Any]:
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def test_responses_are_chained_read_again_and_deleted(client: openai.OpenAI) -> None:
    first = client.responses.create(model=LLAMA, input="hello")
    assert first.status == "completed"
    assert first.usage is not None
    assert first.usage.output_tokens == 24
    second = client.responses.create(model=LLAMA, input="and then?", previous_response_id=first.id)
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    assert second.previous_response_id == first.id
    assert client.responses.retrieve(first.id).output_text == first.output_text
    items = list(client.responses.input_items.list(second.id, order="asc"))
    assert [item.type for item in items][-1] == "message"
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=LLAMA, input="hello", previous_response_id=first.id)


def test_a_streamed_response_says_what_the_whole_one_says(client: openai.OpenAI) -> None:
    whole = client.responses.create(model=GPT_OSS, input="hello")
    events = list(client.responses.create(model=GPT_OSS, input="hello", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text
    assert events[-1].response.usage is not None
    assert events[-1].response.usage.output_tokens_details.reasoning_tokens == 12


def test_a_loop_of_responses_calls_gets_its_result_and_ends_in_text(client: openai.OpenAI) -> None:
    schema = openai.pydantic_function_tool(Weather, name="get_weather")["function"]
    tools: Any = [{"type": "function", **schema}]
    first = client.responses.create(model=LLAMA, input="What will the weather be?", tools=tools)
    (call,) = first.output
    assert call.type == "function_call"
    Weather.model_validate_json(call.arguments)
    last = client.responses.create(
        model=LLAMA,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
        previous_response_id=first.id,
        tools=tools,
    )
    assert last.output_text


def test_a_structured_response_becomes_the_callers_own_model(client: openai.OpenAI) -> None:
    answer = client.responses.parse(model=LLAMA, input="hello", text_format=Weather)
    assert isinstance(answer.output_parsed, Weather)


def test_a_background_response_is_polled_and_a_conversation_goes_on(client: openai.OpenAI) -> None:
    begun = client.responses.create(model=LLAMA, input="hello", background=True)
    assert begun.status in {"queued", "in_progress"}
    response = begun
    for _ in range(200):
        response = client.responses.retrieve(begun.id)
        if response.status == "completed":
            break
        time.sleep(0.05)
    assert response.output_text
    conversation = client.conversations.create()
    client.responses.create(model=LLAMA, input="hello", conversation=conversation.id)
    client.responses.create(model=LLAMA, input="again", conversation=conversation.id)
    assert len(list(client.conversations.items.list(conversation.id))) == 4


def test_models_are_found_by_ids_with_slashes(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [LLAMA, GPT_OSS, LIMITED]
    assert client.models.retrieve(GPT_OSS).id == GPT_OSS


def test_faults_are_the_clients_own_exceptions(client: openai.OpenAI) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.AuthenticationError) as stranger:
        client.with_options(api_key="sk-wrong").chat.completions.create(model=LLAMA, messages=HELLO)
    assert stranger.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(stranger.value)
    with pytest.raises(openai.NotFoundError) as unknown:
        create(model="gpt-99", messages=HELLO)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as hot:
        create(model=LLAMA, messages=HELLO, temperature=7)
    assert hot.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as long:
        create(model=LLAMA, messages=HELLO, max_tokens=30_000)
    assert long.value.code == "context_length_exceeded"


def test_a_refused_call_waits_as_long_as_it_is_told_and_then_succeeds(
    client: openai.OpenAI, ask_too_often: Any
) -> None:
    """Six requests fit at once, and one more each second."""
    eager = client.with_options(max_retries=0).chat.completions
    began = time.monotonic()
    with pytest.raises(openai.RateLimitError) as refused:
        ask_too_often(lambda: eager.create(model=LIMITED, messages=HELLO, max_tokens=1))
    assert refused.value.code == "rate_limit_exceeded"
    assert 0 < float(refused.value.response.headers["retry-after-ms"]) <= 1000
    assert client.chat.completions.create(model=LIMITED, messages=HELLO, max_tokens=1).choices
    assert time.monotonic() - began >= 1.0


@pytest.mark.anyio
async def test_many_ask_at_once_and_each_gets_its_own_answer(other: openai.AsyncOpenAI) -> None:
    async def ask(name: str) -> tuple[str, int]:
        answer = await other.chat.completions.create(
            model=LLAMA, messages=[{"role": "user", "content": name}], max_tokens=len(name), extra_body=WHOLE
        )
        assert answer.usage is not None
        return answer.choices[0].message.content or "", answer.usage.completion_tokens

    names = ["x" * n for n in range(1, 21)]
    answers = await asyncio.gather(*map(ask, names))
    assert [tokens for _, tokens in answers] == list(range(1, 21))
    assert len({text for text, _ in answers}) == 20


@pytest.mark.anyio
async def test_an_async_stream_can_be_left_in_the_middle(other: openai.AsyncOpenAI) -> None:
    stream = await other.chat.completions.create(
        model=LLAMA, messages=HELLO, max_tokens=20_000, stream=True, extra_body=WHOLE
    )
    async for chunk in stream:
        assert chunk.choices[0].delta.role == "assistant"
        break
    await stream.close()
    after = await other.chat.completions.create(model=LLAMA, messages=HELLO)
    assert after.choices[0].finish_reason == "stop"


def test_a_raw_reply_has_its_id_its_limits_and_its_simulated_stamps(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=LIMITED, messages=HELLO, max_tokens=1)
    assert raw.headers["x-ratelimit-limit-requests"] == "6"
    assert raw.headers["x-request-id"] == raw.parse()._request_id
    took_ps = int(raw.headers["x-sim-ended-ps"]) - int(raw.headers["x-sim-sent-ps"])
    assert took_ps >= 1_100_000_000  # 11 tokens of prompt, 0.1 ms each
