"""What a user of the official client does, in virtual time; run by whichever major of openai is installed.

`python openai_story.py` prints one JSON object: what the client saw.
"""

import asyncio
import json
from typing import Any, Literal

import openai
from pydantic import BaseModel

from api_shim.settings import ServerSettings
from api_shim.testing import VirtualPlatform, client_library
from tests.support.live import LLAMA, scenario

LIMITS = {"requests_per_minute": 20, "tokens_per_minute": 100_000}
HELLO: Any = [{"role": "user", "content": "hello"}]


async def files(client: Any) -> Any:
    """Two uploads, listed, looked at, read, and deleted while they are paged through."""
    lasting: Any = {"anchor": "created_at", "seconds": 3600}
    small = await client.files.create(file=("in.jsonl", b"{}\n"), purpose="batch", expires_after=lasting)
    large = await client.files.create(file=b"x" * 3_000_000, purpose="user_data")
    seen = [[file.filename, file.bytes, file.purpose] async for file in client.files.list()]
    again = await client.files.retrieve(small.id)
    content = await client.files.content(small.id)
    ready = await client.files.wait_for_processing(large.id)
    gone = [
        (await client.files.delete(file.id)).deleted async for file in client.files.list(limit=1, order="asc")
    ]
    return {
        "listed": seen,
        "lasts_s": again.expires_at - again.created_at,
        "content": content.text,
        "ready": ready.status,
        "gone": gone,
        "missing": await failure(client.files.retrieve(small.id)),
        "refused": await failure(client.files.create(file=b"x", purpose="evals")),
    }


async def batches(client: Any) -> Any:
    """One to its end with an error, one cancelled at once, and what became of each."""
    bodies: list[Any] = [{"max_tokens": 2}, {"temperature": 7}]
    lines = [
        {
            "custom_id": f"r{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": LLAMA, "messages": HELLO, **body},
        }
        for number, body in enumerate(bodies)
    ]
    text = "\n".join(map(json.dumps, lines))
    file = await client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    asked: Any = {
        "input_file_id": file.id,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"job": "story"},
    }
    made = [await client.batches.create(**asked) for _ in range(2)]
    cancelled = await client.batches.cancel(made[1].id)
    over = {"completed", "cancelled"}
    while not {each.status for each in made} <= over:
        await asyncio.sleep(1)
        made = [await client.batches.retrieve(each.id) for each in made]
    output = (await client.files.content(made[0].output_file_id)).text
    errors = (await client.files.content(made[0].error_file_id)).text
    return {
        "cancelling": cancelled.status,
        "ends": [each.status for each in made],
        "counts": made[0].request_counts.model_dump(),
        "tokens": made[0].usage.total_tokens,
        "answers": [
            json.loads(line)["response"]["body"]["usage"]["total_tokens"] for line in output.splitlines()
        ],
        "errors": [json.loads(line)["error"]["code"] for line in errors.splitlines()],
        "listed": [each.metadata["job"] async for each in client.batches.list(limit=1)],
        "missing": await failure(client.batches.retrieve("batch_nobody")),
        "late": await failure(client.with_options(max_retries=0).batches.cancel(made[0].id)),
        "refused": await failure(client.batches.create(**{**asked, "input_file_id": "file-nobody"})),
    }


