"""`kill -9` of a real server in the middle of uploads and batches.

Nothing that was acknowledged is lost, and nothing runs twice: the id of an answer, which is another one each
time that a request is run, never changes once it is durable.
"""

import json
import sqlite3
import time  # noqa: TID251 -- processes are killed in real time
from collections import Counter
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.batches import CHAT, OVER, lines, requests
from tests.support.served import Served, serve

pytestmark = pytest.mark.realtime
KEY = {"authorization": "Bearer sk-me"}
LINES = 150
"""A second's work: two nodes at 11 ms a request, at four times the speed."""
AT_A_TIME = 3
SHARE_CANCELLED = 0.2
LONGEST_LIFE_S = 1.5
LONGEST_WAIT_S = 120
Answers = dict[str, str]
"""Of a batch: the id of the answer, by `custom_id`."""


class Survivor:
    """A state directory that one server after the other is killed on, and what their clients were told."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = np.random.default_rng(seed)
        self.files: dict[str, bytes] = {}
        self.batches: list[str] = []
        self.tried_to_cancel: set[str] = set()
        self.cancelled: set[str] = set()
        self.durable: dict[str, Answers] = {}
        self.ran_twice = 0

    def live_and_die(self) -> None:
        server = self._serve()
        death = Timer(self.chance.uniform(0, LONGEST_LIFE_S), server.process.kill)
        death.start()
        try:
            with httpx.Client(base_url=server.urls[0], headers=KEY, timeout=30) as client:
                while True:
                    self._ask(client)
        except httpx.TransportError:
            pass  # killed before it could acknowledge that
        finally:
            death.join()
            server.end()
        self._look_at_what_is_durable()

    def end(self) -> None:
        """The last server may live until every batch is over."""
        server = self._serve()
        try:
            with httpx.Client(base_url=server.urls[0], headers=KEY, timeout=30) as client:
                for id_, content in self.files.items():
                    assert client.get(f"/v1/files/{id_}/content").content == content
                for id_ in self.batches:
                    self._check(client, _until_over(client, id_))
        finally:
            server.end()

    def _serve(self) -> Served:
        return serve(self.folder, "--speed", "4", "--state", str(self.folder / "state"))

    def _ask(self, client: httpx.Client) -> None:
        """What is acknowledged is written down."""
        newest = client.get("/v1/batches").json()["data"]
        if sum(batch["status"] not in OVER for batch in newest) >= AT_A_TIME:
            time.sleep(0.02)
            return
        content = lines(requests(LINES))
        file = {"file": ("in.jsonl", content)}
        made = client.post("/v1/files", files=file, data={"purpose": "batch"}).json()
        self.files[made["id"]] = content
        body = {"input_file_id": made["id"], "endpoint": CHAT, "completion_window": "24h"}
        batch = client.post("/v1/batches", json=body).json()
        self.batches.append(batch["id"])
        if self.chance.random() < SHARE_CANCELLED:
            self.tried_to_cancel.add(batch["id"])
            client.post(f"/v1/batches/{batch['id']}/cancel").raise_for_status()
            self.cancelled.add(batch["id"])

    def _look_at_what_is_durable(self) -> None:
        connection = sqlite3.connect(self.folder / "state" / "state.sqlite")
        rows = connection.execute(
            "SELECT id, result FROM batch_results JOIN batches ON batches.number = batch"
        ).fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
        for id_, result in rows:
            self._note(id_, json.loads(result))

    def _note(self, batch: str, result: Any) -> None:
        answer: str = result["response"]["body"]["id"]
        first = self.durable.setdefault(batch, {}).setdefault(result["custom_id"], answer)
        self.ran_twice += first != answer

    def _check(self, client: httpx.Client, batch: Any) -> None:
        id_ = batch["id"]
        answers, errors = (_lines(client, batch[name]) for name in ("output_file_id", "error_file_id"))
        for answer in answers:
            self._note(id_, answer)
        told = Counter(each["custom_id"] for each in answers + errors)
        assert batch["status"] == "completed" or id_ in self.tried_to_cancel
        assert batch["status"] == "cancelled" or id_ not in self.cancelled
        if batch["status"] == "completed" or told:  # else it was cancelled before it was read
            assert told == Counter(f"r{number}" for number in range(LINES))
        assert batch["request_counts"]["completed"] == len(answers)
        assert self.durable.get(id_, {}).keys() == {each["custom_id"] for each in answers}


def _until_over(client: httpx.Client, id_: str) -> Any:
    until_s = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < until_s:
        batch = client.get(f"/v1/batches/{id_}").json()
        if batch["status"] in OVER:
            return batch
        time.sleep(0.1)
    raise AssertionError(batch)


def _lines(client: httpx.Client, file_id: str | None) -> list[Any]:
    if file_id is None:
        return []
    return [json.loads(each) for each in client.get(f"/v1/files/{file_id}/content").text.splitlines()]


def survive(folder: Path, kills: int) -> Survivor:
    survivor = Survivor(folder, seed=kills)
    for _ in range(kills):
        survivor.live_and_die()
    survivor.end()
    assert survivor.ran_twice == 0
    return survivor


def test_three_kills_lose_nothing_and_run_nothing_twice(tmp_path: Path) -> None:
    survivor = survive(tmp_path, kills=3)
    assert survivor.batches
    assert sum(map(len, survivor.durable.values())) > LINES


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_hundred_kills_lose_nothing_and_run_nothing_twice(tmp_path: Path) -> None:
    survive(tmp_path, kills=200)
