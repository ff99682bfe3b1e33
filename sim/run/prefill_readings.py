"""Where the truth about a chip is unknown by a factor, the catalogue ships two readings; a run uses one.

What the other would have meant for the time to a first token is arithmetic, so a report can say it.
"""

from collections.abc import Iterable
from typing import Any

from hwmodels.hardwired_asic import HardwiredAsic
from hwmodels.llm import load_llm
from hwmodels.node_hardware import NodeHardware
from sim.scenario.schema import Scenario
from sim.time.units import PS_PER_S

READINGS = ("hc1", "hc1_pipelined")
PROMPTS = (100, 1000, 10_000)


def readings(scenarios: Iterable[Scenario]) -> list[dict[str, Any]]:
    """A row per model that was run with one of the readings and not with the other."""
    used: dict[tuple[str, str], set[str]] = {}
    for scenario in scenarios:
        for name, model in scenario.models.items():
            if model.hardware.preset in READINGS:
                used.setdefault((name, model.llm), set()).add(model.hardware.preset)
    return [_apart(name, llm, *presets) for (name, llm), presets in used.items() if len(presets) == 1]


def _apart(model: str, llm: str, used: str) -> dict[str, Any]:
    other = next(preset for preset in READINGS if preset != used)
    mine, its = (HardwiredAsic(preset=preset).build(load_llm(llm)) for preset in (used, other))
    times = [
        {
            "prompt_tokens": prompt,
            "used_s": lone_ttft_ps(mine, prompt) / PS_PER_S,
            "other_s": lone_ttft_ps(its, prompt) / PS_PER_S,
        }
        for prompt in PROMPTS
    ]
    return {"model": model, "used": used, "other": other, "ttft": times}


def lone_ttft_ps(hardware: NodeHardware, prompt_tokens: int) -> int:
    """At the node, of a request that is alone there; by the step law, whatever the KV pool holds."""
    law, budget = hardware.step_time, hardware.max_num_batched_tokens
    past = range(0, prompt_tokens, budget)
    return hardware.request_overhead_ps + sum(
        law.step_ps([(min(budget, prompt_tokens - done), done)], 0, 0) for done in past
    )
