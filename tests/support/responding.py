"""Responses as their clients ask for them and read them, in virtual time."""

import json
from collections.abc import Iterator
from typing import Any

from tests.support.live import LLAMA, Reply, Wire

JSON = {"content-type": "application/json"}
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}


def asked(said: Any = "hello", **fields: Any) -> dict[str, Any]:
    """A body; "hello" is 11 tokens for Llama: 1 of text and 10 of template. None leaves the input out."""
    return {"model": LLAMA, **({} if said is None else {"input": said}), **fields}


def respond(wire: Wire, said: Any = "hello", *, key: str = "sk-me", **fields: Any) -> Reply:
    return wire.ask("/v1/responses", asked(said, **fields), key=key)


def made(wire: Wire, said: Any = "hello", **fields: Any) -> Any:
    reply = respond(wire, said, **fields)
    assert reply.status == 200, reply.body
    return reply.json


def tool(name: str, parameters: Any = WEATHER) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": parameters}


def result(call: Any, output: Any = "fine") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call["call_id"], "output": output}


def calls_of(response: Any) -> list[Any]:
    return [item for item in response["output"] if item["type"] == "function_call"]


def text_of(response: Any) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)


def events_of(reply: Reply) -> list[Any]:
    """Of a stream; checked to be named by their types, and to end without a mark of its own."""
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = []
    for name, data in blocks(reply.body):
        events.append(json.loads(data))
        assert name == events[-1]["type"]
    return events


def blocks(said: bytes) -> Iterator[tuple[str, str]]:
    """(event, data), without comments."""
    for block in said.decode().split("\n\n"):
        if block and not block.startswith(":"):
            name, data = block.split("\n")
            yield name.removeprefix("event: "), data.removeprefix("data: ")


def put_together(events: list[Any]) -> Any:
    """The response as a client makes it from the events, each checked against what came before it."""
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert events[0]["type"] == "response.created"
    output: list[Any] = []
    texts: dict[int, str] = {}
    for event in events:
        kind, index = event["type"], event.get("output_index")
        if kind == "response.output_item.added":
            assert index == len(output)
            output.append(None)
            texts[index] = ""
            assert event["item"].get("status", "in_progress") == "in_progress"
            assert event["item"].get("content", []) == []
        elif kind.endswith(".delta"):
            assert event["delta"]
            texts[index] += event["delta"]
        elif kind in {"response.output_text.done", "response.reasoning_text.done"}:
            assert event["text"] == texts[index]
        elif kind == "response.function_call_arguments.done":
            assert event["arguments"] == texts[index]
        elif kind == "response.output_item.done":
            assert output[index] is None
            output[index] = event["item"]
    last = events[-1]["response"]
    if last["status"] in {"completed", "incomplete"}:
        assert last["output"] == output
    return last


def without_times(response: Any) -> Any:
    """What two equal requests have in common."""
    text = json.dumps(response).replace(response["id"].removeprefix("resp_"), "ID")
    times = {"created_at", "completed_at", "usage"}
    return {name: value for name, value in json.loads(text).items() if name not in times}
