"""Streamed responses: every event in order, with its number, and the same in sum as the whole answer."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_shim.content.plan import ContentPlan, Part
from api_shim.exchange.response_object import OutputForm, output_items
from api_shim.exchange.response_writer import ResponseWriter
from api_shim.exchange.stamps import Usage
from api_shim.settings import ServerSettings
from api_shim.wire.responses.items import ItemIds
from api_shim.wire.responses.objects import ResponseEvent
from tests.support.live import GPT_OSS, MS, MakeWire, Reply, Wire, scenario
from tests.support.responding import (
    asked,
    blocks,
    events_of,
    made,
    put_together,
    respond,
    tool,
    without_times,
)

TEXT = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    *["response.output_text.delta"] * 5,
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]
PER_TOKEN = ServerSettings(stream_chunks="per_token", flush_ms=5.0)
UNTOLD = Usage(1, 1, 0, 0, 0.0, 0.0, 0.0)


def test_a_text_is_told_in_thirteen_events(make: MakeWire) -> None:
    reply = respond(make(settings=PER_TOKEN), stream=True)
    assert [event["type"] for event in events_of(reply)] == TEXT
    assert b"[DONE]" not in reply.body
    assert reply.stamps["ended_ps"] == 51 * MS
    begun, progress, *_, last = events_of(reply)
    assert begun["response"] == progress["response"]
    assert begun["response"]["output"] == []
    assert begun["response"]["usage"] is None
    assert begun["response"]["status"] == "in_progress"
    assert last["response"]["usage"]["total_tokens"] == 16


def test_events_come_when_their_tokens_do(make: MakeWire) -> None:
    """The first token after 11 ms of prompt, then one each 10 ms; looked at every 5 ms."""
    reply = respond(make(settings=PER_TOKEN), stream=True)
    deltas = [at_ps for at_ps, chunk in reply.chunks for _ in range(chunk.count(b"output_text.delta\ndata"))]
    assert deltas == [11 * MS, 21 * MS, 31 * MS, 41 * MS, 51 * MS]


def test_calls_and_reasoning_have_their_own_events(make: MakeWire) -> None:
    fields: dict[str, Any] = {"model": GPT_OSS, "tools": [tool("get_weather"), tool("get_time")]}
    events = events_of(respond(make(), "get time, get weather", stream=True, **fields))
    kinds = [event["type"] for event in events if not event["type"].endswith(".delta")]
    call = [
        "response.output_item.added",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_text.done",
        "response.output_item.done",
        *call,
        *call,
        "response.completed",
    ]
    assert [event["name"] for event in events if "name" in event] == ["get_time", "get_weather"]


CASES: list[dict[str, Any]] = [
    {},
    {"model": GPT_OSS},
    {"tools": [tool("get_weather")]},
    {"tools": [tool("get_weather")], "model": GPT_OSS, "include": ["reasoning.encrypted_content"]},
    {"include": ["message.output_text.logprobs"], "top_logprobs": 1},
    {"text": {"format": {"type": "json_object"}}},
    {"max_output_tokens": 16, "reasoning": {"effort": "max"}, "model": GPT_OSS},
    {"max_output_tokens": 16, "tools": [tool("get_weather")]},
]


@pytest.mark.parametrize("chunks", ["per_token", "coalesced"])
@pytest.mark.parametrize("fields", CASES)
def test_the_events_add_up_to_the_whole_answer_and_are_as_described(
    make: MakeWire, chunks: Any, fields: Any
) -> None:
    wire = make(settings=ServerSettings(stream_chunks=chunks, flush_ms=25.0))
    whole = made(wire, "weather", **fields)
    events = events_of(respond(wire, "weather", stream=True, **fields))
    for event in events:
        ResponseEvent.model_validate(event, strict=True, extra="forbid")
    told = put_together(events)
    assert without_times(told) == without_times(whole)
    assert wire.ask(f"/v1/responses/{told['id']}").json == told


SEGMENTS = st.lists(
    st.tuples(st.sampled_from(["reasoning", "text", "call"]), st.integers(1, 6), st.integers(1, 4)),
    min_size=1,
    max_size=5,
)


def planned(segments: list[Any], cut: int) -> ContentPlan:
    """Parts one after the other, the last may be cut; those of calls begin with tokens without text."""
    pieces: list[str] = []
    parts: list[Part] = []
    calls = 0
    for kind, length, lead in segments:
        start, silent = len(pieces), lead * (kind == "call")
        pieces += [""] * silent + [f"{kind[0]}{i} " for i in range(length)]
        parts.append(Part(kind, start, len(pieces), calls, kind, silent))
        calls += kind == "call"
    end = max(parts[-1].start + 1, len(pieces) - cut)
    last = parts[-1]
    parts[-1] = Part(last.kind, last.start, end, last.number, last.name, last.lead)
    return ContentPlan((pieces[:end],), "length" if end < len(pieces) else "stop", tuple(parts))


@settings(max_examples=150, deadline=None)
@given(
    segments=SEGMENTS,
    cut=st.integers(0, 5),
    steps=st.lists(st.integers(1, 7), min_size=40, max_size=40),
    one_by_one=st.booleans(),
    after=st.integers(-1, 30),
)
def test_whatever_is_told_in_whatever_steps_every_event_has_its_place_and_number(
    segments: list[Any], cut: int, steps: list[int], one_by_one: bool, after: int
) -> None:
    plan, form = planned(segments, cut), OutputForm(ItemIds("resp_1", "o"))
    head: dict[str, Any] = {"id": "resp_1", "background": False, "status": "in_progress", "output": []}
    end = {**head, "status": "completed", "output": output_items(plan, form)}

    def told(steps: list[int], one_by_one: bool, after: int = -1) -> list[Any]:
        writer = ResponseWriter(head, plan, form, lambda: end, lambda _error: end, after=after)
        said, sent = writer.opening(0), 0
        for step in steps:
            until = min(plan.output_tokens, sent + step)
            for stretch in plan.stretches(0, sent, until):
                said += writer.content(0, stretch, 0, one_by_one=one_by_one)
            sent = until
        assert sent == plan.output_tokens
        said += writer.closing(0, plan.finish_reason) + writer.usage(UNTOLD)
        return [json.loads(data) for _, data in blocks(said)]

    events = told(steps, one_by_one)
    assert put_together(events) == end
    assert [event["type"] for event in events].count("response.output_item.done") == len(end["output"])
    if one_by_one:
        """Then the events follow from the tokens alone, so that a stream can be taken up again."""
        assert told([100], one_by_one=True) == events
        assert told([100], one_by_one=True, after=after) == events[after + 1 :]


def test_a_refusal_before_the_first_token_is_an_answer_with_its_status(make: MakeWire) -> None:
    wire = make(scenario(limits={"requests_per_minute": 1, "tokens_per_minute": 100_000}))
    assert respond(wire, stream=True).status == 200
    refused = respond(wire, stream=True)
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")


def test_a_client_that_leaves_takes_its_request_out_of_the_model_and_nothing_is_stored(wire: Wire) -> None:
    async def story() -> Reply:
        left = await wire.send("/v1/responses", asked(stream=True), leave_after_chunks=1)
        await asyncio.sleep(0.011)  # it leaves with the step that is under way
        return left

    reply = wire.platform.run(story())
    response_id = events_of(reply)[0]["response"]["id"]
    assert not wire.platform.world.platform.inside
    assert wire.ask(f"/v1/responses/{response_id}").status == 404


def test_a_stream_that_fails_in_the_middle_ends_with_the_failed_response(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No scenario loses a node yet, so the model's word is changed on its way out."""
    from api_shim.exchange.call import Call

    ended = Call.ended
    monkeypatch.setattr(Call, "ended", lambda call, at_ps, _reason: ended(call, at_ps, "node_lost"))
    events = events_of(respond(wire, stream=True))
    assert events[-1]["type"] == "response.failed"
    response = events[-1]["response"]
    assert response["error"] == {
        "code": "server_error",
        "message": "The request was lost inside the platform (node_lost).",
    }
    assert (response["status"], response["output"], response["usage"]) == ("failed", [], None)
    assert wire.ask(f"/v1/responses/{response['id']}").json == response
