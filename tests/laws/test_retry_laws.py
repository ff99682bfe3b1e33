"""What holds for every ask, whatever its client does, in whole worlds full of ties.

The platform cannot tell attempts from requests of other people, so what the other laws say holds for each.
"""

from collections import defaultdict
from itertools import pairwise
from math import sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.stored import whole
from sim.node.queue_limits import QueueFull
from sim.platform.pool import Pool
from sim.platform.ticket import Ticket
from sim.run.world import World
from sim.scenario.retries import Retry
from sim.scenario.schema import Scenario
from tests.laws.test_faults import crashes, networks, slows, with_faults
from tests.laws.test_worlds_agree import HORIZON_MS, MS, fixed, model, rows, scenarios, source
from traffic.retry_profiles import NONE

Rows = list[dict[str, Any]]
ENDED = 100 * HORIZON_MS * MS
"""Long after the last answer."""


def most_attempts(stated: dict[str, Any]) -> int:
    retry, hedge = stated.get("retry"), stated.get("hedge") or {"max": 0}
    profile = NONE if retry is None else Retry.model_validate(retry).profile()
    return profile.most_attempts + int(hedge["max"])


def joins_at_any_step(scenario: dict[str, Any]) -> dict[str, Any]:
    """Static batches wait for as many as they hold, who may never come."""
    for one in scenario["models"].values():
        if one["batching"].get("admission") == "static":
            del one["batching"]["admission"]
    return scenario


passing = (crashes | slows | networks).filter(lambda fault: "for_s" in fault)


@settings(max_examples=60, deadline=None)
@given(scenarios.map(joins_at_any_step), st.lists(passing, max_size=4))
def test_every_ask_ends_once_and_every_attempt_is_accounted_for(
    scenario: dict[str, Any], faults: list[dict[str, Any]]
) -> None:
    scenario = with_faults(scenario, faults)
    world = World(Scenario.model_validate(scenario), 1, 0, engine="fast")
    world.run_to(ENDED)
    assert not world.platform.inside
    assert not world.traffic.asks.inside
    for model_name, pool in world.platform.pools.items():
        for node in pool.nodes:
            kernel, blocks = node.kernel, world.kv_blocks[model_name]
            assert (kernel.running, kernel.waiting, kernel.free_blocks) == (0, 0, blocks)
    tables = world.tables("base")
    by_ask: dict[int, Rows] = defaultdict(list)
    for row in rows(whole(tables.requests)):
        by_ask[row["ask"]].append(row)
    asks = [] if tables.asks is None else rows(whole(tables.asks))
    assert len({ask["number"] for ask in asks}) == len(asks)
    for ask in asks:
        assert_accounted(ask, by_ask.pop(ask["number"]), scenario["traffic"][ask["source"]])
    assert all(len(alone) == 1 for alone in by_ask.values())
    with_clients = {n for n, one in scenario["traffic"].items() if one.get("retry") or one.get("hedge")}
    assert not {row["source"] for alone in by_ask.values() for row in alone} & with_clients


def assert_accounted(ask: dict[str, Any], sent: Rows, stated: dict[str, Any]) -> None:
    sent.sort(key=lambda row: row["attempt"])
    assert [row["attempt"] for row in sent] == list(range(ask["attempts"]))
    assert ask["attempts"] <= most_attempts(stated)
    first, last = sent[0], sent[-1]
    assert (first["number"], first["intended_ps"]) == (ask["number"], ask["intended_ps"])
    hedged = stated.get("hedge") is not None
    if not hedged:
        assert all(later["intended_ps"] >= before["ended_ps"] for before, later in pairwise(sent))
        assert all(row["outcome"] != "completed" for row in sent[:-1])
    assert ask["ended_ps"] >= max(row["intended_ps"] for row in sent)
    answered = [row for row in sent if row["number"] == ask["answered_by"]]
    assert (ask["outcome"] == "completed") == bool(answered)
    for row in answered:
        assert row["outcome"] == "completed"
        for name in ("ended_ps", "first_seen_ps", "output_tokens"):
            assert row[name] == ask[name], name
    patience_s = stated.get("timeout_s")
    if patience_s is not None:
        assert ask["ended_ps"] <= ask["intended_ps"] + round(patience_s * 1000) * MS
    elif not answered and not hedged:
        assert (ask["outcome"], ask["ended_ps"]) == (last["outcome"], last["ended_ps"])


COIN = {
    "name": "coin",
    "models": {"a": model(1, 4, 60, {})},
    "network": {"places": {"here": {"kind": "custom", "rtt_ms": 0}}},
    "traffic": {
        "s": source(
            model="a",
            arrivals={"kind": "poisson", "rate_per_s": 200},
            lengths={"prompt": fixed(1), "output": fixed(1)},
            retry={"max_retries": 4, "backoff": {"first_ms": 1}},
        )
    },
    "run": {"horizon_s": 12.0, "replications": 1},
}


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_independent_refusals_make_the_number_of_attempts_geometric(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than k attempts with share^k up to the last; in all (1 - share^5) / (1 - share) on average."""
    world = World(Scenario.model_validate(COIN), 3, 0, engine="fast")
    coin, serve = world.streams.stream("coin"), Pool.serve

    def serve_or_not(pool: Pool, ticket: Ticket) -> None:
        if coin.random() < share:
            world.platform.refused(ticket, QueueFull("max_num_queued_reqs", 1, 1, 1))
        else:
            serve(pool, ticket)

    monkeypatch.setattr(Pool, "serve", serve_or_not)
    world.run_to(ENDED)
    tables = world.tables("base")
    assert tables.asks is not None
    asks = rows(whole(tables.asks))
    attempts, outcomes = [ask["attempts"] for ask in asks], [ask["outcome"] for ask in asks]
    count = len(attempts)
    assert count > 2000
    for k in range(1, 5):
        assert_share(sum(sent > k for sent in attempts), count, share**k)
    assert_share(sum(outcome != "completed" for outcome in outcomes), count, share**5)
    assert sum(attempts) / count == pytest.approx((1 - share**5) / (1 - share), rel=0.04)


def assert_share(found: int, count: int, expected: float) -> None:
    """Within four standard deviations."""
    assert abs(found / count - expected) < 4 * sqrt(expected * (1 - expected) / count)
