"""Breaking a running platform: who may, what is refused, and that a replay breaks at the same instants."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api_shim.settings import ServerSettings
from sim.run.journal import Journal, read_journal
from sim.run.live import LONGEST_S, first_difference, live_tables, replayed
from tests.support.live import MS, Wire, chat, make_wire, scenario

TOKEN = "the-token-of-the-dashboard"
CHAT = "/v1/chat/completions"
FIVE = chat(stream=True, max_tokens=5, ignore_eos=True)
CRASH = {"kind": "node_crash", "model": "llama", "nodes": [0], "requests": "requeue", "for_s": 0.1}


def wire() -> Wire:
    spec = scenario(run={"horizon_s": LONGEST_S})
    return make_wire(spec, settings=ServerSettings(dashboard_token=TOKEN))


def test_a_request_of_a_node_that_is_broken_goes_on_elsewhere() -> None:
    platform = wire()

    async def story() -> tuple[Any, Any, Any]:
        asking = asyncio.ensure_future(platform.send(CHAT, FIVE))
        await asyncio.sleep(0.025)  # the prompt takes 11 ms, a further token 10
        struck = await platform.send("/sim/faults", CRASH, key=TOKEN)
        reply = await asking
        await asyncio.sleep(0.2)
        return struck, reply, await platform.send("/sim/faults", key=TOKEN)

    struck, reply, listed = platform.platform.run(story())
    platform.platform.close()
    told = {
        "fault": "live1",
        "kind": "node_crash",
        "target": "node 0 of llama",
        "began_s": 0.025,
        "ends_s": 0.125,
    }
    told |= {"broken": True, "requests_failed": 0, "requests_moved": 1}
    assert (struck.status, struck.json["data"]) == (200, [told])
    assert listed.json["data"] == [told | {"broken": False}]
    # Two tokens by then; at 25 ms prompt and both are computed anew, 13 ms, then two more steps.
    assert reply.ended_ps == (25 + 13 + 20) * MS
    assert len(reply.text.split()) >= 1


def test_a_stream_whose_node_dies_breaks_off_with_an_error() -> None:
    platform = wire()

    async def story() -> Any:
        asking = asyncio.ensure_future(platform.send(CHAT, FIVE))
        await asyncio.sleep(0.025)
        await platform.send("/sim/faults", CRASH | {"requests": "fail"}, key=TOKEN)
        return await asking

    reply = platform.platform.run(story())
    platform.platform.close()
    assert b"node_lost" in reply.body
    assert reply.ended_ps == 25 * MS


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (CRASH | {"nodes": [2]}, 400, "`llama` has no node 2: its 2 are numbered from 0"),
        (CRASH | {"at_s": 3}, 400, "`at_s` is for scenarios"),
        (CRASH | {"kind": "crash"}, 400, "kind"),
        (b"[]", 400, "no JSON object"),
        ({"kind": "region_cut", "place": "moon", "for_s": 1}, 400, "there is no place `moon`"),
        (CRASH, 200, "live1"),
    ],
)
def test_what_cannot_break_is_refused(body: Any, status: int, words: str) -> None:
    platform = wire()
    reply = platform.ask("/sim/faults", body, key=TOKEN)
    platform.platform.close()
    assert reply.status == status
    assert words in reply.body.decode()


def test_what_is_broken_does_not_break_again() -> None:
    platform = wire()
    replies = [platform.ask("/sim/faults", CRASH, key=TOKEN) for _ in range(2)]
    platform.platform.close()
    assert [reply.status for reply in replies] == [200, 409]
    assert replies[1].error["message"].startswith("node 0 of llama is broken already")


@pytest.mark.parametrize("key", [None, "sk-me", "wrong"])
def test_only_the_dashboards_token_opens_it(key: str | None) -> None:
    platform = wire()
    refused = [platform.ask("/sim/faults", body, key=key) for body in (None, CRASH)]
    platform.platform.close()
    assert [reply.status for reply in refused] == [401, 401]


def test_guesses_run_out_and_without_a_dashboard_there_is_nothing() -> None:
    platform, bare = wire(), make_wire(scenario())
    statuses = [platform.ask("/sim/faults", key="guess").status for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert bare.ask("/sim/faults", key="guess").status == 404
    platform.platform.close()
    bare.platform.close()


FAULTS = [
    CRASH,
    CRASH | {"requests": "fail", "nodes": "all", "for_s": 0.013},
    {"kind": "slow_node", "model": "llama", "nodes": [1], "factor": 3, "for_s": 0.04},
    {"kind": "region_cut", "place": "away", "for_s": 0.03, "connections": "reset"},
    {"kind": "packet_loss", "hop": "custom", "loss_per_segment": 0.5, "for_s": 0.05},
]


SCALING = {
    "kind": "queue",
    "max_nodes": 4,
    "start_up_s": 0.05,
    "every_s": 0.02,
    "out_above": 1,
    "cool_down_s": 0.1,
}
CHANCE = {"chance": CRASH | {"mtbf_s": 0.1, "mttr_s": 0.05, "for_s": None}}


@pytest.mark.parametrize(("own", "llama"), [({}, {}), (CHANCE, {}), ({}, {"scaling": SCALING})])
def test_what_was_broken_replays_to_the_picosecond(
    tmp_path: Path, own: dict[str, Any], llama: dict[str, Any]
) -> None:
    spec = scenario(run={"horizon_s": LONGEST_S}, faults=own, llama=llama)
    platform = make_wire(spec, settings=ServerSettings(dashboard_token=TOKEN))
    path = tmp_path / "arrivals.jsonl"
    journal = platform.platform.shim.journal = Journal(
        platform.platform.world.env, path.with_suffix(".spool")
    )

    async def ask(number: int) -> None:
        await asyncio.sleep(number * 0.02)
        place = {"x-sim-place": "away" if number % 3 else "here"}
        body = chat(stream=number % 2 == 0, max_tokens=4, ignore_eos=True)
        await platform.send(CHAT, body, headers=place)

    async def strike(number: int) -> None:
        await asyncio.sleep(0.05 + number * 0.15)
        await platform.send("/sim/faults", FAULTS[number], key=TOKEN)

    async def story() -> None:
        await asyncio.gather(*map(ask, range(40)), *map(strike, range(len(FAULTS))))
        await asyncio.sleep(3)

    platform.platform.run(story())
    platform.platform.close()
    journal.write(path)
    entries = read_journal(path)
    assert entries == read_journal(path.with_suffix(".spool"))
    tables = live_tables(platform.platform.world)
    journal.close()
    assert sum(entry.fault is not None for entry in entries) >= 4
    outcomes = set(tables.requests["outcome"].to_pylist())
    assert {"completed", "path_lost"} <= outcomes
    assert own or "node_lost" in outcomes  # with chance, what should break may be broken already
    again = live_tables(replayed(spec, entries))
    assert first_difference(tables, again) is None
    assert (tables.lifetimes is None) is not bool(llama)
    if tables.lifetimes is not None:
        assert again.lifetimes is not None
        assert tables.lifetimes["began_ps"].to_pylist() == again.lifetimes["began_ps"].to_pylist()
        assert tables.lifetimes.num_rows > 3  # some came
    assert tables.faults is not None
    assert again.faults is not None
    assert tables.faults.num_rows == again.faults.num_rows >= 5
