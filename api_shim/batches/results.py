"""What has become of the lines of a batch: durable in groups, as the disk takes its time for each commit."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from api_shim.clocks.clock import Clock, sleep_until
from api_shim.store.batches import LineResult
from api_shim.store.full_disk import StorageFullError
from sim.time.units import PS_PER_S

AT_ONCE = 256
"""As many make a group by themselves."""
LONGEST_WAIT_S = 1.0
"""Of the client's clock: what a kill may cost in work that is done again."""
FIRST_PAUSE_S, PAUSES = 1.0, 12
"""With a full disk, each twice as long as the one before: an hour in all."""


class Results:
    def __init__(self, clock: Clock, record: Callable[[list[LineResult]], None]) -> None:
        """`record` makes them durable; raises StorageFullError."""
        self._clock = clock
        self._record = record
        self._waiting: list[LineResult] = []
        self._turn = asyncio.Lock()

    async def add(self, result: LineResult) -> None:
        """Who adds the last one of a group waits for the disk, so that work does not run ahead of it."""
        self._waiting.append(result)
        if len(self._waiting) >= AT_ONCE:
            await self.commit()

    async def commit(self) -> None:
        """What was added so far counts when this returns. Raises StorageFullError after an hour of trying."""
        async with self._turn:
            taken, self._waiting = self._waiting, []
            if taken:
                await patiently(self._clock, partial(self._clock.aside, partial(self._record, taken)))

    async def commit_now_and_then(self) -> None:
        while True:
            await sleep(self._clock, LONGEST_WAIT_S)
            await self.commit()


async def sleep(clock: Clock, seconds: float) -> None:
    """Of the client's clock."""
    await sleep_until(clock, clock.now_ps() + round(seconds * clock.speed * PS_PER_S))


async def patiently(clock: Clock, work: Callable[[], Awaitable[object]]) -> None:
    """Again and again while the disk is full. Raises StorageFullError in the end."""
    pause_s = FIRST_PAUSE_S
    for _ in range(PAUSES):
        try:
            await work()
        except StorageFullError:
            await sleep(clock, pause_s)
            pause_s *= 2
        else:
            return
    await work()


def answered(id_: str, custom_id: str, request_id: str, body: bytes) -> bytes:
    """A line of the output file; `body` is JSON already."""
    head = f'{{"id":{_json(id_)},"custom_id":{_json(custom_id)},"response":{{"status_code":200,"request_id":'
    return b"".join([head.encode(), _json(request_id).encode(), b',"body":', body, b'},"error":null}\n'])


def failed(id_: str, custom_id: str, code: str, message: str) -> bytes:
    """A line of the error file."""
    error = {"code": code, "message": message}
    line: dict[str, Any] = {"id": id_, "custom_id": custom_id, "response": None, "error": error}
    return _json(line).encode() + b"\n"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
