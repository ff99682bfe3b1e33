"""What every answer carries, whoever gives it, and what a browser may see of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from api_shim.settings import ServerSettings
from api_shim.wire.said import said_in
from sim.run.journal import Journal
from tests.support.live import LLAMA, MakeWire, Wire, chat, scenario

PAGE = "https://page.example"


def test_a_clients_own_request_id_comes_back_and_is_written_down_beside_the_number(
    make: MakeWire, tmp_path: Path
) -> None:
    wire = make()
    journal = wire.platform.shim.journal = Journal(wire.platform.world.env)
    own = wire.ask(body=chat(), headers={"x-request-id": "run-7/row:42"})
    given = wire.ask(body=chat())
    journal.write(tmp_path / "arrivals.jsonl")
    journal.close()
    rows = [json.loads(line) for line in (tmp_path / "arrivals.jsonl").read_text().splitlines()]
    assert own.headers["x-request-id"] == "run-7/row:42"
    assert given.headers["x-request-id"].startswith("req_")
    for reply, row in zip((own, given), rows, strict=True):
        assert row["request_id"] == reply.headers["x-request-id"]
        assert row["number"] == int(reply.headers["x-sim-number"])


@pytest.mark.parametrize("key", [None, "sk-me"])
def test_errors_keep_a_clients_request_id_too(wire: Wire, key: str | None) -> None:
    reply = wire.ask(body={}, key=key, headers={"x-request-id": "mine"})
    assert reply.status in {400, 401}
    assert reply.headers["x-request-id"] == "mine"


@pytest.mark.parametrize("theirs", ["", "two words", "x" * 129, "caf\u00e9", "a\tb"])
def test_a_request_id_that_will_not_do_is_replaced(wire: Wire, theirs: str) -> None:
    reply = wire.ask(body=chat(), headers={"x-request-id": theirs})
    assert re.fullmatch(r"req_[0-9a-f]{20}", reply.headers["x-request-id"])


def test_other_origins_pages_get_nothing_by_default(wire: Wire) -> None:
    reply = wire.ask(body=chat(), headers={"origin": PAGE})
    assert not [name for name in reply.headers if name.startswith("access-control")]
    asking = {"origin": PAGE, "access-control-request-method": "POST"}
    assert wire.ask(method="OPTIONS", headers=asking, key=None).status == 401


@pytest.mark.parametrize(("allowed", "echoed"), [((PAGE,), PAGE), (("*",), "*")])
def test_a_page_of_an_allowed_origin_may_ask_and_read_everything(
    make: MakeWire, allowed: tuple[str, ...], echoed: str
) -> None:
    wire = make(settings=ServerSettings(cors_origins=allowed))
    asking = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
    }
    before = wire.ask(method="OPTIONS", headers=asking, key=None)
    assert before.status == 200
    assert before.headers["access-control-allow-origin"] == echoed
    assert "POST" in before.headers["access-control-allow-methods"]
    assert before.headers["access-control-allow-headers"] == asking["access-control-request-headers"]
    for key, status in (("sk-me", 200), (None, 401)):
        reply = wire.ask(body=chat(), headers={"origin": PAGE}, key=key)
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == echoed
        assert reply.headers["access-control-expose-headers"] == "*"
        assert "access-control-allow-credentials" not in reply.headers


def test_a_page_may_use_every_method_that_an_endpoint_has(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(cors_origins=(PAGE,)))
    described = wire.ask("/openapi.json").json["paths"].values()
    for method in {name.upper() for path in described for name in path}:
        asking = {"origin": PAGE, "access-control-request-method": method}
        assert wire.ask(method="OPTIONS", headers=asking, key=None).status == 200, method


def test_a_page_of_another_origin_is_told_no(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(cors_origins=(PAGE,)))
    other = {"origin": "https://other.example", "access-control-request-method": "POST"}
    assert wire.ask(method="OPTIONS", headers=other, key=None).status == 400
    reply = wire.ask(body=chat(), headers=other)
    assert "access-control-allow-origin" not in reply.headers


def test_the_fingerprint_is_the_platforms_on_answers_and_chunks(make: MakeWire) -> None:
    def fingerprints(wire: Wire) -> set[str]:
        plain = {"model": LLAMA, "prompt": "hello"}
        whole = [wire.ask(body=chat()).json, wire.ask("/v1/completions", plain).json]
        chunks = [
            *wire.ask(body=chat(stream=True, stream_options={"include_usage": True})).frames,
            *wire.ask("/v1/completions", {**plain, "stream": True}).frames,
        ]
        return {found["system_fingerprint"] for found in [*whole, *chunks]}

    (first,) = fingerprints(make())
    assert re.fullmatch(r"fp_[0-9a-f]{10}", first)
    assert fingerprints(make()) == {first}
    assert fingerprints(make(scenario(limits={"requests_per_minute": 99, "tokens_per_minute": 9999}))) != {
        first
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat(max_tokens=5)),
        ("/v1/chat/completions", chat(max_tokens=5, stream=True, log=True)),
        ("/v1/chat/completions", chat(max_tokens=0)),
        ("/v1/completions", {"model": LLAMA, "prompt": ["a", "b"]}),
        ("/v1/completions", {"model": "none", "prompt": "a"}),
        ("/v1/responses", {"model": LLAMA, "input": "hello", "stream": True}),
        ("/v1/responses", {"model": LLAMA}),
    ],
)
def test_the_straight_way_to_an_endpoint_answers_as_the_way_by_the_framework_does(
    make: MakeWire, path: str, body: Any
) -> None:
    straight, wire = make(), make()
    app: Any = wire.platform.app

    async def below_a_root(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": "/elsewhere"}, receive, send)

    wire.platform.app = below_a_root  # type: ignore[assignment]
    assert straight.ask(path, body) == wire.ask(path, body)


def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    headers = [(b"x-sim-place", b"here"), (b"x-sim-place", b"away"), (b"accept", b"*/*")]
    assert said_in({"headers": headers}) == {"x-sim-place": "here", "accept": "*/*"}


def test_an_answer_in_one_piece_says_its_kind_and_length(wire: Wire) -> None:
    reply = wire.ask(body=chat(max_tokens=5))
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))
