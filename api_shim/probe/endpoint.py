"""Where a probe sends to: one request over a kept connection or a new one, with the time of all that happens.

Times are of the running loop. The name is looked up apart and one of its addresses kept, so that looking up,
connecting and TLS are told apart; proxies of the environment are not used, and no redirect is followed.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from e80sim.mistakes import UserError

CONNECT_S = 5.0
KEPT_S = 600.0
"""An idle connection, unless the server closes it."""
SET_UP = {"connect_ms": "connection.connect_tcp", "tls_ms": "connection.start_tls"}
MakeClient = Callable[[], httpx.AsyncClient]
Turn = Callable[[], Awaitable[bool]]
"""Waits until a request may leave; False if it must not."""


@dataclass
class Heard:
    """One exchange; stamps are seconds of the loop, None where it never got that far."""

    sent_s: float
    in_new_connection: bool | None = None
    """None where the client does not tell."""
    set_up_ms: dict[str, float] = field(default_factory=dict)
    """`dns_ms` (before it was sent), `connect_ms`, `tls_ms`."""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    headers_s: float | None = None
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    """As they were read."""
    ended_s: float = 0.0
    never_left: bool = False
    """There was no connection."""
    error: str | None = None
    """Of the transport: what the server says is no error here."""

    @property
    def body(self) -> bytes:
        return b"".join(chunk for _, chunk in self.chunks)


class Endpoint:
    """`make_client`: of tests, which reach no network; each client that it makes has its own connections."""

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        make_client: MakeClient | None = None,
    ) -> None:
        self.url = url_of(base_url)
        self._timeout_s = timeout_s
        self._headers = {"accept-encoding": "identity", "user-agent": "e80sim-probe"}
        if key is not None:
            self._headers["authorization"] = f"Bearer {key}"
        self._address: str | None = None
        self._looks_up = make_client is None
        self._make_client = make_client or self._client
        self._kept: httpx.AsyncClient | None = None
        self._context: ssl.SSLContext | None = None

    def _client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEPT_S)
        self._context = self._context or httpx.create_ssl_context()
        return httpx.AsyncClient(
            timeout=self._timeout_s, limits=limits, verify=self._context, trust_env=False
        )

    async def find(self) -> None:
        """Choose an address that answers. UserError where none does."""
        if not self._looks_up:
            return
        host, port = self.url.host, _port(self.url)
        why = "no address"
        for address in await self._look_up():
            try:
                async with asyncio.timeout(CONNECT_S):
                    _, writer = await asyncio.open_connection(address, port)
            except (OSError, TimeoutError) as error:
                why = str(error) or "no answer"
                continue
            writer.close()
            self._address = address
            return
        raise UserError(f"--base-url {self.url}: {host} does not answer on port {port} ({why})")

    async def _look_up(self) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.url.host, _port(self.url), type=socket.SOCK_STREAM)
        except OSError as error:
            raise UserError(
                f"--base-url {self.url}: cannot look up {self.url.host} ({error.strerror})"
            ) from None
        return [str(entry[4][0]) for entry in found]

    async def close(self) -> None:
        if self._kept is not None:
            await self._kept.aclose()

    async def look_up_ms(self) -> float | None:
        """How long the name takes to look up; None where there is no name."""
        if not self._looks_up or self._address == self.url.host:
            return None
        begun_s = asyncio.get_running_loop().time()
        await self._look_up()
        return 1e3 * (asyncio.get_running_loop().time() - begun_s)

    async def exchange(
        self,
        turn: Turn,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 -- JSON
        *,
        new: bool = False,
    ) -> Heard | None:
        """To the end of the answer, whatever becomes of it; `new` opens a connection for it.

        All is ready when it asks for its `turn`, and it leaves at once. None where it gets none.
        """
        if new:
            async with self._make_client() as client:
                return await self._exchange(client, turn, self._request(client, method, path, body))
        if self._kept is None:
            self._kept = self._make_client()
        return await self._exchange(self._kept, turn, self._request(self._kept, method, path, body))

    async def _exchange(self, client: httpx.AsyncClient, turn: Turn, request: httpx.Request) -> Heard | None:
        if not await turn():
            return None
        loop = asyncio.get_running_loop()
        heard, begun = Heard(loop.time()), dict[str, float]()

        async def note(event: str, _info: Mapping[str, Any]) -> None:
            what, _, stage = event.rpartition(".")
            begun[event] = loop.time()
            for name, called in SET_UP.items():
                if what == called and stage == "complete":
                    heard.in_new_connection = True
                    heard.set_up_ms[name] = 1e3 * (begun[event] - begun[f"{called}.started"])
            if event == "http11.send_request_headers.started" and heard.in_new_connection is None:
                heard.in_new_connection = False

        request.extensions["trace"] = note
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._hear(client, request, heard)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            heard.never_left = True
            heard.error = f"{type(error).__name__}: {error}".rstrip(": ")
        except (httpx.TimeoutException, TimeoutError):
            heard.error = f"no end within {self._timeout_s:g} s"
        except httpx.HTTPError as error:
            heard.error = f"{type(error).__name__}: {error}".rstrip(": ")
        heard.ended_s = loop.time()
        return heard

    def _request(self, client: httpx.AsyncClient, method: str, path: str, body: Any) -> httpx.Request:  # noqa: ANN401
        url = self.url.copy_with(path=f"{self.url.path.rstrip('/')}{path}")
        if self._address is None:
            return client.build_request(method, url, json=body, headers=self._headers)
        headers = self._headers | {"host": url.netloc.decode("ascii")}
        request = client.build_request(method, url.copy_with(host=self._address), json=body, headers=headers)
        request.extensions["sni_hostname"] = url.host
        return request

    @staticmethod
    async def _hear(client: httpx.AsyncClient, request: httpx.Request, heard: Heard) -> None:
        loop = asyncio.get_running_loop()
        heard.sent_s = loop.time()
        response = await client.send(request, stream=True)
        try:
            heard.headers_s, heard.status, heard.headers = loop.time(), response.status_code, response.headers
            async for chunk in response.aiter_raw():
                heard.chunks.append((loop.time(), chunk))
        finally:
            await response.aclose()


def url_of(text: str) -> httpx.URL:
    """UserError where it is none of a server."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UserError(f"--base-url {text!r}: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise UserError(f"--base-url {text!r}: it is a server's, such as https://api.example.com/v1")
    return url


def _port(url: httpx.URL) -> int:
    return url.port or {"http": 80, "https": 443}[url.scheme]