async def story(client: Any, platform: VirtualPlatform) -> dict[str, Any]:
    create = client.chat.completions.create
    seen: dict[str, Any] = {}

    whole = await create(model=LLAMA, messages=HELLO, max_tokens=40, extra_body={"ignore_eos": True})
    seen["text"], seen["usage"] = whole.choices[0].message.content, whole.usage.total_tokens
    seen["request_id"] = whole._request_id

    stream = await create(
        model=LLAMA,
        messages=HELLO,
        max_tokens=40,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True},
    )
    began, pieces, arrivals = platform.now_s, [], []
    async for chunk in stream:
        arrivals.append(round(platform.now_s - began, 6))
        pieces += [choice.delta.content or "" for choice in chunk.choices]
        seen["stream_usage"] = chunk.usage and chunk.usage.total_tokens
    seen["streamed"], seen["arrivals"] = "".join(pieces), sorted(set(arrivals))

    raw = await client.chat.completions.with_raw_response.create(model=LLAMA, messages=HELLO, max_tokens=1)
    seen["remaining"] = raw.headers["x-ratelimit-remaining-requests"]
    seen["first_seen_ps"] = int(raw.headers["x-sim-first-seen-ps"]) - int(raw.headers["x-sim-sent-ps"])

    legacy = await client.completions.create(model=LLAMA, prompt="hello", max_tokens=3)
    seen["legacy"] = legacy.usage.total_tokens
    seen["models"] = [model.id async for model in client.models.list()]
    seen["files"] = await files(client)
    seen["batches"] = await batches(client)
    seen["model"] = (await client.models.retrieve(LLAMA)).id
    seen["errors"] = [
        await failure(create(model="gpt-99", messages=HELLO)),
        await failure(create(model=LLAMA, messages=[])),
        await failure(create(model=LLAMA, messages=HELLO, temperature=7)),
        await failure(
            client.with_options(timeout=0.02, max_retries=0).chat.completions.create(
                model=LLAMA, messages=HELLO, max_tokens=500, extra_body={"ignore_eos": True}
            )
        ),
    ]
    return seen


class Weather(BaseModel):
    city: str
    degrees: float
    hours: list[Literal["sun", "rain"]]


async def structures(client: Any) -> dict[str, Any]:
    """A loop of function calls, streamed and not, and an answer that the client checks against a model."""
    tools = [openai.pydantic_function_tool(Weather, name="get_weather")]
    messages: list[Any] = list(HELLO)
    turns = []
    for _ in range(5):
        reply = await client.chat.completions.create(model=LLAMA, messages=messages, tools=tools)
        answer = reply.choices[0]
        turns.append(answer.finish_reason)
        if not answer.message.tool_calls:
            break
        messages.append(answer.message)
        for call in answer.message.tool_calls:
            Weather.model_validate_json(call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "fine"})
    async with client.chat.completions.stream(model=LLAMA, messages=HELLO, tools=tools) as stream:
        async for _ in stream:
            pass
        (call,) = (await stream.get_final_completion()).choices[0].message.tool_calls
    parsed = await client.chat.completions.parse(model=LLAMA, messages=HELLO, response_format=Weather)
    return {
        "turns": turns,
        "streamed_call": type(call.function.parsed_arguments).__name__,
        "parsed": type(parsed.choices[0].message.parsed).__name__,
    }


async def responses(client: Any) -> dict[str, Any]:
    """A chain with a function, a stream, a parsed form, one in the background, a conversation."""
    create = client.responses.create
    seen: dict[str, Any] = {}
    tools: Any = [
        {"type": "function", "name": "get_weather", "parameters": Weather.model_json_schema(), "strict": True}
    ]
    first = await create(model=LLAMA, input="hello", tools=tools, instructions="be brief")
    (call,) = first.output
    Weather.model_validate_json(call.arguments)
    result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "fine"}]
    second = await create(model=LLAMA, input=result, previous_response_id=first.id, tools=tools)
    seen["chain"] = [first.output[0].type, second.output[0].type, bool(second.output_text)]
    given = [item.type async for item in client.responses.input_items.list(second.id, order="asc", limit=1)]
    seen["input_items"] = given

    async with client.responses.stream(model=LLAMA, input="hello", previous_response_id=second.id) as stream:
        kinds = [event.type async for event in stream]
        streamed = await stream.get_final_response()
    seen["stream"] = [
        kinds[0],
        kinds[-1],
        streamed.output_text == (await client.responses.retrieve(streamed.id)).output_text,
    ]
    parsed = await client.responses.parse(model=LLAMA, input="hello", text_format=Weather)
    seen["parsed"] = type(parsed.output_parsed).__name__

    waiting = await create(model=LLAMA, input="hello", background=True)
    statuses = [waiting.status]
    while statuses[-1] in ("queued", "in_progress"):
        await asyncio.sleep(0.02)
        statuses.append((await client.responses.retrieve(waiting.id)).status)
    seen["background"] = statuses
    told = await client.responses.retrieve(waiting.id, stream=True, starting_after=2)
    seen["told_again"] = [event.sequence_number async for event in told][:2]
    cancelled = await client.responses.cancel((await create(model=LLAMA, input="hello", background=True)).id)
    seen["cancelled"] = cancelled.status
    await client.responses.delete(first.id)
    seen["deleted"] = await failure(client.responses.retrieve(first.id))
    seen["broken"] = await failure(create(model=LLAMA, input="x", previous_response_id=second.id))

    talk = await client.conversations.create(
        metadata={"a": "b"}, items=[{"role": "user", "content": "hello"}]
    )
    await create(model=LLAMA, input="again", conversation=talk.id)
    await client.conversations.update(talk.id, metadata={"c": "d"})
    items = [item.role async for item in client.conversations.items.list(talk.id, order="asc")]
    seen["conversation"] = [(await client.conversations.retrieve(talk.id)).metadata, items]
    seen["gone"] = (await client.conversations.delete(talk.id)).deleted
    return seen


