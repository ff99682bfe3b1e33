"""Whether an application answers. Any answer will do: a 404 is one of somebody who is there."""

import asyncio
from contextlib import suppress
from pathlib import Path

QUESTION = b"GET /.8080/health HTTP/1.1\r\nhost: localhost\r\nuser-agent: e80sim\r\nconnection: close\r\n\r\n"
"""The route that 8080's SDK gives every application."""
ANSWER = b"HTTP/"
"""What every one begins with."""


async def answers(socket: Path, patience_s: float) -> bool:
    """At once False where nobody listens."""
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(QUESTION)
                return await reader.readexactly(len(ANSWER)) == ANSWER
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, EOFError, TimeoutError):
        return False
