"""Every route that names something of a project, asked for it by another project."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from api_shim.store.sandboxes import SandboxRow
from tests.support.live import LLAMA, MakeWire, Reply, Wire, chat, scenario
from tests.support.platform import form, post, upload, upload_part

OWNER, OTHER = "sk-owner", "sk-other"
KEYS = {OWNER: {"project": "mine"}, OTHER: {"project": "yours"}}
WORD = "a-word-of-the-owner"
"""Stands in everything that it has."""
BESIDE_OTHERS = {"organisation", "slug", "number", "item_id"}
"""Parameters that name nothing of a project, or only beside others that do."""
BY_ITS_TOKEN = "/sandboxes/"
"""Asked with the sandbox's own token instead of a key."""
BODIES: dict[str, Any] = {
    "POST /v1/conversations/{conversation_id}": {"metadata": {"a": "b"}},
    "POST /v1/conversations/{conversation_id}/items": {
        "items": [{"type": "message", "role": "user", "content": "hello"}]
    },
    "POST /v1/secrets/{name}": {"name": "token", "value": "other"},
    "POST /v1/sandboxes/{sandbox_id}/expose": {"ports": [80]},
}
FORMS = {
    "POST /v1/multipart/{artifact_id}/part": form("artifact_part", b"x", {"part_num": "1"}),
    "POST /api/endpoint/{organisation}/{slug}/artifact/multipart/{artifact_id}/{number}": form(
        "artifact_part", b"x", {}
    ),
}


class Owned(NamedTuple):
    wire: Wire
    ids: dict[str, str]
    """By the name of the parameter."""


@pytest.fixture
def owned(make: MakeWire) -> Owned:
    wire = make(scenario(serve={"keys": KEYS}))
    wire.key = OWNER
    fields = {"purpose": "batch"}
    line = json.dumps(
        {"custom_id": WORD, "method": "POST", "url": "/v1/chat/completions", "body": chat(WORD)}
    )
    file = wire.ask("/v1/files", **form("file", line.encode(), fields)).json["id"]
    batch = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    conversation = post(
        wire, "/v1/conversations", {"items": [{"type": "message", "role": "user", "content": WORD}]}
    )
    of_model = {"model": LLAMA, "input": WORD, "max_output_tokens": 16}
    items = wire.ask(f"/v1/conversations/{conversation.json['id']}/items").json["data"]
    wire.ask(body=chat(WORD, log=True, max_tokens=1))
    config = {"config": {"artifact_metadata": {"python_version": "3.11"}, "entrypoint": WORD}}
    unfinished = post(wire, "/v1/multipart", config).json["artifact_id"]
    upload_part(wire, unfinished, 1, b"x")
    whole = upload(wire, entrypoint=WORD).json["artifact_id"]
    post(wire, "/v1/jobs", {"artifact_id": whole})
    post(wire, "/v1/secrets", {"name": "token", "value": WORD})
    row = SandboxRow("sbx_1", "mine", 1, None, None, 512, 1000, {}, {"label": WORD})
    wire.platform.shim.store.sandboxes.add(row)
    return Owned(
        wire,
        {
            "file_id": file,
            "batch_id": post(wire, "/v1/batches", batch).json["id"],
            "response_id": post(wire, "/v1/responses", of_model).json["id"],
            "conversation_id": conversation.json["id"],
            "item_id": items[0]["id"],
            "trace_id": wire.ask("/v1/traces").json["data"][0]["id"],
            "artifact_id": unfinished,
            "whole_artifact_id": whole,
            "name": "token",
            "sandbox_id": "sbx_1",
            "organisation": "local",
            "slug": "mine",
            "number": "2",
        },
    )


def operations(wire: Wire) -> Iterator[tuple[str, str]]:
    for path, methods in wire.ask("/openapi.json").json["paths"].items():
        for method in methods:
            yield method.upper(), path


def ask(owned: Owned, method: str, path: str, key: str) -> Reply:
    operation = f"{method} {path}"
    filled = path.format(**owned.ids)
    if operation in FORMS:
        return owned.wire.ask(filled, **FORMS[operation], key=key)
    json_headers = {"content-type": "application/json"} if operation in BODIES else {}
    return owned.wire.ask(filled, BODIES.get(operation), method=method, headers=json_headers, key=key)


def test_what_a_route_names_exists_for_nobody_else(owned: Owned) -> None:
    named = [
        (method, path)
        for method, path in operations(owned.wire)
        if "{" in path
        and not path.startswith(BY_ITS_TOKEN)
        and any("{" + name + "}" in path for name in owned.ids.keys() - BESIDE_OTHERS)
    ]
    assert len(named) >= 28
    for method, path in named:
        refused = ask(owned, method, path, OTHER)
        assert refused.status == 404, (method, path, refused.body)
        assert WORD.encode() not in refused.body
    kept = [path for method, path in named if method == "GET"]
    assert {ask(owned, "GET", path, OWNER).status for path in kept} == {200}, (
        "what was refused has not been done"
    )


def test_no_list_has_anything_of_another_project(owned: Owned) -> None:
    lists = [path for method, path in operations(owned.wire) if method == "GET" and "{" not in path]
    lists += ["/api/secrets/{slug}", "/api/sandbox/{organisation}/{slug}/list"]
    seen = {path for path in lists if WORD.encode() in ask(owned, "GET", path, OWNER).body}
    assert seen >= {"/v1/secrets", "/api/secrets/{slug}", "/v1/sandboxes", "/v1/sandboxes/history"}
    ids = [id_.encode() for name, id_ in owned.ids.items() if name.endswith("_id")]
    for path in lists:
        answer = ask(owned, "GET", path, OTHER)
        assert not [word for word in (WORD.encode(), *ids) if word in answer.body], (path, answer.body)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/jobs", {}, "artifact_id: whole_artifact_id"),
        ("/api/endpoint/local/mine/deploy", {}, "artifact_id: whole_artifact_id"),
        (
            "/v1/batches",
            {"endpoint": "/v1/chat/completions", "completion_window": "24h"},
            "input_file_id: file_id",
        ),
        ("/v1/responses", {"model": LLAMA, "input": "hello"}, "previous_response_id: response_id"),
        ("/v1/responses", {"model": LLAMA, "input": "hello"}, "conversation: conversation_id"),
    ],
)
def test_a_body_names_nothing_of_another_project(
    owned: Owned, path: str, body: dict[str, Any], named: str
) -> None:
    member, _, of = named.partition(": ")
    refused = post(owned.wire, path, {**body, member: owned.ids[of]}, key=OTHER)
    assert refused.status in {400, 404}, refused.body
    assert post(owned.wire, path, {**body, member: owned.ids[of]}, key=OWNER).status == 200
