"""Responses that are made while nobody waits: watched, told again, cancelled, finished by the next server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api_shim.settings import ServerSettings
from api_shim.store.store import Store
from tests.support.live import GPT_OSS, MS, MakeWire, Reply, Wire, scenario
from tests.support.responding import (
    asked,
    blocks,
    events_of,
    made,
    put_together,
    respond,
    result,
    text_of,
    tool,
    without_times,
)

NEXT = ServerSettings(instance="00000001")


def read(wire: Wire, response_id: str) -> Any:
    return wire.ask(f"/v1/responses/{response_id}").json


async def later(wire: Wire, path: str, after_s: float, **options: Any) -> Reply:
    await asyncio.sleep(after_s)
    return await wire.send(path, **options)


def test_it_is_queued_then_in_progress_then_what_it_would_have_been_in_the_foreground(make: MakeWire) -> None:
    """Away the request arrives after 30 ms, and the answer is back 10 ms after its 51."""
    wire = make()
    whole = made(wire)
    begun = wire.ask("/v1/responses", asked(background=True), headers={"x-sim-place": "away"})
    assert begun.status == 200
    assert begun.ended_ps == begun.begun_ps == 51 * MS, "nobody waits for it"
    response = begun.json
    assert (response["status"], response["output"], response["background"]) == ("queued", [], True)
    path = f"/v1/responses/{response['id']}"

    async def statuses() -> list[str]:
        waits_s = (0, 0.029, 0.002, 0.059, 0.002)
        return [(await later(wire, path, wait_s)).json["status"] for wait_s in waits_s]

    assert wire.platform.run(statuses()) == ["queued", "queued", "in_progress", "in_progress", "completed"]
    done = read(wire, response["id"])
    same = {"background": False}
    assert without_times(done) | same == without_times(whole)
    assert done["usage"]["total_tokens"] == 16
    assert not wire.platform.app.state.background._jobs


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stream": True},
        {"model": GPT_OSS, "tools": [tool("get_weather")]},
        {"include": ["message.output_text.logprobs"]},
        {"max_output_tokens": 16, "text": {"verbosity": "high"}},
    ],
)
def test_its_events_can_be_told_from_any_number_on_while_it_is_made_and_afterwards(
    make: MakeWire, fields: Any
) -> None:
    wire = make(scenario(serve={"output": {"kind": "fixed", "tokens": 20}}))
    begun = respond(wire, "weather", **{"background": True, "stream": False, **fields})
    first = events_of(begun)[0]["response"] if "stream" in fields else begun.json
    path = f"/v1/responses/{first['id']}?stream=true"

    async def during() -> list[Reply]:
        visits = ((path, 0.0), (f"{path}&starting_after=4", 0.03), (path, 0.5))
        return await asyncio.gather(*(later(wire, url, after_s) for url, after_s in visits))

    at_once, from_five, afterwards = (events_of(reply) for reply in wire.platform.run(during()))
    assert at_once == afterwards
    assert from_five == at_once[5:]
    assert [event["type"] for event in at_once[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    assert [event["response"]["status"] for event in at_once[:3]] == ["queued", "queued", "in_progress"]
    assert put_together(at_once) == read(wire, first["id"])
    if "stream" in fields:
        assert events_of(begun) == at_once
    assert events_of(wire.ask(f"{path}&starting_after=1000")) == []


def test_a_client_that_leaves_its_stream_does_not_end_the_response(wire: Wire) -> None:
    async def story() -> Reply:
        body = asked(background=True, stream=True)
        left = await wire.send("/v1/responses", body, leave_after_chunks=1)
        await asyncio.sleep(1)
        return left

    (_, created), *_ = blocks(wire.platform.run(story()).body)
    assert "resp_" in created
    assert read(wire, created.split('"id":"')[1].split('"')[0])["status"] == "completed"


def test_one_that_is_cancelled_leaves_the_model_and_stays_cancelled(wire: Wire) -> None:
    response_id = made(wire, background=True)["id"]
    path = f"/v1/responses/{response_id}"

    async def story() -> tuple[Reply, Reply]:
        watching = asyncio.create_task(wire.send(f"{path}?stream=true"))
        cancelled = await later(wire, f"{path}/cancel", 0.025, method="POST")
        await asyncio.sleep(0.011)  # it leaves with the step that is under way
        return cancelled, await watching

    cancelled, watched = wire.platform.run(story())
    assert cancelled.json["status"] == "cancelled"
    assert cancelled.json["output"] == []
    assert events_of(watched)[-1]["response"] == cancelled.json
    assert wire.ask(f"{path}/cancel", method="POST").json == cancelled.json == read(wire, response_id)
    assert events_of(wire.ask(f"{path}?stream=true"))[-1]["response"] == cancelled.json
    assert not wire.platform.world.platform.inside


def test_who_comes_back_after_it_was_cancelled_is_told_so(make: MakeWire) -> None:
    """However many events the client has: what was made is not kept."""
    wire = make(scenario(serve={"output": {"kind": "fixed", "tokens": 400}}))
    path = f"/v1/responses/{made(wire, background=True)['id']}"
    cancelled = wire.ask(f"{path}/cancel", method="POST").json
    assert cancelled["status"] == "cancelled"
    (end,) = events_of(wire.ask(f"{path}?stream=true&starting_after=10"))
    assert (end["sequence_number"], end["response"]) == (11, cancelled)


def test_what_is_over_or_was_never_in_the_background_is_not_cancelled(wire: Wire) -> None:
    done = made(wire, background=True)["id"]
    wire.platform.run(asyncio.sleep(1))
    assert wire.ask(f"/v1/responses/{done}/cancel", method="POST").json["status"] == "completed"
    plain = made(wire)["id"]
    refused = wire.ask(f"/v1/responses/{plain}/cancel", method="POST")
    assert (refused.status, refused.error["param"]) == (400, "response_id")
    assert wire.ask(f"/v1/responses/{plain}?stream=true").error["param"] == "stream"
    assert wire.ask(f"/v1/responses/{plain}?starting_after=1").error["param"] == "starting_after"


def test_a_deleted_one_is_cancelled_first(wire: Wire) -> None:
    response_id = made(wire, background=True)["id"]
    assert wire.ask(f"/v1/responses/{response_id}", method="DELETE").json["deleted"]
    wire.platform.run(asyncio.sleep(1))
    assert wire.ask(f"/v1/responses/{response_id}").status == 404
    assert not wire.platform.world.platform.inside


def test_what_the_model_refuses_has_failed(make: MakeWire) -> None:
    wire = make(scenario(limits={"requests_per_minute": 1, "tokens_per_minute": 100_000}))
    made(wire)
    response_id = made(wire, background=True)["id"]
    too_long = made(wire, " ".join(["word"] * 2500), background=True)["id"]
    wire.platform.run(asyncio.sleep(1))
    assert read(wire, response_id)["error"]["code"] == "rate_limit_exceeded"
    assert read(wire, too_long)["error"]["code"] == "invalid_prompt"
    failed = events_of(wire.ask(f"/v1/responses/{response_id}?stream=true"))
    assert failed[-1]["type"] == "response.failed"
    assert failed[-1]["response"] == read(wire, response_id)


def test_nothing_goes_on_with_a_response_that_is_not_over(wire: Wire) -> None:
    response_id = made(wire, background=True)["id"]
    refused = respond(wire, previous_response_id=response_id)
    assert (refused.status, refused.error["code"]) == (400, "previous_response_in_progress")
    wire.platform.run(asyncio.sleep(1))
    assert made(wire, previous_response_id=response_id)["usage"]["input_tokens"] == 27


def test_the_next_server_makes_what_was_acknowledged_with_the_same_ids_and_words_and_only_that(
    make: MakeWire, tmp_path: Path
) -> None:
    store = Store(tmp_path / "state")
    wire = make(store=store)
    first = made(wire, "weather", tools=[tool("get_weather")])
    body = asked([result(first["output"][0])], previous_response_id=first["id"], background=True)
    done = wire.ask("/v1/responses", body).json["id"]
    wire.platform.run(asyncio.sleep(1))
    undone = wire.ask("/v1/responses", body, headers={"x-sim-place": "away"}).json
    wire.platform.run(asyncio.sleep(0.05))
    seen_done = read(wire, done)
    wire.platform.close()

    store = Store(tmp_path / "state")
    wire = make(store=store, settings=NEXT)
    assert read(wire, undone["id"]) == undone
    wire.platform.run(wire.platform.app.state.background.resume())
    wire.platform.run(asyncio.sleep(1))
    finished = read(wire, undone["id"])
    assert read(wire, done) == seen_done
    assert finished["created_at"] == undone["created_at"]
    assert without_times(finished) == without_times(seen_done)
    assert text_of(finished)
    (request,) = wire.platform.world.platform.records.arrays("number")["number"].tolist()
    assert request == 0, "one request, for the one that was not over"
    wire.platform.run(wire.platform.app.state.background.resume())
    assert not wire.platform.app.state.background._jobs


def test_what_the_next_server_does_not_understand_any_more_has_failed(make: MakeWire, tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    wire = make(store=store)
    first = made(wire)
    undone = made(wire, previous_response_id=first["id"], background=True)["id"]
    assert wire.ask(f"/v1/responses/{first['id']}", method="DELETE").status == 200
    wire.platform.close()
    wire = make(store=Store(tmp_path / "state"), settings=NEXT)
    wire.platform.run(wire.platform.app.state.background.resume())
    response = read(wire, undone)
    assert response["status"] == "failed"
    assert first["id"] in response["error"]["message"]
