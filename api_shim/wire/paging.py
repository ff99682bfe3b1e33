"""What stands around a piece of a list: OpenAI's cursors, and the pages of 8080's client."""

from collections.abc import Sequence
from math import ceil
from typing import Any, Literal

from pydantic import BaseModel


class Page(BaseModel):
    object: Literal["list"] = "list"
    data: Sequence[BaseModel]
    first_id: str | None
    last_id: str | None
    has_more: bool
    has_previous: bool
    total: int
    total_pages: int
    page: int
    limit: int
    offset: int
    next_page: int | None
    previous_page: int | None

    @staticmethod
    def around(ids: Sequence[str], offset: int, total: int, limit: int) -> dict[str, Any]:
        """Everything but the data, of which `ids` are. `offset` of `total` come before them."""
        page = offset // limit + 1
        has_more = bool(ids) and offset + len(ids) < total
        return {
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
            "has_more": has_more,
            "has_previous": offset > 0,
            "total": total,
            "total_pages": ceil(total / limit),
            "page": page,
            "limit": limit,
            "offset": offset,
            "next_page": page + 1 if has_more else None,
            "previous_page": page - 1 if page > 1 else None,
        }
