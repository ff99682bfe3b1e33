"""langchain-openai: chat models as LangChain has them."""

import asyncio
import time
from typing import Any, Literal

import openai
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

LLAMA = "8080/taalas/llama3.1-8b-instruct"
GPT_OSS = "8080/llm_server/gpt-oss-20b"
LIMITED = "8080/taalas/limited"


class Weather(BaseModel):
    """What the sky does."""

    city: str
    sky: Literal["sun", "rain"]


def look_up(city: str, unit: Literal["c", "f"]) -> str:
    """The weather of a city."""
    return f"rain in {city}, in {unit}"


TOOL = StructuredTool.from_function(look_up, name="get_weather")


def model(name: str = LLAMA, **options: Any) -> Any:
    return ChatOpenAI(model=name, **options)


def test_a_chat_costs_the_tokens_of_its_prompt_and_of_its_answer() -> None:
    answer = model().invoke("hello")
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (11, 24)
    assert answer.response_metadata["finish_reason"] == "stop"


def test_a_stream_says_what_the_answer_in_one_piece_says() -> None:
    """It asks for the usage by itself, where the base URL is stated it must be told to."""
    whole = model().invoke("hello")
    joined = AIMessageChunk(content="")
    for chunk in model(stream_usage=True).stream("hello"):
        joined += chunk
    assert joined.content == whole.content
    assert joined.usage_metadata == whole.usage_metadata


@pytest.mark.parametrize("streaming", [False, True])
def test_a_tool_loop_calls_gets_its_result_and_ends_in_text(streaming: bool) -> None:
    bound = model(streaming=streaming).bind_tools([TOOL], strict=True)
    messages: list[Any] = [HumanMessage("What will the weather be?")]
    first = bound.invoke(messages)
    (call,) = first.tool_calls
    assert call["name"] == "get_weather"
    assert call["args"]["unit"] in {"c", "f"}
    result = TOOL.invoke(call)
    assert isinstance(result, ToolMessage)
    last = bound.invoke([*messages, first, result])
    assert last.content
    assert not last.tool_calls


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_a_structured_answer_becomes_the_callers_own_model(method: str) -> None:
    parsed = model().with_structured_output(Weather, method=method).invoke("hello")
    assert isinstance(parsed, Weather)


def test_json_without_a_schema_is_an_object() -> None:
    assert isinstance(model().with_structured_output(None, method="json_mode").invoke("JSON, please"), dict)


def test_effort_decides_how_much_of_an_answer_is_reasoning() -> None:
    answer = model(GPT_OSS, reasoning_effort="medium").invoke("hello")
    assert answer.usage_metadata["output_token_details"]["reasoning"] == 12
    assert answer.usage_metadata["output_tokens"] == 24


def test_responses_are_chained_call_tools_and_are_streamed() -> None:
    llm = model(use_responses_api=True)
    first = llm.invoke("hello")
    assert first.usage_metadata["output_tokens"] == 24
    chained = llm.invoke("and then?", previous_response_id=first.response_metadata["id"])
    assert chained.usage_metadata["input_tokens"] > first.usage_metadata["total_tokens"]
    bound = llm.bind_tools([TOOL])
    call = bound.invoke("hello")
    assert call.tool_calls[0]["args"]["unit"] in {"c", "f"}
    assert bound.invoke([HumanMessage("hello"), call, TOOL.invoke(call.tool_calls[0])]).text
    joined = AIMessageChunk(content="")
    for chunk in llm.stream("hello"):
        joined += chunk
    assert joined.text == first.text
    assert isinstance(llm.with_structured_output(Weather).invoke("hello"), Weather)


def test_faults_are_openais_exceptions() -> None:
    with pytest.raises(openai.AuthenticationError):
        model(api_key="sk-wrong").invoke("hello")
    with pytest.raises(openai.NotFoundError):
        model("gpt-99").invoke("hello")
    with pytest.raises(openai.BadRequestError):
        model(temperature=7).invoke("hello")


def test_a_refused_call_waits_as_long_as_it_is_told_and_then_succeeds(ask_too_often: Any) -> None:
    eager, patient = model(LIMITED, max_retries=0, max_tokens=1), model(LIMITED, max_tokens=1)
    began = time.monotonic()
    with pytest.raises(openai.RateLimitError):
        ask_too_often(lambda: eager.invoke("hello"))
    assert patient.invoke("hello").usage_metadata["output_tokens"] == 1
    assert time.monotonic() - began >= 1.0


@pytest.mark.anyio
async def test_many_ask_at_once_in_a_batch_and_in_tasks_and_as_streams() -> None:
    """In one event loop: the HTTP client that all models share does not outlive the first one."""
    llm = model()
    answers = await llm.abatch(["hello"] * 8)
    answers += await asyncio.gather(*(llm.ainvoke("hello") for _ in range(8)))
    assert {answer.usage_metadata["output_tokens"] for answer in answers} == {24}
    joined = AIMessageChunk(content="")
    async for chunk in llm.bind_tools([TOOL]).astream("hello"):
        joined += chunk
    (call,) = joined.tool_calls
    assert call["args"]["unit"] in {"c", "f"}
