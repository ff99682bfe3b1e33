"""A server that dies at a known instant of its work, and the next one on its state, in virtual time.

Two nodes take 11 ms for each request: 181 of 400 have ended after the first second, when they become durable.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from api_shim.batches import output
from api_shim.settings import ServerSettings
from api_shim.store.batches import Batches
from api_shim.store.files import Files
from api_shim.store.full_disk import StorageFullError
from api_shim.store.store import Store
from tests.support.batches import Json, contents, create, line, requests, until_over
from tests.support.live import LLAMA, MakeWire, Wire, chat

RESPONSES = "/v1/responses"


class KilledError(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def serve(make: MakeWire, state: Path) -> Callable[[], Wire]:
    """A server on the state, once the one before is dead."""
    wires: list[Wire] = []

    def on_state() -> Wire:
        if wires:
            die(wires[-1])
        settings = ServerSettings(instance=f"{len(wires):08x}")  # so that no two answers share an id
        wire = make(store=Store(state), settings=settings)
        wires.append(wire)
        wire.platform.run(wire.platform.app.state.batches.resume())
        return wire

    return on_state


def die(wire: Wire) -> None:
    """What its tasks would still do, they do to a store that nobody looks at any more."""
    store = wire.platform.shim.store
    wire.platform.shim.store = Store()
    store.close()


def durable(wire: Wire) -> dict[str, str]:
    """Ids of answers, by `custom_id`."""
    rows = wire.platform.shim.store.database.query("SELECT result FROM batch_results")
    found = [json.loads(row["result"]) for row in rows]
    return {each["custom_id"]: each["response"]["body"]["id"] for each in found}


def answers_of(wire: Wire, batch: Json) -> dict[str, str]:
    found = contents(wire, batch["output_file_id"])
    assert len({each["custom_id"] for each in found}) == len(found)
    return {each["custom_id"]: each["response"]["body"]["id"] for each in found}


@pytest.mark.parametrize(("dies_s", "kept"), [(0.0, 0), (0.9, 0), (1.1, 180), (2.1, 362)])
def test_a_batch_goes_on_where_the_results_that_are_durable_end(serve: Any, dies_s: float, kept: int) -> None:
    first = serve()
    id_ = create(first, requests(400)).json["id"]
    first.platform.run(asyncio.sleep(dies_s))
    before = durable(first)
    assert len(before) == pytest.approx(kept, abs=2)
    assert first.ask(f"/v1/batches/{id_}").json["request_counts"]["completed"] == len(before)
    second = serve()
    batch = until_over(second, id_)
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 400, "completed": 400, "failed": 0}
    assert batch["usage"]["total_tokens"] == 400 * 12
    after = answers_of(second, batch)
    assert len(after) == 400
    assert before.items() <= after.items(), "what was durable did not run again"
    assert second.platform.shim.served == 400 - len(before)


@pytest.mark.parametrize("kind", ["output", "error"])
def test_killed_before_one_of_the_files_is_there_the_next_server_makes_it(
    serve: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    first = serve()
    add = Files.add

    def dying(self: Files, *args: Any, **kwargs: Any) -> Any:
        if kwargs["filename"].endswith(f"_{kind}.jsonl"):
            raise KilledError
        return add(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Files, "add", dying)
        id_ = create(first, [line("a"), line("b", chat(temperature=7))]).json["id"]
        first.platform.run(asyncio.sleep(0.1))
        assert first.ask(f"/v1/batches/{id_}").json["status"] == "finalizing"
    second = serve()
    batch = until_over(second, id_)
    assert (batch["status"], batch["request_counts"]["failed"]) == ("completed", 1)
    assert [each["custom_id"] for each in contents(second, batch["output_file_id"])] == ["a"]
    assert [each["custom_id"] for each in contents(second, batch["error_file_id"])] == ["b"]
    assert second.ask("/v1/files?purpose=batch_output").json["total"] == 2, "none of them twice"
    assert second.platform.shim.served == 0
    assert held(second) == []


def held(wire: Wire) -> list[str]:
    folder = wire.platform.shim.store.files._contents().folder
    return [path.name for path in folder.iterdir() if path.name.startswith("held")]


def test_a_cancellation_that_was_acknowledged_holds_for_the_next_server(serve: Any) -> None:
    first = serve()
    id_ = create(first, requests(400)).json["id"]
    first.platform.run(asyncio.sleep(1.005))
    assert first.ask(f"/v1/batches/{id_}/cancel", method="POST").json["status"] == "cancelling"
    before = durable(first)
    second = serve()
    batch = until_over(second, id_)
    assert batch["status"] == "cancelled"
    assert answers_of(second, batch) == before
    assert len(contents(second, batch["error_file_id"])) == 400 - len(before)
    assert second.platform.shim.served == 0


def test_a_server_that_ends_by_itself_keeps_what_has_ended(serve: Any) -> None:
    first = serve()
    id_ = create(first, requests(400)).json["id"]
    first.platform.run(asyncio.sleep(0.5))
    first.platform.run(first.platform.app.state.batches.stop())
    assert len(durable(first)) == pytest.approx(90, abs=2)
    assert not first.platform.world.platform.inside or first.platform.run(asyncio.sleep(0.1)) is None
    assert not first.platform.world.platform.inside
    assert until_over(serve(), id_)["request_counts"]["completed"] == 400


def test_with_a_full_disk_no_batch_is_made(serve: Any) -> None:
    wire = serve()
    database = wire.platform.shim.store.database
    create(wire, [line()])
    (pages,) = database.query("PRAGMA page_count")[0]
    database.query(f"PRAGMA max_page_count = {pages}")
    made = [create(wire, [line()], metadata={"a": "x" * 512}) for _ in range(30)]
    full = [reply for reply in made if reply.status == 507]
    assert full
    assert full[0].error["code"] == "storage_full"
    database.query("PRAGMA max_page_count = 100000")
    total = wire.ask("/v1/batches").json["total"]
    assert total == 31 - len(full)
    assert database.query("PRAGMA integrity_check")[0][0] == "ok"


def test_a_disk_that_fills_up_makes_a_batch_wait_until_there_is_room(wire: Wire) -> None:
    database = wire.platform.shim.store.database
    id_ = create(wire, requests(800)).json["id"]
    wire.platform.run(asyncio.sleep(0.5))
    database.query("PRAGMA max_page_count = 1")
    wire.platform.run(asyncio.sleep(60))
    batch = wire.ask(f"/v1/batches/{id_}").json
    assert (batch["status"], batch["request_counts"]["completed"]) == ("in_progress", 0)
    assert wire.platform.shim.served < 256 + 256 + 64, "work does not run ahead of the disk"
    database.query("PRAGMA max_page_count = 100000")
    batch = until_over(wire, id_, 1)
    assert batch["request_counts"] == {"total": 800, "completed": 800, "failed": 0}
    assert len(answers_of(wire, batch)) == 800
    assert wire.platform.shim.served == 800


def test_a_disk_without_room_for_the_files_makes_a_batch_wait_too(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, failing = Files.add, [True]

    def add(self: Files, *args: Any, **kwargs: Any) -> Any:
        if failing[0] and kwargs["purpose"] == output.OUTPUT_PURPOSE:
            raise StorageFullError
        return keep(self, *args, **kwargs)

    monkeypatch.setattr(Files, "add", add)
    id_ = create(wire, requests(3)).json["id"]
    wire.platform.run(asyncio.sleep(100))
    assert wire.ask(f"/v1/batches/{id_}").json["status"] == "finalizing"
    failing[0] = False
    assert len(answers_of(wire, until_over(wire, id_, 10))) == 3


def test_our_own_fault_fails_a_batch_and_says_so(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "recorded", Mock(side_effect=ValueError))
    wire.platform.loop.set_exception_handler(lambda _loop, _context: None)
    batch = until_over(wire, create(wire, [line()]).json["id"])
    assert batch["status"] == "failed"
    assert [each["code"] for each in batch["errors"]["data"]] == ["server_error"]


@pytest.mark.parametrize("dies_s", [0.9, 2.05])
def test_what_is_kept_of_an_answer_is_there_as_often_as_the_answer(
    serve: Callable[[], Wire], dies_s: float
) -> None:
    """120 stored responses of 51 ms, every sixth of them in a conversation, which makes it longer."""
    first = serve()
    conversation = first.ask("/v1/conversations", {}, headers={"content-type": "application/json"}).json["id"]
    body = {"model": LLAMA, "input": "hello"}
    many = [
        line(f"r{n}", body if n % 6 else {**body, "conversation": conversation}, url=RESPONSES)
        for n in range(120)
    ]
    id_ = create(first, many, endpoint=RESPONSES).json["id"]
    first.platform.run(asyncio.sleep(dies_s))
    before = durable(first)
    assert (len(before) > 30) == (dies_s > 1)
    assert kept(first) == (len(before), turns(before))
    second = serve()
    batch = until_over(second, id_)
    after = answers_of(second, batch)
    assert len(after) == 120
    assert before.items() <= after.items()
    assert kept(second) == (120, turns(after)) == (120, 2 * 20)
    for answer in list(after.values())[::20]:
        assert second.ask(f"/v1/responses/{answer}").json["id"] == answer


def turns(answers: dict[str, str]) -> int:
    """Items of the conversation: what was asked, and what was answered."""
    return 2 * sum(int(custom_id[1:]) % 6 == 0 for custom_id in answers)


def kept(wire: Wire) -> tuple[int, int]:
    """(responses, items of conversations)"""
    query = wire.platform.shim.store.database.query
    found = [query(f"SELECT count(*) FROM {table}")[0][0] for table in ("responses", "conversation_items")]
    return found[0], found[1]
