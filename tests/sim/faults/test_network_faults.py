"""Paths that break. Places are 20 ms away; a prompt of 8 tokens and an answer of 3 take 8 + 2 x 2 ms."""

from typing import Any

import numpy as np
import pytest

from sim.network.trouble import Burst, Outage, Trouble
from sim.run.world import World
from sim.scenario.schema import Scenario
from sim.time.streams import stream

MS = 10**9


def rows(faults: dict[str, Any], *, every_ms: float = 100, **source: Any) -> list[dict[str, Any]]:
    """Of requests at 0, 100, 200 ms ... over warm connections, for a second."""
    chip = {"kind": "hardwired_asic", "decode_step_ms": 2, "prefill_ms_per_token": 1, "kv_pool_tokens": 4000}
    one = {
        "place": "near",
        "model": "m",
        "arrivals": {"kind": "constant", "rate_per_s": 1000 / every_ms, "offset_s": 0.0},
        "lengths": {"prompt": {"kind": "fixed", "tokens": 8}, "output": {"kind": "fixed", "tokens": 3}},
    }
    places = {
        "near": {"kind": "custom", "rtt_ms": 20, "dns_lookup_ms": 0},
        "cloud": {"kind": "region", "region": "aws:us-east-1"},
    }
    spec = {
        "name": "paths",
        "models": {"m": {"id": "m", "llm": "llama3.1-8b", "hardware": chip, "context_tokens": 2000}},
        "network": {"tls": "none", "places": places},
        "traffic": {"s": one | source},
        "faults": faults,
        "run": {"horizon_s": 1, "replications": 1},
    }
    world = World(Scenario.model_validate(spec), 1, 0, engine="fast")
    world.run_to(20_000 * MS)
    tables = world.tables("base")
    found: list[dict[str, Any]] = tables.requests.to_pylist()
    return found


def outage(at_ms: float, for_ms: float, **more: Any) -> dict[str, Any]:
    when = {"at_s": at_ms / 1000, "for_s": for_ms / 1000}
    return {"cut": {"kind": "region_cut", "place": "near", **when, **more}}


def test_what_is_sent_during_an_outage_is_sent_again_until_it_gets_through() -> None:
    usual, cut = rows({}), rows(outage(250, 100))
    delays = [(b["arrived_ps"] - a["arrived_ps"]) / MS for a, b in zip(usual, cut, strict=True)]
    # Sent at 300: the time-out of 200 ms, then it is over. Meanwhile somebody needs a second connection.
    assert delays == [0, 0, 0, 200, 20, 0, 0, 0, 0, 0]
    longer = rows(outage(250, 500))
    # Sent at 300: tries at 500 and 900. At 400 a second connection is needed, whose set-up tries after 1 s.
    assert [(r["arrived_ps"] - r["sent_ps"]) / MS for r in longer][3] == 610
    assert [(r["connected_ps"] - r["sent_ps"]) / MS for r in longer][4] == 1020


def test_an_answer_waits_too() -> None:
    # Sent at 0, arrived at 30 (with a round trip for the connection), first token at 38, last at 42.
    (first, *_) = rows(outage(42, 100))
    assert (first["first_seen_ps"] / MS, first["last_ps"] / MS, first["ended_ps"] / MS) == (48, 42, 252)
    (whole, *_) = rows(outage(42, 100), stream=False)
    assert whole["ended_ps"] / MS == 252


def test_connections_that_are_reset_fail_at_once_and_so_do_new_requests_until_the_end() -> None:
    found = rows(outage(102, 250, connections="reset"))
    assert [row["outcome"] for row in found[:5]] == ["completed", *["path_lost"] * 3, "completed"]
    assert [row["ended_ps"] / MS for row in found[1:4]] == [102, 200, 300]
    assert found[1]["arrived_ps"] is found[2]["arrived_ps"] is None  # on its way, and not sent at all


def test_a_hop_that_is_out_leaves_other_places_alone() -> None:
    fault = {"kind": "hop_outage", "hop": "custom", "at_s": 0.0, "for_s": 0.9, "connections": "reset"}
    assert {row["outcome"] for row in rows({"hop": fault})[:9]} == {"path_lost"}
    assert {row["outcome"] for row in rows({"hop": fault}, place="cloud")} == {"completed"}


def test_a_burst_of_losses_delays_as_many_messages_as_it_says_and_ends() -> None:
    burst = {"kind": "packet_loss", "hop": "custom", "loss_per_segment": 0.25, "at_s": 0.0, "for_s": 0.5}
    lossy = rows({"loss": burst}, every_ms=1)
    late = np.array([row["arrived_ps"] - row["connected_ps"] > 10 * MS for row in lossy])
    assert abs(late[:500].mean() - 0.25) < 0.06  # three standard deviations of 500 draws
    assert not late[500:].any()
    assert {row["outcome"] for row in lossy} == {"completed"}


@pytest.mark.parametrize(
    ("for_ms", "waits_ms"), [(1, 200), (200, 200), (201, 600), (600, 600), (601, 1400), (10_000, 12_600)]
)
def test_time_outs_double(for_ms: int, waits_ms: int) -> None:
    trouble = Trouble()
    trouble.active.append(Outage(0, for_ms * MS, resets=False))
    assert trouble.wait_ps(0, 200 * MS) == waits_ms * MS
    assert trouble.wait_ps(for_ms * MS, 200 * MS) == 0


def test_they_double_up_to_two_minutes() -> None:
    trouble = Trouble()
    trouble.active.append(Outage(0, 10**15, resets=False))
    # 1 + 2 + ... + 64 = 127 s, then 120 s each: the eighth of these is the first after 1,000 s.
    assert trouble.wait_ps(0, 1000 * MS) == (127 + 8 * 120) * 1000 * MS


def test_a_segment_that_is_sent_again_can_be_lost_again() -> None:
    trouble = Trouble()
    trouble.active.append(Burst(0.5, stream(1, 0, "losses")))
    added = [trouble.lost_ps(1, 20 * MS, 200 * MS) // MS for _ in range(4000)]
    counts = [added.count(ms) for ms in (0, 200, 600, 1400)]
    for count, expected in zip(counts, (2000, 1000, 500, 250), strict=True):
        assert abs(count - expected) < 4 * expected**0.5
