"""litellm, as a library and as a router."""

import asyncio
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Literal

import litellm
import openai
import pytest
from pydantic import BaseModel

LLAMA = "openai/8080/taalas/llama3.1-8b-instruct"
GPT_OSS = "openai/8080/llm_server/gpt-oss-20b"
LIMITED = "openai/8080/taalas/limited"
HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class Weather(BaseModel):
    city: str
    sky: Literal["sun", "rain"]


def test_a_chat_costs_the_tokens_of_its_prompt_and_of_its_answer() -> None:
    answer = litellm.completion(model=LLAMA, messages=HELLO)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 24)
    assert answer.choices[0].finish_reason == "stop"


def test_a_stream_says_what_the_answer_in_one_piece_says() -> None:
    whole = litellm.completion(model=LLAMA, messages=HELLO)
    chunks = list(
        litellm.completion(model=LLAMA, messages=HELLO, stream=True, stream_options={"include_usage": True})
    )
    built = litellm.stream_chunk_builder(chunks, messages=HELLO)
    assert built.choices[0].message.content == whole.choices[0].message.content
    assert built.usage.completion_tokens == 24
    assert built.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_calls_gets_its_result_and_ends_in_text(stream: bool) -> None:
    messages = list(HELLO)
    first = litellm.completion(model=LLAMA, messages=messages, tools=[WEATHER], stream=stream)
    if stream:
        first = litellm.stream_chunk_builder(list(first))
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert '"unit"' in call.function.arguments
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    last = litellm.completion(model=LLAMA, messages=messages, tools=[WEATHER])
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].message.content


def test_a_structured_answer_becomes_the_callers_own_model() -> None:
    answer = litellm.completion(model=LLAMA, messages=HELLO, response_format=Weather)
    assert Weather.model_validate_json(answer.choices[0].message.content).sky in {"sun", "rain"}


def test_reasoning_is_told_apart_from_the_answer() -> None:
    answer = litellm.completion(model=GPT_OSS, messages=HELLO, reasoning_effort="medium")
    assert answer.usage.completion_tokens_details.reasoning_tokens == 12
    assert answer.choices[0].message.reasoning_content
    assert answer.choices[0].message.content


def test_files_go_up_come_back_and_are_deleted() -> None:
    file = litellm.create_file(
        file=("notes.txt", b"one\n"), purpose="user_data", custom_llm_provider="openai"
    )
    assert file.bytes == 4
    content = litellm.file_content(file_id=file.id, custom_llm_provider="openai")
    assert content.content == b"one\n"
    assert litellm.file_delete(file_id=file.id, custom_llm_provider="openai").deleted


def test_responses_are_chained_and_streamed() -> None:
    first = litellm.responses(model=LLAMA, input="hello")
    assert first.usage.output_tokens == 24
    second = litellm.responses(model=LLAMA, input="and then?", previous_response_id=first.id)
    assert second.usage.input_tokens > first.usage.input_tokens + 24
    kinds = [event.type for event in litellm.responses(model=LLAMA, input="hello", stream=True)]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


def test_a_batch_runs_a_file_and_gives_its_results() -> None:
    line = {
        "custom_id": "one",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": LLAMA.removeprefix("openai/"), "messages": HELLO},
    }
    file = litellm.create_file(
        file=("requests.jsonl", json.dumps(line).encode()), purpose="batch", custom_llm_provider="openai"
    )
    batch = litellm.create_batch(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        custom_llm_provider="openai",
    )
    for _ in range(200):
        batch = litellm.retrieve_batch(batch_id=batch.id, custom_llm_provider="openai")
        if batch.status == "completed":
            break
        time.sleep(0.1)
    assert batch.request_counts.completed == 1
    content = litellm.file_content(file_id=batch.output_file_id, custom_llm_provider="openai")
    (result,) = map(json.loads, content.text.splitlines())
    assert result["response"]["body"]["usage"]["completion_tokens"] == 24


def test_faults_are_the_clients_own_exceptions() -> None:
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(model=LLAMA, messages=HELLO, api_key="sk-wrong")
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(model="openai/gpt-99", messages=HELLO)
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(model=LLAMA, messages=HELLO, temperature=7)
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(model=LLAMA, messages=HELLO, max_tokens=30_000)


def test_a_refused_call_waits_as_long_as_it_is_told_and_then_succeeds(ask_too_often: Any) -> None:
    """Its OpenAI client retries; without retries the refusal is a RateLimitError with its headers."""
    began = time.monotonic()
    with pytest.raises(litellm.RateLimitError) as refused:
        ask_too_often(lambda: litellm.completion(model=LIMITED, messages=HELLO, max_tokens=1, max_retries=0))
    assert int(refused.value.response.headers["retry-after"]) == 1
    answer = litellm.completion(model=LIMITED, messages=HELLO, max_tokens=1)
    assert answer.usage.completion_tokens == 1
    assert time.monotonic() - began >= 1.0


@pytest.mark.anyio
async def test_many_ask_at_once() -> None:
    answers = await asyncio.gather(
        *(litellm.acompletion(model=LLAMA, messages=HELLO, max_tokens=n) for n in range(1, 11))
    )
    assert [answer.usage.completion_tokens for answer in answers] == list(range(1, 11))


@pytest.mark.anyio
async def test_a_router_spreads_calls_over_its_deployments() -> None:
    deployments = [
        {
            "model_name": "any",
            "litellm_params": {
                "model": model,
                "api_base": os.environ["OPENAI_BASE_URL"],
                "api_key": os.environ["OPENAI_API_KEY"],
            },
        }
        for model in (LLAMA, GPT_OSS)
    ]
    router = litellm.Router(model_list=deployments)
    answers = [await router.acompletion(model="any", messages=HELLO) for _ in range(12)]
    assert {answer.usage.completion_tokens for answer in answers} == {24}


class Refuses(BaseHTTPRequestHandler):
    """Every request in the same way, and counts them."""

    protocol_version = "HTTP/1.1"
    status, headers_sent, seen = 429, dict[str, str](), 0

    def do_POST(self) -> None:
        Refuses.seen += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        for name, value in {**self.headers_sent, "content-length": "2"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_args: object) -> None: ...


@pytest.mark.parametrize(
    ("status", "headers", "requests"),
    [
        (429, {"retry-after": "200"}, 3),
        (429, {"x-should-retry": "false"}, 3),
        (400, {}, 3),
        (503, {"retry-after-ms": "1"}, 5),
    ],
    ids=["waits for nobody so long", "told not to", "its own mistake", "retried by both"],
)
def test_retries_of_its_own_follow_at_once_whatever_went_wrong(
    status: int, headers: dict[str, str], requests: int
) -> None:
    """As the profile `litellm` of `traffic/retry_profiles.py` has it."""
    Refuses.status, Refuses.headers_sent, Refuses.seen = status, headers, 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/v1"
        began = time.monotonic()
        with pytest.raises(openai.OpenAIError):
            litellm.completion(model=LLAMA, messages=HELLO, api_base=base, num_retries=2)
        server.shutdown()
    assert Refuses.seen == requests
    assert time.monotonic() - began < 60
