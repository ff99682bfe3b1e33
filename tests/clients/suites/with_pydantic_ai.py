"""pydantic-ai: agents whose answers and tools are typed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

LLAMA = "8080/taalas/llama3.1-8b-instruct"
GPT_OSS = "8080/llm_server/gpt-oss-20b"
LIMITED = "8080/taalas/limited"
pytestmark = pytest.mark.anyio


class Weather(BaseModel):
    city: str
    sky: Literal["sun", "rain"]


calls: list[str] = []


def get_weather(city: str, unit: Literal["c", "f"]) -> str:
    """The weather of a city."""
    calls.append(unit)
    return f"rain in {city}"


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    """The provider's own is shared, and bound to the event loop that used it first."""
    async with openai.AsyncOpenAI() as client:
        yield client


def chat(client: openai.AsyncOpenAI, name: str = LLAMA) -> Any:
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))


async def test_an_agent_answers_in_text(client: openai.AsyncOpenAI) -> None:
    done = await Agent(chat(client)).run("hello")
    assert done.output
    assert (done.usage.input_tokens, done.usage.output_tokens) == (11, 24)


async def test_a_stream_says_what_the_answer_in_one_piece_says(client: openai.AsyncOpenAI) -> None:
    agent = Agent(chat(client))
    whole = await agent.run("hello")
    async with agent.run_stream("hello") as stream:
        texts = [text async for text in stream.stream_text(delta=True)]
    assert "".join(texts) == whole.output
    assert stream.usage.output_tokens == 24


async def test_an_agent_calls_its_tool_and_then_answers(client: openai.AsyncOpenAI) -> None:
    calls.clear()
    done = await Agent(chat(client), tools=[get_weather]).run("What will the weather be?")
    assert len(calls) == 1
    assert calls[0] in {"c", "f"}
    assert done.usage.requests == 2
    assert done.output


@pytest.mark.parametrize("how", [ToolOutput, NativeOutput])
async def test_a_structured_answer_becomes_the_callers_own_model(
    how: Any, client: openai.AsyncOpenAI
) -> None:
    done = await Agent(chat(client), output_type=how(Weather)).run("hello")
    assert isinstance(done.output, Weather)
    assert done.usage.requests == 1


async def test_an_answer_that_is_a_call_comes_after_the_tools(client: openai.AsyncOpenAI) -> None:
    calls.clear()
    done = await Agent(chat(client), tools=[get_weather], output_type=ToolOutput(Weather)).run("hello")
    assert len(calls) == 1
    assert isinstance(done.output, Weather)


async def test_effort_decides_how_much_of_an_answer_is_reasoning(client: openai.AsyncOpenAI) -> None:
    """It shows the thoughts that come in `reasoning` as a part of their own."""
    settings = OpenAIChatModelSettings(openai_reasoning_effort="high")
    done = await Agent(chat(client, GPT_OSS), model_settings=settings).run("hello")
    assert done.usage.output_tokens == 60
    assert done.usage.details["reasoning_tokens"] == 48
    kinds = [part.part_kind for message in done.new_messages() for part in message.parts]
    assert kinds == ["user-prompt", "thinking", "text"]


async def test_agents_work_over_responses(client: openai.AsyncOpenAI) -> None:
    calls.clear()
    model = OpenAIResponsesModel(LLAMA, provider=OpenAIProvider(openai_client=client))
    done = await Agent(model, tools=[get_weather]).run("hello")
    assert len(calls) == 1
    assert done.output
    assert done.usage.requests == 2
    again = await Agent(model).run("and then?", message_history=done.all_messages())
    assert again.usage.output_tokens == 24
    async with Agent(model).run_stream("hello") as stream:
        assert await stream.get_output()
    assert isinstance((await Agent(model, output_type=NativeOutput(Weather)).run("hello")).output, Weather)


async def test_faults_are_told_with_their_status(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(ModelHTTPError) as stranger:
        await Agent(chat(client.with_options(api_key="sk-wrong"))).run("hello")
    assert stranger.value.status_code == 401
    with pytest.raises(ModelHTTPError) as unknown:
        await Agent(chat(client, "gpt-99")).run("hello")
    assert unknown.value.status_code == 404
    eager = Agent(chat(client.with_options(max_retries=0), LIMITED))
    with pytest.raises(ModelHTTPError) as refused:
        await asyncio.gather(*(eager.run("hello") for _ in range(12)))
    assert refused.value.status_code == 429


async def test_a_refused_agent_waits_and_goes_on(client: openai.AsyncOpenAI) -> None:
    for _ in range(8):
        assert (await Agent(chat(client, LIMITED)).run("hello")).usage.output_tokens == 24
