"""What is kept: read, listed, deleted, by the project that made it alone."""

from typing import Any

import pytest

from tests.support.live import Wire
from tests.support.responding import JSON, made, respond, text_of

STRANGE = ["<script>alert(1)</script>", "'; DROP TABLE responses; --", "\U0001f600 a\x00b", '\\"', "{{name}}"]


def test_a_response_is_read_and_deleted(wire: Wire) -> None:
    response = made(wire)
    path = f"/v1/responses/{response['id']}"
    assert wire.ask(path).json == response
    assert wire.ask(path, method="DELETE").json == {
        "id": response["id"],
        "object": "response",
        "deleted": True,
    }
    for method, url in (
        ("GET", path),
        ("DELETE", path),
        ("POST", f"{path}/cancel"),
        ("GET", f"{path}/input_items"),
    ):
        reply = wire.ask(url, method=method)
        assert (reply.status, reply.error["code"]) == (404, "response_not_found")
    assert wire.ask(f"/v1/responses/{made(wire, store=False)['id']}").status == 404


def test_another_project_has_none_of_it(wire: Wire) -> None:
    path = f"/v1/responses/{made(wire)['id']}"
    background = f"/v1/responses/{made(wire, background=True)['id']}"
    for method, url in (
        ("GET", path),
        ("GET", background),
        ("GET", f"{background}?stream=true"),
        ("DELETE", path),
        ("POST", f"{background}/cancel"),
        ("GET", f"{path}/input_items"),
    ):
        assert wire.ask(url, method=method, key="sk-other").status == 404, url
    refused = respond(wire, previous_response_id=path.rpartition("/")[2], key="sk-other")
    assert (refused.status, refused.error["code"]) == (400, "previous_response_not_found")
    assert wire.ask(path).status == 200


def test_the_input_of_a_response_is_all_that_it_was_asked_newest_first(wire: Wire) -> None:
    first = made(wire, [{"role": "user", "content": "a"}, {"role": "user", "content": "b", "id": "mine"}])
    second = made(wire, "c", previous_response_id=first["id"])
    path = f"/v1/responses/{second['id']}/input_items"
    listed = wire.ask(path).json
    said = [item["content"][0]["text"] for item in listed["data"]]
    assert said == ["c", text_of(first), "b", "a"]
    assert listed["data"][2]["id"] == "mine"
    ids = [item["id"] for item in listed["data"]]
    assert len(set(ids)) == 4
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (ids[0], ids[3], False)
    page = wire.ask(f"{path}?limit=2&order=asc").json
    assert ([item["id"] for item in page["data"]], page["has_more"]) == (ids[:1:-1], True)
    page = wire.ask(f"{path}?limit=2&order=asc&after={page['last_id']}").json
    assert ([item["id"] for item in page["data"]], page["has_more"]) == (ids[1::-1], False)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=x", "after"),
    ],
)
def test_wrong_queries_are_told(wire: Wire, query: str, param: str) -> None:
    path = f"/v1/responses/{made(wire)['id']}/input_items"
    reply = wire.ask(f"{path}?{query}")
    assert (reply.status, reply.error["param"]) == (400, param)


@pytest.mark.parametrize("strange", STRANGE)
def test_whatever_stands_in_a_string_comes_back_as_it_was_and_does_nothing(wire: Wire, strange: str) -> None:
    fields: dict[str, Any] = {"instructions": strange, "metadata": {"note": strange}, "user": strange}
    response = made(wire, strange, **fields)
    kept = wire.ask(f"/v1/responses/{response['id']}").json
    assert kept == response
    assert {name: kept[name] for name in fields} == fields
    (item,) = wire.ask(f"/v1/responses/{response['id']}/input_items").json["data"]
    assert item["content"][0]["text"] == strange
    for unknown in (f"/v1/responses/{strange.encode().hex()}", "/v1/responses/%27%20OR%201=1"):
        assert wire.ask(unknown).status == 404


# Conversations


def begun(wire: Wire, **fields: Any) -> Any:
    reply = wire.ask("/v1/conversations", fields, headers=JSON)
    assert reply.status == 200, reply.body
    return reply.json


def test_a_conversation_is_made_described_changed_and_deleted(wire: Wire) -> None:
    conversation = begun(wire, metadata={"a": "b"})
    path = f"/v1/conversations/{conversation['id']}"
    assert conversation == {
        "id": conversation["id"],
        "object": "conversation",
        "created_at": int(wire.platform.shim.clock.unix_s()),
        "metadata": {"a": "b"},
    }
    assert wire.ask(path).json == conversation
    changed = wire.ask(path, {"metadata": {"c": "<b>"}}, headers=JSON).json
    assert changed == {**conversation, "metadata": {"c": "<b>"}} == wire.ask(path).json
    assert wire.ask(path, method="DELETE").json == {
        "id": conversation["id"],
        "object": "conversation.deleted",
        "deleted": True,
    }
    for url in (path, f"{path}/items", f"{path}/items/msg_1"):
        reply = wire.ask(url)
        assert (reply.status, reply.error["code"]) == (404, "conversation_not_found")
    assert wire.ask("/v1/conversations", method="POST").json["metadata"] == {}


