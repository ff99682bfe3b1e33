"""What one round of the loop writes to a connection leaves in one piece, and nothing is lost on the way."""

import asyncio
from typing import Any, cast

from api_shim.wire.one_write import OneWrite


class Line:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> Any:
        return f"the {name}"


def gathering(line: Line) -> OneWrite:
    return OneWrite(cast("asyncio.Transport", line), asyncio.get_running_loop())


def test_head_and_body_go_out_together_and_the_next_round_apart() -> None:
    async def story() -> list[bytes]:
        line = Line()
        transport = gathering(line)
        for letters in ("ab", "c"):
            for letter in letters:
                transport.write(letter.encode())
            await asyncio.sleep(0)
        return line.sent

    assert asyncio.run(story()) == [b"ab", b"c"]


def test_closing_sends_what_is_gathered_first_and_drops_what_comes_later() -> None:
    async def story() -> Line:
        line = Line()
        transport = gathering(line)
        transport.write(b"last words")
        transport.close()
        transport.write(b"too late")
        await asyncio.sleep(0)
        return line

    line = asyncio.run(story())
    assert (line.sent, line.closed) == ([b"last words"], True)


def test_everything_else_is_the_transports_own() -> None:
    async def story() -> Any:
        return gathering(Line()).get_extra_info("peername")

    assert asyncio.run(story()) == "the peername"
