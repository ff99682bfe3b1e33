"""Conversations and their items: to another project they do not exist."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from api_shim.store.database import Database, Value

MOST_CONVERSATIONS = 100_000
"""Kept. The oldest go first."""
MOST_KEPT_ITEMS = 10_000
"""Of a conversation. The oldest go first."""


@dataclass(frozen=True, slots=True)
class StoredConversation:
    id: str
    project: str
    created_s: int
    """Since 1970, on the shim's clock."""
    metadata: str
    """JSON."""


class ItemRow(NamedTuple):
    id: str
    item: str
    """JSON, with the id."""


class Conversations:
    """What changes it takes the connection of a transaction, so that several changes can share one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, connection: sqlite3.Connection, conversation: StoredConversation, items: Sequence[ItemRow]
    ) -> None:
        connection.execute(
            "INSERT INTO conversations (id, project, created_s, metadata) VALUES (?, ?, ?, ?)",
            (conversation.id, conversation.project, conversation.created_s, conversation.metadata),
        )
        connection.execute(
            "DELETE FROM conversations WHERE number <= last_insert_rowid() - ?", (MOST_CONVERSATIONS,)
        )
        self.append(connection, conversation.project, conversation.id, items)

    def append(
        self, connection: sqlite3.Connection, project: str, id_: str, items: Sequence[ItemRow]
    ) -> None:
        """Nothing where the conversation has been deleted."""
        found = connection.execute(
            "SELECT number FROM conversations WHERE project = ? AND id = ?", (project, id_)
        ).fetchone()
        if found is None or not items:
            return
        rows = [(found["number"], item.id, item.item) for item in items]
        connection.executemany(
            "INSERT INTO conversation_items (conversation, id, item) VALUES (?, ?, ?)", rows
        )
        connection.execute(
            "DELETE FROM conversation_items WHERE conversation = ?1 AND number <= ("
            "SELECT number FROM conversation_items WHERE conversation = ?1 "
            "ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            (found["number"], MOST_KEPT_ITEMS),
        )

    def update(self, connection: sqlite3.Connection, project: str, id_: str, metadata: str) -> None:
        sql = "UPDATE conversations SET metadata = ? WHERE project = ? AND id = ?"
        connection.execute(sql, (metadata, project, id_))

    def remove(self, connection: sqlite3.Connection, project: str, id_: str) -> None:
        """With its items."""
        connection.execute("DELETE FROM conversations WHERE project = ? AND id = ?", (project, id_))

    def remove_item(self, connection: sqlite3.Connection, project: str, id_: str, item_id: str) -> None:
        connection.execute(
            "DELETE FROM conversation_items WHERE id = ? AND conversation = "
            "(SELECT number FROM conversations WHERE project = ? AND id = ?)",
            (item_id, project, id_),
        )

    def get(self, project: str, id_: str) -> StoredConversation | None:
        rows = self._database.query(
            "SELECT id, project, created_s, metadata FROM conversations WHERE project = ? AND id = ?",
            (project, id_),
        )
        return StoredConversation(**dict(rows[0])) if rows else None

    def items(self, project: str, id_: str, most: int) -> list[ItemRow]:
        """The latest, in their order."""
        rows = self._items(project, id_, "ORDER BY items.number DESC LIMIT ?", (most,))
        return rows[::-1]

    def item(self, project: str, id_: str, item_id: str) -> ItemRow | None:
        rows = self._items(project, id_, "AND items.id = ? LIMIT 1", (item_id,))
        return rows[0] if rows else None

    def find_item(self, project: str, item_id: str) -> ItemRow | None:
        """In any of the project's conversations."""
        rows = self._database.query(
            "SELECT items.id, item FROM conversation_items AS items "
            "JOIN conversations ON conversations.number = items.conversation "
            "WHERE items.id = ? AND project = ? LIMIT 1",
            (item_id, project),
        )
        return ItemRow(*rows[0]) if rows else None

    def _items(self, project: str, id_: str, rest: str, values: tuple[Value, ...]) -> list[ItemRow]:
        rows = self._database.query(
            "SELECT items.id, item FROM conversation_items AS items "  # noqa: S608 -- our own words
            "JOIN conversations ON conversations.number = items.conversation "
            f"WHERE project = ? AND conversations.id = ? {rest}",
            (project, id_, *values),
        )
        return [ItemRow(*row) for row in rows]
