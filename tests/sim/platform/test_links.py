"""A platform forgets the connections of keys that have none left, and a replay forgets the same."""

import asyncio
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from sim.platform.links import FORGET_AT
from sim.run.journal import Journal, read_journal
from sim.run.live import first_difference, live_tables, live_world, replayed
from sim.scenario.schema import Scenario
from tests.support.live import chat, make_wire, scenario

S = 10**12
IDLE_S = 60
HOME = {
    "tls": "1.3",
    "idle_timeout_s": IDLE_S,
    "places": {"home": {"kind": "internet", "access": "cable", "near": "aws:us-east-1"}},
}


def at_home() -> Scenario:
    spec = scenario().model_dump(exclude_unset=True)
    spec["traffic"]["chat"]["place"] = "home"
    return Scenario.model_validate(spec | {"network": HOME, "run": {"horizon_s": 4_000_000}})


def test_five_thousand_keys_that_ask_once_leave_few_links_behind() -> None:
    links = live_world(at_home()).platform.links
    source, most = links.link("source/chat", "home", 0), 0
    for number in range(5_000):
        now_ps = number * S // 10  # ten a second, of which each has a connection for a minute
        link = links.link(f"key/{number}", "home", now_ps)
        departure = link.send(now_ps, 10)
        link.release(departure.connection, departure.arrived_ps)
        most = max(most, len(links))
    assert most <= max(FORGET_AT, 2 * 10 * (IDLE_S + 1)) + 2
    assert links.forgotten > 3_500
    assert links.link("source/chat", "home", 10**18) is source, "the scenario's own are few, and stay"


@pytest.mark.parametrize(("idle_s", "forgotten"), [(IDLE_S - 1, False), (IDLE_S + 1, True)])
def test_a_link_is_kept_while_it_has_a_connection_to_reuse(idle_s: int, forgotten: bool) -> None:
    links = live_world(at_home()).platform.links
    links._forget_at = 0
    with patch("sim.platform.links.FORGET_AT", 0):
        link = links.link("key/a", "home", 0)
        departure = link.send(0, 10)
        link.release(departure.connection, S)
        links.link("key/b", "home", S + idle_s * S)
        again = links.link("key/a", "home", S + idle_s * S)
    assert (again is not link) == forgotten
    assert again.send(S + idle_s * S, 10).cold == forgotten


def test_who_was_forgotten_does_not_live_through_the_same_jitter_again() -> None:
    links = live_world(at_home()).platform.links
    with patch("sim.platform.links.FORGET_AT", 0):
        set_ups = []
        for number in range(40):
            now_ps = number * 1000 * S
            links._forget_at = 0
            departure = links.link("key/a", "home", now_ps).send(now_ps, 10)
            set_ups.append(departure.connected_ps - now_ps)
            links.link(f"key/{number}", "home", now_ps + 500 * S)
    assert links.forgotten >= 39
    assert len(np.unique(set_ups)) == 40


def test_a_replay_forgets_the_same_links_and_has_the_same_stamps(tmp_path: Path) -> None:
    """Seven keys in turn, minutes apart, of which each is forgotten and comes back."""
    spec = at_home()
    with patch("sim.platform.links.FORGET_AT", 2):
        wire = make_wire(spec)
        world = wire.platform.world
        world.platform.links._forget_at = 2
        journal = wire.platform.shim.journal = Journal(world.env, tmp_path / "arrivals.jsonl")

        async def story() -> None:
            for number in range(60):
                await asyncio.sleep([0.5, 61, 7][number % 3])
                await wire.send("/v1/chat/completions", chat(max_tokens=2), key=f"key-{number % 7}")

        wire.platform.run(story())
        tables = live_tables(world)
        assert world.platform.links.forgotten > 10
        again = replayed(spec, read_journal(tmp_path / "arrivals.jsonl"))
        assert again.platform.links.forgotten == world.platform.links.forgotten
        assert first_difference(tables, live_tables(again)) is None
    journal.close()
    wire.platform.close()
