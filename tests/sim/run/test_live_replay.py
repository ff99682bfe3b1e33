"""The replay of a live run cuts each instant where the run did."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from api_shim.clocks.clock import wake_at
from reports.preemptions import preemptions_that_differ
from reports.stored import whole
from sim.node.preemption_log import Preemption
from sim.platform.rate_limit import Headroom, Refusal
from sim.platform.recorder import FLUSH_ROWS, RecentBlocks
from sim.run.journal import Journal, read_journal
from sim.run.live import first_difference, live_tables, live_world, replayed
from sim.run.world import World
from sim.scenario.schema import Scenario
from sim.time.timeline import FEEDBACK
from traffic.request import Request

MS = 10**9
SCENARIO = Scenario.model_validate(
    {
        "name": "live",
        "models": {
            "m": {
                "id": "m",
                "llm": "llama3.1-8b",
                "hardware": {
                    "kind": "hardwired_asic",
                    "decode_step_ms": 2,
                    "prefill_ms_per_token": 1,
                    "kv_pool_tokens": 100,
                    "max_concurrent_sequences": 4,
                },
                "nodes": 2,
                "context_tokens": 50,
                "routing": "round_robin",
            }
        },
        "network": {"places": {"here": {"kind": "custom", "rtt_ms": 0}}},
        "traffic": {
            "s": {
                "place": "here",
                "model": "m",
                "arrivals": {"kind": "constant", "rate_per_s": 1},
                "lengths": {
                    "prompt": {"kind": "fixed", "tokens": 2},
                    "output": {"kind": "fixed", "tokens": 3},
                },
            }
        },
        "run": {"horizon_s": 1, "replications": 1},
    }
)


class Outsider:
    """Asks again when its answer has come, as a coroutine of the server does."""

    def __init__(self, world: World, journal: Journal, outputs: list[int]) -> None:
        self._world, self._journal, self._outputs = world, journal, outputs

    def ask(self) -> None:
        world, number = self._world, self._world.numbers.next()
        request = Request(
            *(number, "m", 2, self._outputs.pop(0), None, world.env.now, "here", "key", "p", "key", "s", "t")
        )
        self._journal.arrived(request, str(number))
        world.platform.submit(request, self)

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def first_token(self, at_ps: int) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None: ...

    def ended(self, at_ps: int, reason: str) -> None:
        del reason
        if self._outputs:
            again: Callable[[], None] = self.ask
            wake_at(self._world.env, at_ps, again)


def test_an_answer_without_delay_that_sets_off_a_call_to_a_node_in_mid_stretch(tmp_path: Path) -> None:
    world = live_world(SCENARIO)
    journal = Journal(world.env)
    # Node 0 has the first and third call, node 1 the long one and, while it decodes every 2 ms, the fourth,
    # which the end of the third sets off at an instant between two of these steps.
    Outsider(world, journal, [3, 3, 3]).ask()
    Outsider(world, journal, [20]).ask()
    recorded = live_tables(world)
    journal.write(tmp_path / "arrivals.jsonl")
    journal.close()
    entries = read_journal(tmp_path / "arrivals.jsonl")
    assert [entry.reached for entry in entries] == [0, 0, FEEDBACK, FEEDBACK]
    node_of_fourth, late = recorded.requests["node"][3].as_py(), recorded.requests["started_ps"][3].as_py()
    assert (node_of_fourth, late - entries[3].at_ps) == (1, 2 * MS)
    assert first_difference(recorded, live_tables(replayed(SCENARIO, entries))) is None


def test_preemptions_are_recorded_and_replayed_alike(tmp_path: Path) -> None:
    """Three of 42 tokens want 9 blocks of each node's 6: the last to come gives way, and comes back."""
    world = live_world(SCENARIO)
    journal = Journal(world.env)
    for _ in range(6):
        Outsider(world, journal, [40]).ask()
    recorded = live_tables(world)
    journal.write(tmp_path / "arrivals.jsonl")
    journal.close()
    assert recorded.preemptions is not None
    told = recorded.preemptions.to_pylist()
    assert [(row["number"], row["node"], row["cause"], row["back_ps"] > row["lost_ps"]) for row in told] == [
        (4, 0, "growth", True),
        (5, 1, "growth", True),
    ]
    assert list(preemptions_that_differ(recorded)) == []
    again = live_tables(replayed(SCENARIO, read_journal(tmp_path / "arrivals.jsonl")))
    assert again.preemptions is not None
    assert first_difference(recorded, again) is None
    later = whole(again.preemptions).set_column(9, "lost_ps", pa.array([row["lost_ps"] + 1 for row in told]))
    assert "In preemptions: row 0 has lost_ps" in str(
        first_difference(recorded, replace(again, preemptions=later))
    )


def test_a_server_that_does_not_record_keeps_the_latest_preemptions_alone() -> None:
    world = live_world(SCENARIO, blocks=RecentBlocks())
    tell = world._preemption_log("m", 0)._tell
    for number in range(2 * FLUSH_ROWS + 10):
        tell(Preemption(number, 0, False, number, number + 1, 5, 0))
    table = world._preempted("live")
    assert table is not None
    assert table["number"].to_pylist() == list(range(FLUSH_ROWS, 2 * FLUSH_ROWS + 10))
