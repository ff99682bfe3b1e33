"""Our side of the conversation with the server inside. It believes nothing: who breaks the rules has lost.

One loop reads; whoever started something takes its output from its channel, at its own pace.
"""

import asyncio
import json
import struct
from collections import deque
from typing import Any

from api_shim.sandboxes import inside
from api_shim.sandboxes.inside import HEAD, HEAD_AFTER_LENGTH, PIECE, WINDOW

LONGEST_ANSWER = PIECE + HEAD_AFTER_LENGTH
MOST_ANSWER_KEYS = 16
Json = dict[str, Any]


class BrokenRulesError(Exception):
    """What came out of a sandbox is not what its server sends."""


class ConnectionLostError(Exception):
    """The sandbox is not there any more."""


class Channel:
    """A program, or a file on its way."""

    def __init__(self, connection: "Connection", number: int) -> None:
        self._connection = connection
        self._number = number
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._untaken = 0
        self._may_send = WINDOW
        self._changed = asyncio.Event()
        self.answer: Json | None = None
        """What it ended with."""

    async def read(self) -> tuple[int, bytes] | None:
        """OUTPUT or ERRORS and some bytes; None when it has ended. Raises ConnectionLostError."""
        while not self._pieces:
            if self.answer is not None:
                return None
            await self._change()
        kind, data = self._pieces.popleft()
        self._untaken -= len(data)
        if self.answer is None:
            self._send(inside.MORE, struct.pack(">I", len(data)))
        return kind, data

    async def write(self, data: bytes) -> None:
        """When the program has taken enough of what came before. For one that has ended it goes nowhere."""
        view = memoryview(data)
        while view and self.answer is None:
            if self._may_send == 0:
                await self._change()
                continue
            piece = view[: min(PIECE, self._may_send)]
            self._may_send -= len(piece)
            self._send(inside.INPUT, bytes(piece))
            view = view[len(piece) :]

    def end_input(self) -> None:
        self._send(inside.END_OF_INPUT)

    def resize(self, rows: int, columns: int) -> None:
        self._send(inside.RESIZE, struct.pack(">HH", rows, columns))

    def kill(self) -> None:
        self._send(inside.KILL)

    def receive(self, kind: int, payload: bytes) -> None:
        """Raises BrokenRulesError."""
        if kind in {inside.OUTPUT, inside.ERRORS}:
            self._untaken += len(payload)
            if self._untaken > WINDOW:
                raise BrokenRulesError("more output than was asked for")
            self._pieces.append((kind, payload))
        elif kind == inside.MORE and len(payload) == 4:
            self._may_send += struct.unpack(">I", payload)[0]
            if self._may_send > WINDOW:
                raise BrokenRulesError("more taken than was sent")
        elif kind == inside.ENDED:
            self.answer = json_object(payload)
        else:
            raise BrokenRulesError(f"a frame of kind {kind}")
        self._changed.set()

    def lost(self) -> None:
        self._changed.set()

    async def _change(self) -> None:
        if self._connection.is_lost:
            raise ConnectionLostError
        self._changed.clear()
        await self._changed.wait()

    def _send(self, kind: int, payload: bytes = b"") -> None:
        if self.answer is None:
            self._connection.send(kind, self._number, payload)


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._channels: dict[int, Channel] = {}
        self._last = 0
        self.is_lost = False

    @property
    def busy(self) -> int:
        """How many programs and files are under way."""
        return len(self._channels)

    async def greeting(self) -> Json:
        """The first frame. Raises BrokenRulesError and ConnectionLostError."""
        kind, _, payload = await self._frame()
        if kind != inside.READY:
            raise BrokenRulesError(f"a frame of kind {kind} before the first")
        return json_object(payload)

    def start(self, **what: Any) -> Channel:  # noqa: ANN401 -- JSON
        """Raises ConnectionLostError."""
        if self.is_lost:
            raise ConnectionLostError
        self._last += 1
        channel = self._channels[self._last] = Channel(self, self._last)
        self.send(inside.START, self._last, json.dumps(what).encode())
        return channel

    def send(self, kind: int, channel: int, payload: bytes) -> None:
        """At once: what may be unsent is bounded by the windows."""
        if not self.is_lost:
            self._writer.write(HEAD.pack(len(payload) + HEAD_AFTER_LENGTH, kind, channel) + payload)

    async def listen(self) -> str:
        """Until it is over; answers why, if it is for something that the sandbox did."""
        try:
            while True:
                self._take(*await self._frame())
        except BrokenRulesError as broken:
            return f"broke the rules: {broken}"
        except ConnectionLostError:
            return ""

    def _take(self, kind: int, number: int, payload: bytes) -> None:
        channel = self._channels.get(number)
        if channel is None:
            raise BrokenRulesError(f"a frame for channel {number}, which is not open")
        channel.receive(kind, payload)
        if channel.answer is not None:
            del self._channels[number]

    def lose(self) -> None:
        """Whoever waits for something of it learns that it does not come."""
        self.is_lost = True
        for channel in self._channels.values():
            channel.lost()
        self._channels.clear()

    async def _frame(self) -> tuple[int, int, bytes]:
        try:
            length, kind, channel = HEAD.unpack(await self._reader.readexactly(HEAD.size))
            if HEAD_AFTER_LENGTH <= length <= LONGEST_ANSWER:
                return kind, channel, await self._reader.readexactly(length - HEAD_AFTER_LENGTH)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ConnectionLostError from None
        raise BrokenRulesError(f"a frame of {length} bytes")


def json_object(payload: bytes) -> Json:
    """Raises BrokenRulesError."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        raise BrokenRulesError("not JSON") from None
    if not isinstance(found, dict) or len(found) > MOST_ANSWER_KEYS:
        raise BrokenRulesError("no JSON object")
    return found
