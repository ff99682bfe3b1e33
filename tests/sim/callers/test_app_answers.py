"""What an app sends back to its user, and what a fan-out costs on the line of the device that it runs on."""

from pathlib import Path
from typing import Any

import pytest

from sim.run.replications import Task, simulate
from sim.scenario.load import load

MS = 10**9
TEXT = """
name: answers
models:
  llama:
    id: m
    llm: llama3.1-8b
    hardware: {preset: hc1, kv_pool_tokens: 25000}
    context_tokens: 25000
    nodes: 20
network:
  places:
    home: {kind: custom, rtt_ms: 20, up_mbit_per_s: 8, down_mbit_per_s: 50}
    cloud: {kind: region, region: "aws:us-east-1"}
apps:
  bot: {place: cloud, model: llama, calls: 3}
traffic:
  people:
    place: home
    app: bot
    arrivals: {kind: constant, rate_per_s: 0.5}
    lengths: {prompt: {kind: fixed, tokens: 1000}, output: {kind: fixed, tokens: 1000}}
run: {horizon_s: 7, warm_up_s: 0, replications: 1}
"""
Rows = list[dict[str, Any]]


def rows(folder: Path, *settings: str) -> tuple[Rows, Rows]:
    """(model requests, user requests)"""
    file = folder / "scenario.yaml"
    file.write_text(TEXT, encoding="utf-8")
    tables = simulate(Task("base", load(file, settings).base, 7, 0, "fast")).tables
    assert tables.user_requests is not None
    return tables.requests.to_pylist(), tables.user_requests.to_pylist()


@pytest.mark.parametrize(
    ("settings", "answer_bytes"),
    [
        ([], 800 + 4200),  # the last call's answer
        (["apps.bot.mode=fan_out"], 800 + 3 * 4200),  # all of them
        (["apps.bot.mode=fan_out", "traffic.people.max_output_tokens=100"], 800 + 3 * 420),
        (
            ["models.llama.limits={requests_per_minute: 9, tokens_per_minute: 9}"],
            800,
        ),  # the first call is refused
    ],
)
def test_the_answer_of_an_app_takes_the_time_of_its_bytes(
    tmp_path: Path, settings: list[str], answer_bytes: int
) -> None:
    _, visits = rows(tmp_path, "network.places.home.down_mbit_per_s=1", *settings)
    assert len(visits) >= 3
    rest_ms = 10 + answer_bytes * 8 / 1000  # half a round trip, and 1,000 bits a millisecond
    if answer_bytes > 10 * 1448:
        rest_ms += 20 - 9 * 1448 * 8 / 1000  # ten segments are one flight
    for visit in visits:
        took_ms = (visit["ended_ps"] - visit["left_ps"]) / MS
        assert took_ms == pytest.approx(rest_ms, abs=1e-6)


def test_a_fan_out_from_home_takes_the_time_of_all_its_bytes(tmp_path: Path) -> None:
    settings = ["apps.bot={place: home, model: llama, calls: 20, mode: fan_out}"]
    requests, visits = rows(tmp_path, *settings)
    for visit in visits:
        calls = [row for row in requests if row["parent"] == visit["number"]]
        assert len(calls) == 20
        sent, connected, arrived, first, ended = (
            [row[f"{name}_ps"] / MS for row in calls]
            for name in ("sent", "connected", "arrived", "first", "ended")
        )
        # 20 prompts of 4,800 bytes at 8 Mbit/s, then 20,000 events of 186 bytes at 50 Mbit/s
        assert max(arrived) - min(connected) == pytest.approx(10 + 20 * 4.8)
        assert max(ended) - min(first) >= 595.2 + 10
        assert visit["ended_ps"] / MS - min(sent) >= 595.2
    assert {row["outcome"] for row in requests} == {"completed"}


@pytest.mark.parametrize(
    ("connections", "colds"), [("pooled", [True, *[False] * 5]), ("per_request", [True] * 6)]
)
def test_an_app_keeps_its_connections_or_opens_one_for_each_call(
    tmp_path: Path, connections: str, colds: list[bool]
) -> None:
    requests, visits = rows(tmp_path, f"apps.bot.connections={connections}")
    assert [request["cold"] for request in requests][:6] == colds
    assert [visit["cold"] for visit in visits][:2] == [True, False]  # users keep theirs all the same
