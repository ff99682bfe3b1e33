"""Lists of items, and conversations, on the wire."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from api_shim.wire.body import Body
from api_shim.wire.chat_body import Metadata
from api_shim.wire.errors import bad_value
from api_shim.wire.responses.items import StoredItem

Json = dict[str, Any]
MOST_ADDED = 20
"""Items in one go: OpenAI's."""


class ItemQuery(Body):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None


class ItemList(BaseModel):
    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def whole(cls, items: list[Json]) -> Self:
        return cls(
            data=items,
            first_id=items[0]["id"] if items else None,
            last_id=items[-1]["id"] if items else None,
            has_more=False,
        )

    @classmethod
    def page(cls, items: list[Json], query: ItemQuery) -> Self:
        """`items` in the order of their making. Raises ApiError where `after` is none of them."""
        ordered = items if query.order == "asc" else items[::-1]
        start = 0
        if query.after is not None:
            places = [place for place, item in enumerate(ordered) if item["id"] == query.after]
            if not places:
                raise bad_value("after", "'after' has to be the id of an item of this list.")
            start = places[0] + 1
        page = cls.whole(ordered[start : start + query.limit])
        page.has_more = start + query.limit < len(ordered)
        return page


class NewConversation(Body):
    items: list[StoredItem] | None = Field(None, max_length=MOST_ADDED)
    metadata: Metadata | None = None


class ConversationChange(Body):
    metadata: Metadata | None


class NewItems(Body):
    items: list[StoredItem] = Field(min_length=1, max_length=MOST_ADDED)


class ConversationObject(BaseModel):
    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int = Field(description="seconds since 1970, on the simulated clock")
    metadata: dict[str, str]


class ConversationDeleted(BaseModel):
    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True
