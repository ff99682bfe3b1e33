"""What can go wrong with a stream on its way, on demand: a client's own tests ask for it by a header.

The model knows nothing of it: the answer is made as ever, and only its bytes suffer.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

END_OF_FRAME = b"\n\n"
DEFAULT = 1
MOST = 65_536
STATED = re.compile(r"([a-z]+)(?:=(\d{1,5}))?")


class StreamCutError(Exception):
    """The connection closes here, in the middle of the answer."""


Spoil = Callable[[AsyncIterator[bytes], int], AsyncIterator[bytes]]
"""Of the chunks of a stream, and a number that the client may state."""


async def cut(chunks: AsyncIterator[bytes], whole: int) -> AsyncIterator[bytes]:
    """So many frames with data come whole; half of the next is the last that comes."""
    async for frame, number in _frames(chunks):
        if number > whole:
            yield frame[: len(frame) // 2]
            raise StreamCutError
        yield frame


async def malformed(chunks: AsyncIterator[bytes], whole: int) -> AsyncIterator[bytes]:
    """So many frames come whole; the JSON of the next breaks off, and what follows comes as ever."""
    async for frame, number in _frames(chunks):
        spoilt = number == whole + 1 and frame.startswith(b"data:")
        yield frame[: len(frame) // 2] + END_OF_FRAME if spoilt else frame


async def dribble(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """In pieces of so many bytes, each written by itself: they end wherever they end."""
    async for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]
            await asyncio.sleep(0)


STREAM_FAULTS: dict[str, Spoil] = {"cut": cut, "malformed": malformed, "dribble": dribble}


class StreamFault(NamedTuple):
    spoil: Spoil
    number: int

    def on(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        return self.spoil(chunks, self.number)


def stream_fault(text: str) -> StreamFault | None:
    """`NAME` or `NAME=NUMBER`; None where it is neither."""
    found = STATED.fullmatch(text)
    if found is None or found[1] not in STREAM_FAULTS:
        return None
    number = DEFAULT if found[2] is None else int(found[2])
    at_least = 1 if STREAM_FAULTS[found[1]] is dribble else 0
    return StreamFault(STREAM_FAULTS[found[1]], number) if at_least <= number <= MOST else None


async def _frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, int]]:
    """One by one, each with how many of those with data there are by then. Chunks hold whole frames."""
    number = 0
    async for chunk in chunks:
        for text in chunk.split(END_OF_FRAME)[:-1]:
            number += not text.startswith(b":")
            yield text + END_OF_FRAME, number
