"""A server that is killed while it answers: what it acknowledged is there, or is made by the next."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.support.responding import asked
from tests.support.served import Served, serve

pytestmark = pytest.mark.realtime
KEY = {"authorization": "Bearer sk-me", "user-agent": "no client of 8080"}
ROUNDS, ASKERS = 2, 3


class Askers:
    """Ask one response after the other, every third in the background, until the server is gone."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._gone = Event()
        self.acknowledged: list[Any] = []

    def until_gone(self) -> None:
        with httpx.Client(base_url=self._url, headers=KEY, timeout=10) as client:
            for number in range(10_000):
                body = asked(f"number {number}", background=number % 3 == 2)
                try:
                    reply = client.post("/v1/responses", json=body)
                except httpx.TransportError:
                    return
                assert reply.status_code == 200, reply.text
                self.acknowledged.append(reply.json())


def ended(client: httpx.Client, response_id: str) -> Any:
    """Of a response in the background, when it is over."""
    for _ in range(600):
        response = client.get(f"/v1/responses/{response_id}").json()
        if response["status"] not in {"queued", "in_progress"}:
            return response
        Event().wait(0.02)
    raise AssertionError(response)


@pytest.fixture
def request_server(tmp_path: Path) -> Iterator[Callable[[], Served]]:
    """Servers on one state directory, one after the other; none outlives the test."""
    servers: list[Served] = []

    def make() -> Served:
        servers.append(serve(tmp_path, "--state", str(tmp_path / "state"), "--speed", "20"))
        return servers[-1]

    yield make
    for server in servers:
        server.end()


def test_kill_9_loses_no_response_that_was_acknowledged(request_server: Callable[[], Served]) -> None:
    acknowledged: list[Any] = []
    for round_ in range(ROUNDS):
        server = request_server()
        assert server.urls, server.lines
        askers = Askers(server.urls[0])
        with ThreadPoolExecutor(ASKERS) as pool:
            asking = [pool.submit(askers.until_gone) for _ in range(ASKERS)]
            for _ in range(4000):
                if len(askers.acknowledged) >= 20 + 7 * round_:
                    break
                Event().wait(0.005)
            server.process.kill()
            server.end()
            for each in asking:
                each.result()
        acknowledged += askers.acknowledged
    server = request_server()
    with httpx.Client(base_url=server.urls[0], headers=KEY, timeout=10) as client:
        for told in acknowledged:
            response = ended(client, told["id"])
            if told["background"]:
                assert response["status"] == "completed"
                assert response["created_at"] == told["created_at"]
            else:
                assert response == told
    assert len(acknowledged) >= 20 * ROUNDS
    assert len({told["id"] for told in acknowledged}) == len(acknowledged)
