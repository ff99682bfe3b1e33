"""What a KV cache in FP8 changes of a whole platform: what goes from prefill to decode nodes."""

from typing import Any

import pytest

from sim.run.world import World
from sim.scenario.schema import Scenario

MS = 10**9


@pytest.mark.parametrize(("kv_cache_dtype", "carried_ms"), [("bfloat16", 102), ("fp8", 52)])
def test_a_smaller_cache_is_carried_over_sooner(kv_cache_dtype: str, carried_ms: int) -> None:
    """2 ms, and 1 ms for each of 100 tokens of 131,072 bytes."""
    model: dict[str, Any] = {
        "id": "m",
        "llm": "llama3.1-8b",
        "hardware": {"preset": "h100", "kv_cache_dtype": kv_cache_dtype},
        "context_tokens": 4000,
        "nodes": 2,
        "disaggregated": {"prefill_nodes": 1},
    }
    scenario = {
        "name": "carried",
        "models": {"m": model},
        "network": {
            "places": {"here": {"kind": "custom", "rtt_ms": 0}},
            "values": {"kv_transfer.latency_ms": 2.0, "kv_transfer.mbit_per_s": 1048.576},
        },
        "traffic": {
            "one": {
                "place": "here",
                "model": "m",
                "arrivals": {"kind": "constant", "rate_per_s": 1},
                "lengths": {
                    "prompt": {"kind": "fixed", "tokens": 100},
                    "output": {"kind": "fixed", "tokens": 3},
                },
            }
        },
        "run": {"horizon_s": 1.5, "replications": 1},
    }
    world = World(Scenario.model_validate(scenario), 1, 0)
    world.run_to(5000 * MS)
    stages = world.tables("base").stages
    assert stages is not None
    carried = next(row for row in stages.to_pylist() if row["stage"] == "transfer")
    assert carried["ended_ps"] - carried["began_ps"] == carried_ms * MS
