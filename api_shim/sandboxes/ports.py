"""HTTP to a server in a sandbox, which has no network that could lead there."""

from dataclasses import dataclass
from typing import Any

import h11

from api_shim.sandboxes.backend import SandboxRefusedError
from api_shim.sandboxes.connection import Channel
from api_shim.sandboxes.sandbox import Sandbox

Header = tuple[bytes, bytes]
COOKIES = {b"cookie", b"set-cookie", b"clear-site-data"}
"""Of our own pages, at the same address: neither are they told to a sandbox, nor does it set or clear any."""
OURS = COOKIES | {
    b"host",
    b"connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"content-length",
    b"expect",
}
"""Of one connection (RFC 9110, 7.6.1), hence not passed on; host and length are stated anew."""


@dataclass(frozen=True, slots=True)
class PortAnswer:
    status: int
    headers: list[Header]
    body: bytes


async def ask_port(
    sandbox: Sandbox,
    port: int,
    method: str,
    target: str,
    headers: list[Header],
    body: bytes,
    most_bytes: int,
) -> PortAnswer:
    """One request on a connection of its own. Raises SandboxRefusedError and SandboxEndedError."""
    channel = sandbox.connect(port)
    client = h11.Connection(h11.CLIENT)
    passed = [header for header in headers if header[0].lower() not in OURS]
    stated = [
        (b"host", b"localhost:%d" % port),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    try:
        request = h11.Request(method=method, target=target, headers=[*stated, *passed])
        sent: list[Any] = [request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
        await sandbox.guarded(channel.write(b"".join(client.send(event) or b"" for event in sent)))
        return await _answer(sandbox, channel, client, most_bytes)
    except h11.ProtocolError as error:
        why = (channel.answer or {}).get("error")
        raise SandboxRefusedError(f"port {port} of the sandbox does not answer: {why or error}") from None
    finally:
        if channel.answer is None:
            channel.kill()


async def _answer(sandbox: Sandbox, channel: Channel, client: h11.Connection, most_bytes: int) -> PortAnswer:
    status, headers, body = 0, [], bytearray()
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            piece = await sandbox.guarded(channel.read())
            client.receive_data(b"" if piece is None else piece[1])
        elif isinstance(event, h11.Response):
            status, headers = event.status_code, list(event.headers)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most_bytes:
                raise SandboxRefusedError(f"the answer of the sandbox is larger than {most_bytes:,} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return PortAnswer(status, [header for header in headers if header[0] not in OURS], bytes(body))
