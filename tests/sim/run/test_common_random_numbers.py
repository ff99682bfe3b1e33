"""What stays the same when something else of a scenario changes: sizes, jitter, connections."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.run.replications import Task, simulate
from sim.run.world import World
from sim.scenario.load import load
from sim.scenario.schema import Scenario

MS = 10**9
TEXT = """
name: apart
models:
  llama:
    id: m
    llm: llama3.1-8b
    hardware: {preset: hc1, kv_pool_tokens: 25000}
    context_tokens: 25000
    nodes: 4
network:
  places:
    home: {kind: internet, access: cable, near: "aws:us-east-1"}
    cafe: {kind: internet, access: cable, near: "aws:us-east-1"}
    edge: {kind: edge}
apps:
  bot: {place: edge, model: llama, calls: 3}
traffic:
  chat:
    place: home
    model: llama
    connections: per_request
    arrivals: {kind: poisson, rate_per_s: 5}
    lengths: {prompt: {kind: lognormal, median: 200, sigma: 1}, output: {kind: geometric, mean: 20}}
  work:
    place: cafe
    app: bot
    arrivals: {kind: poisson, rate_per_s: 2}
    lengths: {prompt: {kind: lognormal, median: 200, sigma: 1}, output: {kind: geometric, mean: 20}}
run: {horizon_s: 30, replications: 1}
"""

Rows = list[dict[str, Any]]


def scenario(folder: Path, text: str = TEXT, *settings: str) -> Scenario:
    file = folder / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, settings).base


def rows(spec: Scenario) -> tuple[Rows, Rows]:
    """(model requests, user requests)"""
    tables = simulate(Task("base", spec, 7, 0, "fast")).tables
    assert tables.user_requests is not None
    return tables.requests.to_pylist(), tables.user_requests.to_pylist()


def of(source: str, requests: Rows, *columns: str) -> list[tuple[Any, ...]]:
    chosen = sorted((row for row in requests if row["source"] == source), key=lambda row: row["number"])
    return [tuple(row[name] for name in columns) for row in chosen]


def calls_by_arrival(requests: Rows) -> list[list[tuple[Any, ...]]]:
    """Sizes of the calls of each user request, in the order in which they were made."""
    found = defaultdict(list)
    for row in sorted(requests, key=lambda row: (row["parent"], row["number"])):
        if row["parent"] >= 0:
            found[row["parent"]].append((row["prompt_tokens"], row["output_tokens"]))
    return list(found.values())


def test_more_calls_change_nobodys_sizes(tmp_path: Path) -> None:
    few, users = rows(scenario(tmp_path, TEXT, "apps.bot.calls=10"))
    many, more_users = rows(scenario(tmp_path, TEXT, "apps.bot.calls=20"))
    sizes = "prompt_tokens", "output_tokens", "intended_ps"
    assert of("chat", many, *sizes) == of("chat", few, *sizes)
    assert [calls[:10] for calls in calls_by_arrival(many)] == calls_by_arrival(few)
    assert {len(calls) for calls in calls_by_arrival(many)} == {20}
    assert of("work", more_users, "intended_ps") == of("work", users, "intended_ps")


def test_more_calls_change_nobody_elses_jitter(tmp_path: Path) -> None:
    (few, _), (many, _) = (rows(scenario(tmp_path, TEXT, f"apps.bot.calls={calls}")) for calls in (1, 5))
    way_in = "cold", "sent_ps", "connected_ps", "arrived_ps"
    assert of("chat", many, *way_in) == of("chat", few, *way_in)


def test_an_app_named_like_a_source_has_connections_of_its_own(tmp_path: Path) -> None:
    alike = TEXT.replace("bot:", "chat:").replace("app: bot", "app: chat")
    (requests, _) = rows(scenario(tmp_path, alike))
    colds = [cold for (cold,) in of("work", requests, "cold")]
    assert len(colds) > 100
    assert sum(colds) < len(colds) / 10  # the app pools, whatever the source of that name does
    assert all(cold for (cold,) in of("chat", requests, "cold"))


def set_ups(world: World, *callers: tuple[str, str]) -> list[list[int]]:
    """Of ten new connections of each (caller, place), in ps."""
    links = [world.platform.links.link(*caller, 0) for caller in callers]
    return [[link.send(i, 10).connected_ps - i for i in range(10)] for link in links]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("key/a", "home"), ("key/a", "cafe")),
        (("key/a", "home"), ("key/b", "home")),
        (("key/chat", "home"), ("source/chat", "home")),
        (("app/bot", "home"), ("key/bot", "home")),
    ],
)
def test_two_callers_or_two_places_draw_jitter_of_their_own(
    tmp_path: Path, one: tuple[str, str], other: tuple[str, str]
) -> None:
    spec = scenario(tmp_path)
    first, second = set_ups(World(spec, 1, 0, sources=False), one, other)
    assert not np.intersect1d(first, second).size
    assert set_ups(World(spec, 1, 0, sources=False), one) == [first]
