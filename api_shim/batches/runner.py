"""The batches that are not over: each has a task, from its creation or from the start of the server."""

import asyncio
from functools import partial

from api_shim.batches.budget import BudgetQueue
from api_shim.batches.job import BatchJob, Endpoints
from api_shim.shim import Shim
from api_shim.store.batches import BatchStatus, NewBatch, StoredBatch
from api_shim.store.files import StoredFile

CANCELLABLE: tuple[BatchStatus, ...] = ("validating", "in_progress")


class BatchRunner:
    def __init__(self, shim: Shim, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._shim = shim
        self._budget = BudgetQueue(shim)
        self._jobs: dict[int, BatchJob] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def resume(self) -> None:
        """Go on with what an earlier server left."""
        for batch in await self._shim.clock.aside(self._shim.store.batches.unfinished):
            self._begin(batch)

    async def stop(self) -> None:
        """The server ends: what has a result is kept, what is under way is given up."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def create(self, new: NewBatch, file: StoredFile) -> StoredBatch:
        """Raises StorageFullError, TooManyBatchesError, and FileNotFoundError where the file has gone."""
        shim = self._shim
        batch = await shim.clock.aside(partial(shim.store.batches.add, new, file, shim.settings.instance))
        self._begin(batch)
        return batch

    async def cancel(self, batch: StoredBatch) -> StoredBatch:
        """As it is then. Raises StorageFullError."""
        clock, store = self._shim.clock, self._shim.store.batches
        moved = await clock.aside(lambda: store.move(batch.number, "cancelling", CANCELLABLE, clock.unix_s()))
        if moved and batch.number in self._jobs:
            self._jobs[batch.number].cancel()
        return await clock.aside(partial(store.read, batch.number))

    def _begin(self, batch: StoredBatch) -> None:
        job = self._jobs[batch.number] = BatchJob(self._shim, self.endpoints, self._budget, batch)
        task = asyncio.create_task(job.run())
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, job))

    def _ended(self, job: BatchJob, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        del self._jobs[job.number]
