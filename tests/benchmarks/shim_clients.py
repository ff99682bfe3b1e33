"""Clients that leave the machine to the server: ready bytes over plain asyncio streams."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import time  # noqa: TID251 -- it measures
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.support.live import scenario

PS_PER_MS = 10**9
END_OF_STREAM = b"data: [DONE]\n\n"
STAMPS = re.compile(rb"x-sim-([a-z-]+): ([0-9.]+)")
STREAM_LATENESS = re.compile(rb'"lateness_ms":([0-9.]+)')


class Served:
    """`e80sim serve` as a process of its own, on a free port."""

    def __init__(self, folder: Path, **models: Any) -> None:
        file = folder / "served.yaml"
        spec = scenario(**models).model_dump(mode="json", exclude_unset=True)
        file.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sim", "serve", str(file), "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = self._port()
        self._drain = threading.Thread(target=self._read_on, daemon=True)
        self._drain.start()

    def _port(self) -> int:
        assert self._process.stderr is not None
        port = 0
        for line in self._process.stderr:
            found = re.search(r"http://[\d.]+:(\d+)", line)
            port = int(found[1]) if found else port
            if "models:" in line:
                return port
        raise AssertionError("the server did not start")

    def _read_on(self) -> None:
        assert self._process.stderr is not None
        for _ in self._process.stderr:
            pass

    def cpu_s(self) -> float:
        """Spent so far, by the server alone. Linux only."""
        fields = (
            Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / 100

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._drain.join()
        assert self._process.stderr is not None
        self._process.stderr.close()


def request_bytes(body: dict[str, Any], key: str = "sk-me") -> bytes:
    raw = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: e80sim\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


@dataclass
class Answers:
    statuses: Counter[int] = field(default_factory=Counter)
    lag_ms: list[float] = field(default_factory=list)
    """Wall minus simulated time from sending to the end."""
    lateness_ms: list[float] = field(default_factory=list)
    """As the server tells it."""
    tokens: int = 0
    errors: int = 0
    wall_s: float = 0.0


class Connection:
    """Keep-alive, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**22))

    async def ask(self, request: bytes) -> bytes:
        """The head of the answer; the body is read and dropped."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        at = head.index(b"content-length: ") + 16
        await self._reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
        return head

    async def stream(self, request: bytes) -> tuple[int, bytes]:
        """The status and the last bytes of a stream, which end it."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        tail = b""
        while not tail.endswith(END_OF_STREAM + b"\r\n0\r\n\r\n"):
            piece = await self._reader.read(2**18)
            if not piece:
                raise ConnectionError("the stream broke off")
            tail = (tail + piece)[-4096:]
        return status_of(head), tail

    def close(self) -> None:
        self._writer.close()


def status_of(head: bytes) -> int:
    return int(head[9:12])


async def connections(port: int, count: int) -> list[Connection]:
    return await asyncio.gather(*(Connection.to(port) for _ in range(count)))


async def open_loop(port: int, body: dict[str, Any], rate_per_s: int, count: int, over: int) -> Answers:
    """Sent when due, whether or not earlier ones are answered, over `over` connections in turn."""
    answers, request, loop = Answers(), request_bytes(body), asyncio.get_running_loop()
    lines = await connections(port, over)
    for line in lines:  # none of them is new to the server, nor is the model's connection
        await line.ask(request)

    async def one(number: int) -> None:
        due_s = began_s + number / rate_per_s
        await asyncio.sleep(due_s - loop.time())
        sent_s = loop.time()
        head = await lines[number % over].ask(request)
        wall_ms = (loop.time() - sent_s) * 1000
        told = dict(STAMPS.findall(head))
        answers.statuses[status_of(head)] += 1
        simulated_ms = (int(told[b"ended-ps"]) - int(told[b"sent-ps"])) / PS_PER_MS
        answers.lag_ms.append(wall_ms - simulated_ms)
        answers.lateness_ms.append(float(told[b"lateness-ms"]))

    began_s = loop.time() + 0.1
    await asyncio.gather(*(one(number) for number in range(count)))
    for line in lines:
        line.close()
    return answers


async def closed_loop(port: int, body: dict[str, Any], count: int, over: int) -> Answers:
    """Each connection asks again as soon as it is answered."""
    answers, request = Answers(), request_bytes(body)
    lines = await connections(port, over)

    async def one(line: Connection) -> None:
        for _ in range(count // over):
            answers.statuses[status_of(await line.ask(request))] += 1

    began_s = time.perf_counter()
    await asyncio.gather(*map(one, lines))
    answers.wall_s = time.perf_counter() - began_s
    for line in lines:
        line.close()
    return answers


async def streams(port: int, body: dict[str, Any], at_once: int) -> Answers:
    answers, request = (
        Answers(),
        request_bytes({**body, "stream": True, "stream_options": {"include_usage": True}}),
    )
    lines = await connections(port, at_once)

    async def one(line: Connection) -> None:
        try:
            status, tail = await line.stream(request)
        except (ConnectionError, asyncio.IncompleteReadError):
            answers.errors += 1
            return
        answers.statuses[status] += 1
        answers.tokens += int(re.findall(rb'"completion_tokens":(\d+)', tail)[-1])
        answers.lateness_ms.append(float(STREAM_LATENESS.findall(tail)[-1]))

    began_s = time.perf_counter()
    await asyncio.gather(*map(one, lines))
    answers.wall_s = time.perf_counter() - began_s
    for line in lines:
        line.close()
    return answers
