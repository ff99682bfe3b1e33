"""What is answered, against OpenAI's own document of the API, which is not part of the repository."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it comes without types

from tests.support.live import GPT_OSS, Wire
from tests.support.responding import events_of, made, respond, result, tool

CASES: list[dict[str, Any]] = [
    {},
    {"model": GPT_OSS, "include": ["reasoning.encrypted_content"]},
    {
        "tools": [tool("get_weather"), tool("get_time")],
        "tool_choice": {"type": "function", "name": "get_time"},
    },
    {"include": ["message.output_text.logprobs"], "top_logprobs": 1},
    {
        "text": {
            "format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}},
            "verbosity": "low",
        }
    },
    {"max_output_tokens": 16, "text": {"verbosity": "high"}, "metadata": {"a": "b"}, "instructions": "brief"},
    {"background": True},
]


@cache
def document() -> Any:
    folder = os.environ.get("E80SIM_DATA")
    if folder is None:
        pytest.skip("E80SIM_DATA is not set: OpenAI's document is not part of the repository")
    text = (Path(folder) / "openai" / "openai-subset.json").read_text(encoding="utf-8")
    return mended(json.loads(text))


def mended(schema: Any) -> Any:
    """`nullable` as JSON Schema has it; without discriminators, which JSON Schema does not know.

    A union need not be of one alone: an item of ours fits several of OpenAI's that demand nothing.
    """
    if isinstance(schema, list):
        return [mended(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        name: mended(value) for name, value in schema.items() if name not in {"discriminator", "nullable"}
    }
    if "oneOf" in found:
        found["anyOf"] = found.pop("oneOf")
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found


def faults(name: str, value: Any) -> list[str]:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    return [
        f"{list(error.absolute_path)}: {error.message[:200]}"
        for error in Draft202012Validator(schema).iter_errors(value)
    ]


@pytest.mark.parametrize("fields", CASES)
def test_responses_events_and_items_are_as_openai_has_them(wire: Wire, fields: Any) -> None:
    response = made(wire, "get time", **fields)
    assert faults("Response", response) == []
    for event in events_of(respond(wire, "get time", stream=True, **fields)):
        assert faults("ResponseStreamEvent", event) == [], event["type"]
    items = wire.ask(f"/v1/responses/{response['id']}/input_items").json
    assert faults("ResponseItemList", items) == []


def test_lists_of_all_kinds_of_items_are_as_openai_has_them(wire: Wire) -> None:
    first = made(wire, "weather", model=GPT_OSS, tools=[tool("get_weather")])
    _, call = first["output"]
    second = made(wire, [result(call)], model=GPT_OSS, previous_response_id=first["id"])
    listed = wire.ask(f"/v1/responses/{second['id']}/input_items").json
    assert {item["type"] for item in listed["data"]} == {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
    }
    assert faults("ResponseItemList", listed) == []


def test_the_document_finds_what_is_missing(wire: Wire) -> None:
    response = made(wire)
    assert faults("Response", {name: value for name, value in response.items() if name != "tools"})
    assert faults("ResponseTextDoneEvent", {"type": "response.output_text.done", "sequence_number": 1})
