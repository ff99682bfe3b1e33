"""The same arrivals through a run and through HTTP give the same stamps, to the picosecond."""

import asyncio
from typing import Any

import pytest

from api_shim.clocks.clock import Clock
from api_shim.content import synthetic
from api_shim.content.chat_template import TEMPLATES
from api_shim.testing import VirtualPlatform
from sim.platform.platform import Platform
from sim.run.world import World
from sim.scenario.schema import Scenario
from tests.support.live import LLAMA, Scripted, Wire

TEMPLATE_TOKENS = TEMPLATES["llama"].tokens(1)
Row = dict[str, Any]

HARDWARE = {
    "asic": {"preset": "hc1", "kv_pool_tokens": 25000},
    "gpu": {"preset": "h100"},
}


POLICIES = {
    "urgent": {"queue": "priority", "preempt": True},
    "short and whole": {"queue": "shortest_first", "prefill": "whole", "max_num_batched_tokens": 20000},
    "fair and dynamic": {"queue": "fair", "admission": "dynamic", "max_queue_delay_ms": 30},
}


def busy(
    hardware: str, *, stream: bool, limits: bool = False, batching: Row | None = None, horizon_s: float = 6.0
) -> Scenario:
    """Two nodes under load, callers behind jitter and loss, prompts and answers of all sizes."""
    model: Row = {
        "id": LLAMA,
        "llm": "llama3.1-8b",
        "hardware": HARDWARE[hardware],
        "nodes": 2,
        "context_tokens": 20000,
    }
    if limits:
        model["limits"] = {"requests_per_minute": 1500, "tokens_per_minute": 80_000}
    if batching:
        model["batching"] = {"max_num_seqs": 4, **batching}
    return Scenario.model_validate(
        {
            "name": "busy",
            "models": {"llama": model},
            "gateway": {"overhead_ms": 0.5, "concurrency": 4},
            "network": {"places": {"home": {"kind": "internet", "access": "cable", "near": "aws:us-east-1"}}},
            "traffic": {
                "chat": {
                    "place": "home",
                    "model": "llama",
                    "users": 20,
                    "stream": stream,
                    "max_output_tokens": 300,
                    "arrivals": {"kind": "poisson", "rate_per_s": 40.0},
                    "lengths": {
                        "prompt": {"kind": "lognormal", "median": 300, "sigma": 0.8, "low": 20, "high": 8000},
                        "output": {"kind": "geometric", "mean": 120},
                    },
                }
            },
            "run": {"horizon_s": horizon_s, "seed": 5},
        }
    )


def rows_of(platform: Platform) -> list[Row]:
    """Every column of every request, by number; labels as text."""
    words = platform.records.labels.vocabulary()
    columns = platform.records.arrays("number")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [
        {name: words[name][int(v)] if name in words else int(v) for name, v in row.items()} for row in rows
    ]


def simulated(spec: Scenario) -> tuple[list[Row], list[int]]:
    """What a run records, and the planned length of each answer."""
    world = World(spec, spec.run.seed, 0, engine="fast")
    planned: dict[int, int] = {}
    submit = world.platform.submit

    def noting(request: Any, sink: Any) -> Any:
        planned[request.number] = request.output_tokens
        return submit(request, sink)

    world.platform.submit = noting  # type: ignore[method-assign,assignment]
    world.run_to(60 * 10**12)
    return rows_of(world.platform), [planned[number] for number in sorted(planned)]


async def at(clock: Clock, at_ps: int) -> None:
    due = asyncio.get_running_loop().create_future()
    clock.call_at(at_ps, lambda: due.set_result(None))
    await due


async def send(wire: Wire, row: Row, *, stream: bool) -> int:
    await at(wire.platform.shim.clock, row["intended_ps"])
    text = "".join(synthetic.pieces(row["prompt_tokens"] - TEMPLATE_TOKENS, row["number"]))
    body = {
        "model": LLAMA,
        "messages": [{"role": "user", "content": text}],
        "stream": stream,
        "max_tokens": 300,
    }
    return (await wire.send("/v1/chat/completions", body)).status


def served(
    spec: Scenario, arrivals: list[Row], planned: list[int], *, stream: bool
) -> tuple[list[Row], set[int]]:
    """The same requests as HTTP requests, and the statuses that they were answered with."""
    with VirtualPlatform(spec, content=Scripted(list(planned))) as platform:
        wire = Wire(platform, key="sk-chat")

        async def story() -> list[int]:
            return await asyncio.gather(*(send(wire, row, stream=stream) for row in arrivals))

        statuses = platform.run(story())
        return rows_of(platform.world.platform), set(statuses)


@pytest.mark.parametrize("hardware", HARDWARE)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_http_in_virtual_time_gives_the_stamps_of_a_run_to_the_picosecond(
    hardware: str, stream: bool
) -> None:
    spec = busy(hardware, stream=stream)
    offline, planned = simulated(spec)
    assert len(offline) > 150
    online, statuses = served(spec, offline, planned, stream=stream)
    assert statuses == {200}
    assert online == offline


@pytest.mark.parametrize("policy", POLICIES)
def test_whatever_the_policy_http_gives_the_stamps_of_a_run(policy: str) -> None:
    spec = busy("gpu", stream=True, batching=POLICIES[policy], horizon_s=2.0)
    offline, planned = simulated(spec)
    waits = [row["started_ps"] - row["admitted_ps"] for row in offline]
    assert sum(wait > 10**10 for wait in waits) > 20, "the queue is there to be ordered"
    online, statuses = served(spec, offline, planned, stream=True)
    assert statuses == {200}
    assert online == offline


def test_what_the_limits_refuse_is_refused_over_http_at_the_same_picosecond() -> None:
    spec = busy("asic", stream=True, limits=True)
    offline, planned = simulated(spec)
    refused = [row for row in offline if row["outcome"] == "rejected_tokens_limit"]
    assert len(refused) > 5
    online, statuses = served(spec, offline, planned, stream=True)
    assert statuses == {200, 429}
    assert online == offline