async def failure(call: Any) -> list[Any]:
    try:
        await call
    except openai.APIError as error:
        return [type(error).__name__, getattr(error, "status_code", None), error.code]
    return []


async def retries(client: Any, platform: VirtualPlatform) -> list[float]:
    """Two a minute: the third call is refused, and waits as long as it is told."""
    ends = []
    for _ in range(3):
        await client.chat.completions.create(model=LLAMA, messages=HELLO, max_tokens=1)
        ends.append(round(platform.now_s, 6))
    return ends


async def full_node(client: Any, platform: VirtualPlatform) -> dict[str, Any]:
    """A call of 0.4 s is in the node; another one is refused, waits half a second at most, and is served."""
    create = client.chat.completions.create
    long = asyncio.ensure_future(
        create(model=LLAMA, messages=HELLO, max_tokens=40, extra_body={"ignore_eos": True})
    )
    await asyncio.sleep(0.01)
    refused = await failure(
        client.with_options(max_retries=0).chat.completions.create(model=LLAMA, messages=HELLO, max_tokens=1)
    )
    await create(model=LLAMA, messages=HELLO, max_tokens=1)
    served_s = platform.now_s
    await long
    return {"refused": refused, "after_s": served_s}


async def abandoned(client: Any, platform: VirtualPlatform) -> int:
    """A user closes a stream after its first chunk."""
    stream = await client.chat.completions.create(
        model=LLAMA, messages=HELLO, max_tokens=1500, stream=True, extra_body={"ignore_eos": True}
    )
    async for _ in stream:
        break
    await stream.close()
    await asyncio.sleep(0.02)
    return len(platform.world.platform.inside)


def main() -> dict[str, Any]:
    settings = ServerSettings(flush_ms=100.0)
    with VirtualPlatform(scenario(limits=LIMITS), settings=settings) as platform:
        client = platform.client(_strict_response_validation=True)
        seen = platform.run(story(client, platform))
        seen["left_inside"] = platform.run(abandoned(client, platform))
    two_a_minute = {"requests_per_minute": 2, "tokens_per_minute": 100_000}
    with VirtualPlatform(scenario(limits=two_a_minute), settings=settings) as platform:
        seen["retries"] = platform.run(retries(platform.client(), platform))
    full = {"nodes": 1, "batching": {"max_num_queued_reqs": 1}}
    with VirtualPlatform(scenario(llama=full), settings=settings) as platform:
        seen["full"] = platform.run(full_node(platform.client(), platform))
    with VirtualPlatform(scenario(), settings=settings) as platform:
        client = platform.client(_strict_response_validation=True)
        seen["structures"] = platform.run(structures(client))
        seen["responses"] = platform.run(responses(client))
    return {"openai": openai.__version__, "http": client_library().__name__, **seen}


if __name__ == "__main__":
    print(json.dumps(main()))  # noqa: T201 -- the output of a subprocess
