"""openai-agents: loops of agents over chat completions."""

from collections.abc import AsyncIterator
from typing import Any, Literal

import agents
import openai
import pytest
from openai.types.shared import Reasoning
from pydantic import BaseModel

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


TOOL = agents.function_tool(get_weather)


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    agents.set_tracing_disabled(disabled=True)  # traces would go to OpenAI
    calls.clear()


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI() as client:
        yield client


def agent(client: openai.AsyncOpenAI, name: str = LLAMA, **options: Any) -> Any:
    model = agents.OpenAIChatCompletionsModel(name, client)
    return agents.Agent(name="Helper", instructions="Help.", model=model, **options)


async def test_an_agent_answers_in_text(client: openai.AsyncOpenAI) -> None:
    done = await agents.Runner.run(agent(client), "hello")
    assert done.final_output
    assert done.context_wrapper.usage.output_tokens == 24
    assert done.context_wrapper.usage.requests == 1


async def test_an_agent_calls_its_tool_and_then_answers(client: openai.AsyncOpenAI) -> None:
    done = await agents.Runner.run(agent(client, tools=[TOOL]), "What will the weather be?")
    assert len(calls) == 1
    assert calls[0] in {"c", "f"}
    assert done.context_wrapper.usage.requests == 2
    assert done.final_output


async def test_a_streamed_agent_tells_its_calls_and_its_text(client: openai.AsyncOpenAI) -> None:
    run = agents.Runner.run_streamed(agent(client, tools=[TOOL]), "hello")
    items = [event.name async for event in run.stream_events() if event.type == "run_item_stream_event"]
    assert items == ["tool_called", "tool_output", "message_output_created"]
    assert run.final_output


async def test_a_structured_answer_becomes_the_callers_own_model(client: openai.AsyncOpenAI) -> None:
    done = await agents.Runner.run(agent(client, output_type=Weather), "hello")
    assert isinstance(done.final_output, Weather)


async def test_an_agent_hands_over_to_another(client: openai.AsyncOpenAI) -> None:
    expert = agents.Agent(
        name="Expert", instructions="Know.", model=agents.OpenAIChatCompletionsModel(LLAMA, client)
    )
    done = await agents.Runner.run(agent(client, handoffs=[expert]), "hello")
    assert done.last_agent.name == "Expert"


async def test_effort_decides_how_much_of_an_answer_is_reasoning(client: openai.AsyncOpenAI) -> None:
    settings = agents.ModelSettings(reasoning=Reasoning(effort="high"))
    done = await agents.Runner.run(agent(client, GPT_OSS, model_settings=settings), "hello")
    usage = done.context_wrapper.usage
    assert usage.output_tokens == 60  # five for each of the 12 that are said
    assert usage.output_tokens_details.reasoning_tokens == 48


async def test_agents_work_over_responses_as_they_do_by_default(client: openai.AsyncOpenAI) -> None:
    model = agents.OpenAIResponsesModel(LLAMA, client)
    helper = agents.Agent(name="Helper", instructions="Help.", model=model, tools=[TOOL])
    first = await agents.Runner.run(helper, "hello")
    assert len(calls) == 1
    assert first.final_output
    assert first.context_wrapper.usage.requests == 2
    next_turn = await agents.Runner.run(helper, "and then?", previous_response_id=first.last_response_id)
    assert next_turn.final_output
    run = agents.Runner.run_streamed(helper, "hello")
    items = [event.name async for event in run.stream_events() if event.type == "run_item_stream_event"]
    assert items == ["tool_called", "tool_output", "message_output_created"]
    typed = agents.Agent(name="Typed", model=model, output_type=Weather)
    assert isinstance((await agents.Runner.run(typed, "hello")).final_output, Weather)


async def test_a_session_of_a_conversation_is_remembered(client: openai.AsyncOpenAI) -> None:
    session = agents.OpenAIConversationsSession(openai_client=client)
    helper = agents.Agent(name="Helper", model=agents.OpenAIResponsesModel(LLAMA, client))
    await agents.Runner.run(helper, "hello", session=session)
    await agents.Runner.run(helper, "again", session=session)
    assert len(await session.get_items()) == 4


async def test_faults_are_openais_exceptions(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        await agents.Runner.run(agent(client.with_options(api_key="sk-wrong")), "hello")
    with pytest.raises(openai.NotFoundError):
        await agents.Runner.run(agent(client, "gpt-99"), "hello")


async def test_a_loop_whose_calls_are_demanded_ends_at_its_limit(client: openai.AsyncOpenAI) -> None:
    settings = agents.ModelSettings(tool_choice="required")
    with pytest.raises(agents.MaxTurnsExceeded):
        await agents.Runner.run(
            agent(client, tools=[TOOL], model_settings=settings, reset_tool_choice=False), "x", max_turns=3
        )
    assert len(calls) == 3


async def test_a_refused_agent_waits_and_goes_on(client: openai.AsyncOpenAI) -> None:
    settings = agents.ModelSettings(max_tokens=1)
    for _ in range(8):
        done = await agents.Runner.run(agent(client, LIMITED, model_settings=settings), "hello")
        assert done.context_wrapper.usage.output_tokens == 1
