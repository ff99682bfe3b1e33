"""openai's own client retries against the server as the model of that client does: to the microsecond."""

import asyncio
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from api_shim.testing import VirtualPlatform
from sim.callers.retrying import Asks, Client
from sim.platform.ticket import IGNORE
from sim.run.world import World
from sim.scenario.schema import Scenario
from sim.time.timeline import Alarm
from traffic.request import Request, caller_named
from traffic.retry_profiles import RETRY_PROFILES

SCENARIO: dict[str, Any] = {
    "name": "retried",
    "models": {
        "m": {
            "id": "m",
            "llm": "llama3.1-8b",
            "hardware": {
                "kind": "hardwired_asic",
                "decode_step_ms": 10,
                "prefill_ms_per_token": 1,
                "kv_pool_tokens": 2000,
            },
            "context_tokens": 2000,
        }
    },
    "network": {"tls": "none", "places": {"here": {"kind": "custom", "rtt_ms": 20}}},
    "traffic": {
        "s": {
            "place": "here",
            "model": "m",
            "arrivals": {"kind": "constant", "rate_per_s": 1},
            "lengths": {"prompt": {"kind": "fixed", "tokens": 5}, "output": {"kind": "fixed", "tokens": 3}},
        }
    },
    "run": {"horizon_s": 10.0, "replications": 1},
}
PYTHON = RETRY_PROFILES["openai-python"]
MOST_TOKENS = 30
AT_S = (0.0, 0.02, 0.25, 1.0, 1.6, 30.0, 70.0)
FOUR_IN_80_S = {"requests_per_minute": 3, "window_s": 80.0, "algorithm": "fixed_window"}
"""The others are told to wait for up to 80 s, which the client does."""
FIVE_IN_300_S = {"requests_per_minute": 1, "window_s": 300.0, "algorithm": "fixed_window"}
"""The others are told to wait for more than 120 s, and give up."""
HUNG_UP = {"timeout": "cancelled"}
"""A server sees its client leave, and not why."""
Sent = list[tuple[str, int, int]]


def scenario(**model: Any) -> Scenario:
    return Scenario.model_validate(SCENARIO | {"models": {"m": SCENARIO["models"]["m"] | model}})


def sent(world: World) -> Sent:
    """(outcome, attempt, microseconds) of every request, as it was meant."""
    rows = world.tables("base").requests.to_pylist()
    return sorted((row["outcome"], row["attempt"], round(row["intended_ps"] / 10**6)) for row in rows)


def of_the_client(spec: Scenario, words: int = 1, **options: Any) -> tuple[Sent, tuple[int, int]]:
    """With the tokens of the prompt that all send, and of the answers that some get."""
    with VirtualPlatform(spec) as platform, patch("openai._base_client.random", return_value=0.0):
        client = platform.client(**options)

        async def ask(at_s: float) -> None:
            await asyncio.sleep(at_s)
            messages = [{"role": "user", "content": "hi " * words}]
            await client.chat.completions.create(model="m", messages=messages, max_tokens=MOST_TOKENS)  # type: ignore[arg-type]

        async def story() -> None:
            await asyncio.gather(*map(ask, AT_S), return_exceptions=True)

        platform.run(story())
        rows = platform.world.platform.records.arrays("number")
        return sent(platform.world), (int(rows["prompt_tokens"][0]), int(rows["output_tokens"].max()) or 3)


class NoJitter(np.random.Generator):
    def random(self, size: Any = None, *_args: Any, **_options: Any) -> Any:
        return np.zeros(size)


def of_the_model(spec: Scenario, sizes: tuple[int, int], **stated: Any) -> Sent:
    world = World(spec, 1, 0, engine="fast", sources=False)
    rng = NoJitter(np.random.PCG64(1))
    client = Client(world.platform, Asks(), world.numbers.next, replace(PYTHON, **stated), None, rng)

    def ask(_alarm: Alarm) -> None:
        client.submit(request(world, *sizes), IGNORE)

    for at_s in AT_S:
        Alarm(world.env, round(at_s * 10**12), ask)
    world.run_to(1000 * 10**12)
    return sent(world)


def request(world: World, prompt_tokens: int, output_tokens: int) -> Request:
    who = ("here", caller_named("key", "k"), "project", "k", "s", "tenant")
    asked = ("m", prompt_tokens, output_tokens, MOST_TOKENS)
    return Request(world.numbers.next(), *asked, world.env.now, *who, stream=False)


@pytest.mark.parametrize(
    ("model", "outcomes"),
    [
        ({"limits": FOUR_IN_80_S}, 2),
        ({"limits": FIVE_IN_300_S}, 2),
        ({"batching": {"max_num_queued_reqs": 0}}, 1),
        ({"batching": {"max_num_queued_reqs": 1}}, 2),
        ({"context_tokens": 20}, 1),
    ],
    ids=["waits", "gives up", "full", "nearly full", "too long"],
)
def test_the_model_of_openais_client_sends_what_the_client_sends(
    model: dict[str, Any], outcomes: int
) -> None:
    spec = scenario(**model)
    expected, sizes = of_the_client(spec)
    found = of_the_model(spec, sizes)
    assert found == expected
    assert len({outcome for outcome, _, _ in found}) == outcomes


def test_the_model_of_openais_client_hangs_up_when_the_client_does() -> None:
    """Prompts of 711 tokens, one at a time: of five that come together the last waits for more than 2 s."""
    spec = scenario(batching={"max_num_seqs": 1})
    expected, sizes = of_the_client(spec, words=700, timeout=2.0, max_retries=1)
    found = of_the_model(spec, sizes, timeout_s=2.0, max_retries=1)
    assert sorted((HUNG_UP.get(outcome, outcome), *rest) for outcome, *rest in found) == expected
    assert [(outcome, attempt) for outcome, attempt, _ in found if outcome != "completed" or attempt] == [
        ("completed", 1),
        ("timeout", 0),
    ]