def test_its_items_are_added_read_listed_and_deleted(wire: Wire) -> None:
    conversation = begun(wire, items=[{"role": "user", "content": "a"}])
    path = f"/v1/conversations/{conversation['id']}/items"
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    added = wire.ask(path, {"items": [call, {"role": "assistant", "content": "b"}]}, headers=JSON).json
    assert [item["type"] for item in added["data"]] == ["function_call", "message"]
    listed = wire.ask(f"{path}?order=asc").json["data"]
    assert listed[1:] == added["data"]
    item = f"{path}/{listed[1]['id']}"
    assert wire.ask(item).json == listed[1]
    assert wire.ask(item, method="DELETE").json == conversation
    for method in ("GET", "DELETE"):
        reply = wire.ask(item, method=method)
        assert (reply.status, reply.error["code"]) == (404, "item_not_found")
    assert wire.ask(f"{path}?order=asc").json["data"] == [listed[0], listed[2]]


def test_responses_go_on_with_a_conversation_and_add_to_it(wire: Wire) -> None:
    """A message "x" takes 6 tokens, like one of "hello"; an answer of 5 tokens takes 10."""
    conversation = begun(wire, items=[{"role": "user", "content": "x"}])["id"]
    first = made(wire, conversation=conversation, store=False)
    assert first["conversation"] == {"id": conversation}
    assert first["usage"]["input_tokens"] == 11 + 6
    second = made(wire, conversation={"id": conversation})
    assert second["usage"]["input_tokens"] == 11 + 6 + 16
    streamed = respond(wire, conversation=conversation, stream=True)
    assert b'"input_tokens":49,' in streamed.body
    listed = wire.ask(f"/v1/conversations/{conversation}/items?limit=100&order=asc").json["data"]
    assert [item["role"] for item in listed] == ["user", *["user", "assistant"] * 3]
    assert listed[2] == first["output"][0]
    by_reference = made(wire, [{"type": "item_reference", "id": listed[2]["id"]}, *listed[:1]])
    assert by_reference["usage"]["input_tokens"] == 11 + 10


def test_a_conversation_can_be_answered_without_more_input(wire: Wire) -> None:
    conversation = begun(wire, items=[{"role": "user", "content": "hello"}])["id"]
    assert made(wire, None, conversation=conversation)["usage"]["input_tokens"] == 11


def test_a_background_response_adds_to_it_when_it_is_over(wire: Wire) -> None:
    import asyncio

    conversation = begun(wire)["id"]
    made(wire, conversation=conversation, background=True)
    path = f"/v1/conversations/{conversation}/items"
    assert wire.ask(path).json["data"] == []
    wire.platform.run(asyncio.sleep(1))
    assert [item["role"] for item in wire.ask(path).json["data"]] == ["assistant", "user"]


def test_of_conversations_another_project_has_none(wire: Wire) -> None:
    conversation = begun(wire, items=[{"role": "user", "content": "x"}])["id"]
    path = f"/v1/conversations/{conversation}"
    (item,) = wire.ask(f"{path}/items").json["data"]
    for method, url, body in (
        ("GET", path, None),
        ("POST", path, {"metadata": {}}),
        ("DELETE", path, None),
        ("GET", f"{path}/items", None),
        ("POST", f"{path}/items", {"items": [{"role": "user", "content": "y"}]}),
        ("DELETE", f"{path}/items/{item['id']}", None),
    ):
        assert wire.ask(url, body, method=method, headers=JSON, key="sk-other").status == 404, (method, url)
    assert respond(wire, conversation=conversation, key="sk-other").status == 404
    assert wire.ask(f"{path}/items").json["data"] == [item]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"items": [{"role": "user", "content": "x"}] * 21}, "items"),
        ("", {"items": [{"type": "item_reference", "id": "msg_1"}]}, "items[0]"),
        ("", {"metadata": {"a": 1}}, "metadata.a"),
        ("/{id}", {}, "metadata"),
        ("/{id}/items", {"items": []}, "items"),
        ("/{id}/items", {"items": [{"role": "user"}]}, "items[0].content"),
        ("/{id}/items", [], None),
    ],
)
def test_wrong_bodies_are_told(wire: Wire, path: str, body: Any, param: str | None) -> None:
    made_id = begun(wire)["id"]
    reply = wire.ask(f"/v1/conversations{path.format(id=made_id)}", body, headers=JSON)
    assert (reply.status, reply.error["param"]) == (400, param), reply.body


def test_what_was_said_and_deleted_is_no_longer_read(wire: Wire) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    answered = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    conversation = begun(wire, items=[call, answered])["id"]
    path = f"/v1/conversations/{conversation}/items"
    _, made_call = wire.ask(path).json["data"]
    assert wire.ask(f"{path}/{made_call['id']}", method="DELETE").status == 200
    refused = respond(wire, conversation=conversation)
    assert (refused.status, refused.error["param"]) == (400, "input")
