"""A recorded run with a batch replays offline to equal stamps, interactive requests in its midst."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sim.run.journal import Journal, read_journal
from sim.run.live import LONGEST_S, first_difference, live_tables, replayed
from tests.support.batches import create, requests, until_over
from tests.support.live import Wire, chat, make_wire, scenario

BUDGET = {"requests_per_minute": 4000, "tokens_per_minute": 10**6}


@pytest.mark.parametrize("queue", ["fcfs", "priority"])
@pytest.mark.parametrize("cancelled", [False, True], ids=["to its end", "cancelled"])
def test_a_replay_has_the_stamps_of_batch_and_chats(tmp_path: Path, queue: str, *, cancelled: bool) -> None:
    models: dict[str, Any] = scenario().model_dump(mode="json", exclude_unset=True)["models"]
    models["llama"] |= {
        "batching": {"queue": queue},
        "limits": {"requests_per_minute": 60, "tokens_per_minute": 10**6, "batch": BUDGET},
    }
    spec = scenario(models=models, run={"horizon_s": LONGEST_S})
    wire = make_wire(spec)
    journal = wire.platform.shim.journal = Journal(wire.platform.world.env, tmp_path / "spool")
    id_ = create(wire, requests(150, max_tokens=3, ignore_eos=True)).json["id"]

    async def chats() -> None:
        for number in range(20):
            await asyncio.sleep(0.017 * (number % 5))
            await wire.send("/v1/chat/completions", chat(max_tokens=2), headers={"x-sim-place": "away"})

    async def cancel() -> None:
        await asyncio.sleep(0.7)
        if cancelled:
            await wire.send(f"/v1/batches/{id_}/cancel", method="POST")

    async def story() -> None:
        await asyncio.gather(chats(), cancel())

    wire.platform.run(story())
    batch = until_over(wire, id_)
    assert batch["status"] == ("cancelled" if cancelled else "completed")
    _equal(wire, spec, journal, tmp_path / "arrivals.jsonl")


def _equal(wire: Wire, spec: Any, journal: Journal, path: Path) -> None:
    wire.platform.close()
    journal.write(path)
    recorded = live_tables(wire.platform.world)
    journal.close()
    assert recorded.requests.num_rows > 40
    assert first_difference(recorded, live_tables(replayed(spec, read_journal(path)))) is None
