"""What the suites share. They run where there is a client and pytest, and nothing of this project."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

REQUESTS = 12
"""Twice as many as the limited model takes at once: on a slow machine some time passes meanwhile."""
MODEL = "8080/taalas/llama3.1-8b-instruct"
PATIENCE_S = 60.0


@pytest.fixture
def anyio_backend() -> str:
    """Every client brings anyio, whose plugin runs async tests."""
    return "asyncio"


@pytest.fixture
def ask_too_often() -> Callable[[Callable[[], object]], None]:
    def asking(ask: Callable[[], object]) -> None:
        for _ in range(REQUESTS):
            ask()

    return asking


class Served(NamedTuple):
    """Where an answer was made, and when by the simulated clock, in ms."""

    node: int
    arrived_ms: float
    started_ms: float
    first_ms: float
    last_ms: float

    @property
    def ttft_ms(self) -> float:
        return self.first_ms - self.arrived_ms


class Nodes:
    """The server's nodes by their own ports, and what their answers say."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = urls

    def served(self, headers: Mapping[str, str], prefix: str = "") -> Served:
        stamps = (
            int(headers[f"{prefix}x-sim-{name}-ps"]) for name in ("arrived", "started", "first", "last")
        )
        return Served(int(headers[f"{prefix}x-sim-node"]), *(stamp / 1e9 for stamp in stamps))

    def ask(self, url: str, tokens: int) -> Served:
        """`url` is a node or a router before them."""
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": tokens,
            "ignore_eos": True,
        }
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            answer.read()
            return self.served(answer.headers)

    def ask_together(self, url: str, tokens: int, times: int) -> list[Served]:
        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(lambda _: self.ask(url, tokens), range(times)))

    @contextmanager
    def loaded(self, indexes: Sequence[int], tokens: int) -> Iterator[None]:
        """Somebody else's work at these nodes, of which a router knows only what it is told."""
        with ThreadPoolExecutor(len(indexes)) as pool:
            for index in indexes:
                pool.submit(self.ask, self.urls[index], tokens)
            time.sleep(0.1)
            yield

    def assert_one_after_the_other(self, served: Sequence[Served]) -> None:
        """As each node has one place: whoever comes second has its first token after the first one's last."""
        by_node = defaultdict(list)
        for one in served:
            by_node[one.node].append(one)
        for own in by_node.values():
            for before, behind in pairwise(sorted(own, key=lambda one: one.started_ms)):
                assert behind.first_ms > behind.started_ms >= before.last_ms


@pytest.fixture
def nodes() -> Nodes:
    return Nodes(os.environ["NODE_URLS"].split())


@contextmanager
def running(*command: str, at: str, port: int, folder: Path) -> Iterator[str]:
    """A router as a process that may write into `folder`, once it answers at the path `at`; its URL."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, cwd=folder)
    try:
        until_s = time.monotonic() + PATIENCE_S
        while not _answers(url + at):
            assert process.poll() is None
            assert time.monotonic() < until_s
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture
def run_router() -> Callable[..., object]:
    return running


@pytest.fixture
def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for listening in (one, other):
            listening.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])
