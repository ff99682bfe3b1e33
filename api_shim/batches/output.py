"""The files of a batch that is over: what was answered, and what was not, each from the store to the disk."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from sqlite3 import Connection
from typing import Literal, NamedTuple

from api_shim.batches.input_file import InputFile, parsed
from api_shim.batches.results import failed, patiently
from api_shim.shim import Shim
from api_shim.store.batches import BatchStatus, StoredBatch, ended, output_kept
from api_shim.store.contents import Writing
from api_shim.store.files import StoredFile

OUTPUT_PURPOSE = "batch_output"
RESULTS_AT_ONCE = 256
NOT_RUN: dict[BatchStatus, tuple[str, str]] = {
    "expired": (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}
"""(code, message) of the lines that have no result at such an end."""


class _Kind(NamedTuple):
    column: Literal["output_file_id", "error_file_id"]
    name: str
    failed: bool


KINDS = (_Kind("output_file_id", "output", failed=False), _Kind("error_file_id", "error", failed=True))


async def write_outputs(
    shim: Shim,
    batch: StoredBatch,
    open_input: Callable[[], InputFile],
    status: BatchStatus,
    from_: BatchStatus,
) -> None:
    """The last file and the end itself are one transaction. Raises StorageFullError after an hour."""
    writer = _Writer(shim, batch, open_input, status, from_)
    needed = [kind for kind in KINDS if writer.needs(kind)]
    for kind in needed:
        await patiently(shim.clock, partial(writer.write, kind, is_last=kind is needed[-1]))
    if not needed:
        move = partial(shim.store.batches.move, batch.number, status, [from_], shim.clock.unix_s())
        await patiently(shim.clock, partial(shim.clock.aside, move))


class _Writer:
    def __init__(
        self,
        shim: Shim,
        batch: StoredBatch,
        open_input: Callable[[], InputFile],
        status: BatchStatus,
        from_: BatchStatus,
    ) -> None:
        self._shim = shim
        self._batch = batch
        self._open_input = open_input
        self._status = status
        self._from = from_
        not_run = batch.lines - batch.lines_answered - batch.lines_failed
        self._not_run = NOT_RUN.get(status) if not_run else None

    def needs(self, kind: _Kind) -> bool:
        """Unless a server that was killed has got so far."""
        if getattr(self._batch, kind.column) is not None:
            return False
        if kind.failed:
            return bool(self._batch.lines_failed or self._not_run)
        return bool(self._batch.lines_answered)

    async def write(self, kind: _Kind, *, is_last: bool) -> None:
        """Raises StorageFullError, and then has changed nothing."""
        aside, files = self._shim.clock.aside, self._shim.store.files
        writing = await aside(files.begin)
        try:
            async for pieces in self._pieces(kind):
                await aside(partial(writing.write, pieces))
            await aside(partial(self._keep, kind, writing, is_last=is_last))
        finally:
            await aside(writing.discard)

    async def _pieces(self, kind: _Kind) -> AsyncIterator[list[bytes]]:
        store, line = self._shim.store.batches, 0
        while rows := await self._shim.clock.aside(
            partial(
                store.results, self._batch.number, failed=kind.failed, after_line=line, limit=RESULTS_AT_ONCE
            )
        ):
            yield [result for _, result in rows]
            line = rows[-1][0]
        if kind.failed and self._not_run is not None:
            async for pieces in self._of_those_not_run(*self._not_run):
                yield pieces

    async def _of_those_not_run(self, code: str, message: str) -> AsyncIterator[list[bytes]]:
        recorded = await self._shim.clock.aside(
            partial(self._shim.store.batches.recorded, self._batch.number)
        )
        file = self._open_input()
        pieces: list[bytes] = []
        try:
            while (line := await file.next()) is not None:
                if line.number not in recorded:
                    pieces.append(
                        failed(line_id(self._batch, line.number), parsed(line).custom_id, code, message)
                    )
                if len(pieces) >= RESULTS_AT_ONCE:
                    yield pieces
                    pieces = []
            yield pieces
        finally:
            file.close()

    def _keep(self, kind: _Kind, writing: Writing, *, is_last: bool) -> None:
        batch, now_s = self._batch, self._shim.clock.unix_s()
        lasting = batch.outputs_last_s

        def along(connection: Connection, file: StoredFile) -> None:
            output_kept(connection, batch.number, kind.column, file.id)
            if is_last:
                ended(connection, batch.number, self._status, [self._from], now_s)

        self._shim.store.files.add(
            writing,
            instance=self._shim.settings.instance,
            project=batch.project,
            filename=f"{batch.id}_{kind.name}.jsonl",
            purpose=OUTPUT_PURPOSE,
            created_s=int(now_s),
            expires_s=None if lasting is None else int(now_s) + lasting,
            along=along,
        )


def line_id(batch: StoredBatch, line: int) -> str:
    """Of a request, whether it was run or not."""
    return f"batch_req_{batch.id.removeprefix('batch_')}{line:05x}"
