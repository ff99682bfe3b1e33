"""instructor: answers as the caller's own models, in each of its modes."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Literal

import instructor
import openai
import pytest
from pydantic import BaseModel, Field

LLAMA = "8080/taalas/llama3.1-8b-instruct"
LIMITED = "8080/taalas/limited"
HELLO: Any = [{"role": "user", "content": "hello"}]


class Hour(BaseModel):
    hour: int = Field(ge=0, le=23)
    sky: Literal["sun", "rain"]


class Weather(BaseModel):
    city: str
    hours: list[Hour] = Field(min_length=2, max_length=4)


@pytest.fixture(scope="module")
def plain() -> Iterator[openai.OpenAI]:
    with openai.OpenAI() as client:
        yield client


@pytest.fixture
async def other() -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI() as client:
        yield client


@pytest.mark.parametrize(
    "mode",
    [instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT, instructor.Mode.JSON_SCHEMA],
    ids=lambda mode: str(mode.name),
)
def test_the_model_comes_back_valid_at_the_first_try(plain: openai.OpenAI, mode: Any) -> None:
    client = instructor.from_openai(plain, mode=mode)
    parsed, raw = client.chat.completions.create_with_completion(
        model=LLAMA, messages=HELLO, response_model=Weather, max_retries=0
    )
    assert isinstance(parsed, Weather)
    assert 2 <= len(parsed.hours) <= 4
    counts_schema = mode is not instructor.Mode.JSON_SCHEMA  # functions are read by the model, forms are not
    assert (raw.usage.prompt_tokens > 11) is counts_schema


def test_a_response_becomes_the_model(plain: openai.OpenAI) -> None:
    client = instructor.from_openai(plain, mode=instructor.Mode.RESPONSES_TOOLS)
    found = client.responses.create(model=LLAMA, input="hello", response_model=Weather)
    assert isinstance(found, Weather)


def test_parallel_calls_become_models_of_several_kinds(plain: openai.OpenAI) -> None:
    client = instructor.from_openai(plain, mode=instructor.Mode.PARALLEL_TOOLS)
    wanted: Any = [{"role": "user", "content": "first Weather, then Hour"}]
    either: Any = Iterable[Weather | Hour]
    found = client.chat.completions.create(model=LLAMA, messages=wanted, response_model=either)
    assert [type(each).__name__ for each in found] == ["Weather", "Hour"]


def test_a_partial_model_grows_while_it_is_streamed(plain: openai.OpenAI) -> None:
    client = instructor.from_openai(plain, mode=instructor.Mode.TOOLS)
    steps = list(client.chat.completions.create_partial(model=LLAMA, messages=HELLO, response_model=Weather))
    assert len(steps) > 1
    Weather.model_validate(steps[-1].model_dump())


def test_iterables_are_streamed_one_by_one(plain: openai.OpenAI) -> None:
    client = instructor.from_openai(plain, mode=instructor.Mode.TOOLS)
    found = list(client.chat.completions.create_iterable(model=LLAMA, messages=HELLO, response_model=Hour))
    assert all(isinstance(each, Hour) for each in found)
    assert found


def test_a_plain_text_answer_is_left_as_it_is(plain: openai.OpenAI) -> None:
    client = instructor.from_openai(plain)
    answer = client.chat.completions.create(model=LLAMA, messages=HELLO, response_model=None)
    assert answer.usage.completion_tokens == 24


def test_faults_are_told(plain: openai.OpenAI) -> None:
    client = instructor.from_openai(plain.with_options(api_key="sk-wrong"))
    with pytest.raises(Exception, match="Incorrect API key"):
        client.chat.completions.create(model=LLAMA, messages=HELLO, response_model=Hour, max_retries=0)
    client = instructor.from_openai(plain)
    with pytest.raises(Exception, match="gpt-99"):
        client.chat.completions.create(model="gpt-99", messages=HELLO, response_model=Hour, max_retries=0)


def test_refused_calls_wait_and_go_on(plain: openai.OpenAI) -> None:
    client = instructor.from_openai(plain)
    for _ in range(8):
        found = client.chat.completions.create(model=LIMITED, messages=HELLO, response_model=Hour)
        assert isinstance(found, Hour)


@pytest.mark.anyio
async def test_async_calls_work_alike(other: openai.AsyncOpenAI) -> None:
    client = instructor.from_openai(other)
    found = await client.chat.completions.create(model=LLAMA, messages=HELLO, response_model=Weather)
    assert isinstance(found, Weather)
