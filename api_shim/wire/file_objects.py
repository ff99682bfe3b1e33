"""Files on the wire: OpenAI's object and list, with what 8080's own client reads beside them."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from api_shim.store.files import Listed, StoredFile, Wanted, number_of
from api_shim.wire.body import Body
from api_shim.wire.errors import bad_value
from api_shim.wire.paging import Page

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data"]
"""Not `evals`, which OpenAI's own object does not have: one such file makes strict clients refuse lists."""
MOST_LISTED = 10_000


class ExpiresAfter(Body):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class UploadFields(Body):
    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class ListQuery(Body):
    """`after` is OpenAI's cursor, `page` is 8080's."""

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = MOST_LISTED
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    page: Annotated[int | None, Field(ge=1, le=10**9)] = None
    purpose: str | None = None

    def wanted(self) -> Wanted:
        """Raises ApiError 400."""
        if self.after is not None and self.page is not None:
            raise bad_value("page", "'after' and 'page' both say where the list goes on: give one of them.")
        after = None if self.after is None else number_of(self.after)
        if self.after is not None and after is None:
            raise bad_value("after", "'after' has to be the id of a file.")
        offset = ((self.page or 1) - 1) * self.limit
        return Wanted(self.limit, offset, after, self.order == "desc", self.purpose)


class FileObject(BaseModel):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int = Field(description="seconds since 1970")
    expires_at: int | None = Field(description="seconds since 1970; null: never")
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    status_details: None = None
    created: str = Field(description="for 8080's client")
    updated: str = Field(description="for 8080's client")

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        created = datetime.fromtimestamp(file.created_s, UTC).isoformat()
        return cls(
            id=file.id,
            bytes=file.size_bytes,
            created_at=file.created_s,
            expires_at=file.expires_s,
            filename=file.filename,
            purpose=file.purpose,
            created=created,
            updated=created,
        )


class FileList(Page):
    data: list[FileObject]

    @classmethod
    def of(cls, listed: Listed, limit: int) -> Self:
        data = [FileObject.of(file) for file in listed.files]
        return cls(data=data, **cls.around([one.id for one in data], listed.offset, listed.total, limit))


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True
