"""Batches on the wire: OpenAI's object and list, with what 8080's own client reads beside them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter

from api_shim.store.batches import BatchesListed, BatchStatus, StoredBatch, batch_number_of
from api_shim.wire.body import Body
from api_shim.wire.errors import bad_value
from api_shim.wire.file_objects import ExpiresAfter
from api_shim.wire.paging import Page

WINDOW: Literal["24h"] = "24h"
WINDOW_S = 86_400
MOST_LISTED = 100


class CreateBatchBody(Body):
    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: Annotated[
        dict[
            Annotated[str, Field(max_length=64)],
            Annotated[str, Field(max_length=512)],
        ]
        | None,
        Field(max_length=16),
    ] = None
    output_expires_after: ExpiresAfter | None = None


class BatchLine(Body):
    """A request in the file."""

    custom_id: Annotated[str, Field(min_length=1, max_length=512)]
    method: str
    url: str
    body: dict[str, Any]


class BatchListQuery(Body):
    """`after` is OpenAI's cursor, `page` is 8080's."""

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 20
    after: str | None = None
    page: Annotated[int | None, Field(ge=1, le=10**9)] = None
    n_requests: Annotated[int | None, Field(description="8080's client sends it; it changes nothing")] = None
    project_id: Annotated[str | None, Field(description="the same")] = None

    def place(self) -> tuple[int, int | None]:
        """(offset, number after which it goes on). Raises ApiError 400."""
        if self.after is not None and self.page is not None:
            raise bad_value("page", "'after' and 'page' both say where the list goes on: give one of them.")
        after = None if self.after is None else batch_number_of(self.after)
        if self.after is not None and after is None:
            raise bad_value("after", "'after' has to be the id of a batch.")
        return ((self.page or 1) - 1) * self.limit, after


class BatchError(BaseModel):
    code: str
    message: str
    param: str | None = None
    line: int | None = Field(None, description="from 1; null: it is about the whole file")


class BatchErrors(BaseModel):
    object: Literal["list"] = "list"
    data: list[BatchError]


class RequestCounts(BaseModel):
    total: int
    completed: int
    failed: int


class InputTokensDetails(BaseModel):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(BaseModel):
    reasoning_tokens: int


class BatchUsage(BaseModel):
    input_tokens: int
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


Stamp = Annotated[int | None, Field(description="seconds since 1970")]


class BatchObject(BaseModel):
    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None = Field(description="null: not known yet, or several")
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str = WINDOW
    status: BatchStatus
    output_file_id: str | None
    error_file_id: str | None
    created_at: int | str = Field(description="seconds since 1970; for 8080's own client a text")
    in_progress_at: Stamp
    expires_at: Stamp
    finalizing_at: Stamp
    completed_at: Stamp
    failed_at: Stamp
    expired_at: Stamp
    cancelling_at: Stamp
    cancelled_at: Stamp
    request_counts: RequestCounts
    usage: BatchUsage
    metadata: dict[str, str] | None
    project_id: str = Field(description="for 8080's client, as all that follow")
    requests_file_id: str
    results_file_id: str | None
    updated_at: str

    @classmethod
    def of(cls, batch: StoredBatch, *, to_8080: bool) -> Self:
        return cls(
            id=batch.id,
            endpoint=batch.endpoint,
            model=batch.model,
            errors=None if batch.errors is None else BatchErrors(data=ERRORS.validate_json(batch.errors)),
            input_file_id=batch.input_file_id,
            status=batch.status,
            output_file_id=batch.output_file_id,
            error_file_id=batch.error_file_id,
            created_at=_date(batch.created_s) if to_8080 else batch.created_s,
            in_progress_at=batch.in_progress_s,
            expires_at=batch.expires_s,
            finalizing_at=batch.finalizing_s,
            completed_at=batch.completed_s,
            failed_at=batch.failed_s,
            expired_at=batch.expired_s,
            cancelling_at=batch.cancelling_s,
            cancelled_at=batch.cancelled_s,
            request_counts=RequestCounts(
                total=batch.lines, completed=batch.lines_answered, failed=batch.lines_failed
            ),
            usage=BatchUsage(
                input_tokens=batch.input_tokens,
                output_tokens=batch.output_tokens,
                output_tokens_details=OutputTokensDetails(reasoning_tokens=batch.reasoning_tokens),
                total_tokens=batch.input_tokens + batch.output_tokens,
            ),
            metadata=None if batch.metadata is None else METADATA.validate_json(batch.metadata),
            project_id=batch.project,
            requests_file_id=batch.input_file_id,
            results_file_id=batch.output_file_id,
            updated_at=_date(batch.updated_s),
        )


ERRORS = TypeAdapter(list[BatchError])
METADATA = TypeAdapter(dict[str, str])


class BatchList(Page):
    data: list[BatchObject]

    @classmethod
    def of(cls, listed: BatchesListed, limit: int, *, to_8080: bool) -> Self:
        data = [BatchObject.of(batch, to_8080=to_8080) for batch in listed.batches]
        return cls(data=data, **cls.around([one.id for one in data], listed.offset, listed.total, limit))


def _date(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()
