"""A request at a GPU node in a whole world: front end, launch, and the step that it has to wait for."""

from typing import Any

import pytest

from sim.run.world import World
from sim.scenario.schema import Batching, Scenario

MS = 10**9
# A step takes 10 ms, and 1 ms for each of its tokens.
GPU = {
    "kind": "gpu_iteration",
    "t_host_ms": 0,
    "t_weights_ms": 10,
    "ms_per_token": 1,
    "p_norm": 1,
    "ms_per_attn_pair": 0,
    "ms_per_kv_token": 0,
    "ms_per_sequence": 0,
    "kv_pool_tokens": 10_000,
    "front_end_ms": 3,
    "launch_ms": 4,
}


def scenario(**batching: Any) -> Scenario:
    """Requests of 5 tokens in and out, 30 ms apart: the second comes when the first has had one token."""
    lengths = {"prompt": {"kind": "fixed", "tokens": 5}, "output": {"kind": "fixed", "tokens": 5}}
    return Scenario.model_validate(
        {
            "name": "ahead",
            "models": {
                "m": {
                    "id": "m",
                    "llm": "llama3.1-8b",
                    "hardware": GPU,
                    "nodes": 1,
                    "context_tokens": 100,
                    "batching": {"max_num_seqs": 8, "max_num_batched_tokens": 100, **batching},
                }
            },
            "network": {"places": {"here": {"kind": "custom", "rtt_ms": 0}}},
            "traffic": {
                "source": {
                    "place": "here",
                    "model": "m",
                    "arrivals": {"kind": "constant", "rate_per_s": 1000 / 30},
                    "lengths": lengths,
                }
            },
            "run": {"horizon_s": 0.061, "replications": 1},
        }
    )


@pytest.mark.parametrize("engine", ["step", "fast"])
@pytest.mark.parametrize(("ahead", "second_ms"), [(True, (44, 60)), (False, (33, 49))])
def test_front_end_launch_and_the_step_to_wait_for_stand_in_the_record(
    engine: str, ahead: bool, second_ms: tuple[int, int]
) -> None:
    world = World(scenario(async_scheduling=ahead), 1, 0, engine=engine)
    world.run_to(10**12)
    first, second = world.tables("base").requests.to_pylist()[:2]
    assert first["overhead_ps"] == second["overhead_ps"] == 3 * MS
    at_ms = first["admitted_ps"] / MS
    # 3 ms of front end and 4 of the launch; then 15 for the prompt, and 11 for a token.
    assert [first[f"{stamp}_ps"] / MS - at_ms for stamp in ("started", "first")] == [7, 22]
    # At the engine at 33 ms, the end of the step that made the first one's second token.
    assert [second[f"{stamp}_ps"] / MS - at_ms for stamp in ("started", "first")] == list(second_ms)


@pytest.mark.parametrize("stated", [None, True, False])
def test_what_is_stated_goes_before_what_the_hardware_does(stated: bool | None) -> None:
    hardware = scenario().models["m"].build_hardware()
    assert Batching(async_scheduling=stated).schedules_ahead(hardware) == (
        hardware.async_scheduling if stated is None else stated
    )


def test_an_engine_that_forms_steps_ahead_does_not_where_prompts_are_whole_or_nobody_joins() -> None:
    batching = [Batching(prefill="whole"), Batching(admission="static")]
    hardware = scenario().models["m"].build_hardware()
    assert not any(one.schedules_ahead(hardware) for one in batching)
