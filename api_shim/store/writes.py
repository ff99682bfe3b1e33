"""Writes of many requests in one commit: what waits for the disk together is synced together."""

import asyncio
from collections.abc import Awaitable, Callable

from api_shim.store.database import Database, Write

Aside = Callable[[Callable[[], None]], Awaitable[None]]


class Writes:
    """`aside` does one thing at a time: while it commits, those who come wait for the next commit."""

    def __init__(self, database: Database, aside: Aside) -> None:
        self._database = database
        self._aside = aside
        self._waiting: list[tuple[Write, asyncio.Future[None]]] = []
        self._synced = False
        """Whether one of those that wait has to be."""
        self._writing: asyncio.Task[None] | None = None

    async def write(self, write: Write, *, synced: bool = True) -> None:
        """Durable when this returns, as `Database.transaction` has it. Raises StorageFullError; then nothing
        of it is there.

        A fault of one is a fault of all that share its commit, so `write` only does what can but run
        into a full disk.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((write, done))
        self._synced |= synced
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                synced, self._synced = self._synced, False
                problem = await self._committed([write for write, _ in together], synced=synced)
                for _, done in together:
                    if done.done():
                        continue  # nobody waits for it any more
                    if problem is None:
                        done.set_result(None)
                    else:
                        done.set_exception(problem)
        finally:
            self._writing = None

    async def _committed(self, writes: list[Write], *, synced: bool) -> Exception | None:
        """What went wrong, for those who asked for it."""

        def commit() -> None:
            with self._database.transaction(synced=synced) as connection:
                for write in writes:
                    write(connection)

        try:
            await self._aside(commit)
        except Exception as problem:  # noqa: BLE001 -- handed on to all who wait, who raise it
            return problem
        return None
