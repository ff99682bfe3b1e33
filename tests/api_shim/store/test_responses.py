"""Responses and conversations in the store: what is kept, what goes first, and commits that are shared."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api_shim.store import conversations, responses
from api_shim.store.conversations import ItemRow, StoredConversation
from api_shim.store.responses import StoredResponse
from api_shim.store.store import Store
from api_shim.store.writes import Writes


def row(number: int, previous: int | None = None, task: str | None = None) -> StoredResponse:
    before = None if previous is None else f"resp_{previous}"
    return StoredResponse(f"resp_{number}", "p", 1000, before, "{}", f"[{number}]", None, task)


def add(store: Store, *rows: StoredResponse) -> None:
    with store.database.transaction() as connection:
        for one in rows:
            store.responses.add(connection, one)


@pytest.fixture
def store() -> Any:
    store = Store()
    yield store
    store.close()


def test_a_chain_is_read_from_its_beginning_as_far_as_it_is_there(store: Store) -> None:
    add(store, row(1), row(2, 1), row(3, 2), row(4, 3))
    assert [turn.items for turn in store.responses.chain("p", "resp_3")] == ["[1]", "[2]", "[3]"]
    assert store.responses.chain("q", "resp_3") == []
    with store.database.transaction() as connection:
        store.responses.remove(connection, "p", "resp_2")
    turns = store.responses.chain("p", "resp_4")
    assert [turn.items for turn in turns] == ["[3]", "[4]"]
    assert turns[0].previous_id == "resp_2"


def test_a_chain_has_an_end_even_if_it_refers_to_itself(store: Store) -> None:
    add(store, row(1, 2), row(2, 1))
    assert len(store.responses.chain("p", "resp_1")) == responses.MOST_TURNS + 1


def test_the_oldest_responses_go_first_but_none_that_is_to_be_made(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.responses, "_most", 3)
    monkeypatch.setattr(responses, "ADDED_PER_FORGETTING", 1)
    add(store, row(1, task="{}"), *(row(number) for number in range(2, 7)))
    kept = store.database.query("SELECT id FROM responses ORDER BY number")
    assert [one["id"] for one in kept] == ["resp_1", "resp_4", "resp_5", "resp_6"]
    assert [one.id for one in store.responses.unfinished()] == ["resp_1"]


def test_what_is_over_does_not_change_any_more(store: Store) -> None:
    add(store, row(1, task="{}"))
    with store.database.transaction() as connection:
        assert store.responses.finish(connection, "resp_1", '{"a": 1}', "[]")
        assert not store.responses.finish(connection, "resp_1", '{"a": 2}', None)
    found = store.responses.get("p", "resp_1")
    assert found is not None
    assert (found.response, found.tokens, found.task) == ('{"a": 1}', "[]", None)
    assert store.responses.unfinished() == []


def test_conversations_and_items_are_bounded_and_items_go_with_their_conversation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "MOST_CONVERSATIONS", 2)
    monkeypatch.setattr(conversations, "MOST_KEPT_ITEMS", 3)
    items = [ItemRow(f"msg_{number}", f'"{number}"') for number in range(5)]
    for number in range(3):
        with store.database.transaction() as connection:
            store.conversations.add(connection, StoredConversation(f"conv_{number}", "p", 1000, "{}"), items)
    assert store.conversations.get("p", "conv_0") is None
    assert store.conversations.items("p", "conv_0", 10) == []
    assert store.conversations.items("p", "conv_1", 10) == items[2:]
    assert store.conversations.items("p", "conv_1", 2) == items[3:]
    with store.database.transaction() as connection:
        store.conversations.append(connection, "q", "conv_1", items)
    assert store.conversations.items("p", "conv_1", 10) == items[2:]
    assert store.database.query("SELECT count(*) FROM conversation_items")[0][0] == 6


def test_writes_that_wait_together_share_a_commit_and_all_of_them_hear_of_its_fault(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    commits: list[int] = []
    syncs: list[str] = []
    store.database._connection.set_trace_callback(
        lambda sql: syncs.append(sql.rpartition(" ")[2]) if "synchronous" in sql else None
    )

    async def aside(work: Any) -> None:
        commits.append(0)
        await asyncio.sleep(0)  # as while a thread syncs
        work()

    async def story() -> list[Any]:
        writes = Writes(store.database, aside)

        async def write(number: int, *, synced: bool = True) -> None:
            await writes.write(lambda connection: store.responses.add(connection, row(number)), synced=synced)

        first = asyncio.create_task(write(0, synced=False))
        await asyncio.sleep(0)
        await asyncio.gather(first, *(write(number, synced=number == 5) for number in range(1, 10)))
        return list(await asyncio.gather(write(10), write(0), return_exceptions=True))

    problems = asyncio.run(story())
    assert len(commits) == 3
    assert syncs == ["NORMAL", "FULL"]
    assert all("UNIQUE" in str(problem) for problem in problems)
    assert len(store.database.query("SELECT id FROM responses")) == 10
    store.close()
