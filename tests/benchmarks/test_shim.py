"""The shim's speed: in virtual time, through the official client, and live on loopback.

Answers are counted and checked, and so are the shim's own calls; speeds are told. Live figures share the
machine with their client.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import api_shim
from api_shim.server import raise_file_limit
from api_shim.testing import VirtualPlatform
from sim.scenario.schema import Scenario
from tests.benchmarks.shim_clients import Answers, Served, closed_loop, open_loop, streams
from tests.support.live import LLAMA, Wire, chat, scenario
from tests.support.speeds import Speeds

VIRTUAL_REQUESTS = 1000
OUTPUT_TOKENS = 20
CLIENT_REQUESTS = 300
NODES = 1000
"""One request at a time on each: enough that nobody waits for a node."""
ROUNDS = 3
ROOT = Path(api_shim.__file__).resolve().parents[1]
SHIM = f"{ROOT / 'api_shim'}/"
MOST_CALLS = {False: 260, True: 425}
"""Of our own functions for one request, the model's left out; a generator's and a coroutine's turns count."""


def platform_with(nodes: int, step_ms: float, **model: Any) -> dict[str, Any]:
    """Sections of a scenario with one model of `nodes` ASICs."""
    asic = {
        "kind": "hardwired_asic",
        "decode_step_ms": step_ms,
        "prefill_ms_per_token": 0.01,
        "kv_pool_tokens": 4000,
    }
    llama = {"id": LLAMA, "llm": "llama3.1-8b", "hardware": asic, "nodes": nodes, "context_tokens": 4000}
    return {"models": {"llama": {**llama, **model}}}


def virtual_scenario() -> Scenario:
    return scenario(**platform_with(NODES, 1.0))


def asked(tokens: int, **fields: Any) -> dict[str, Any]:
    return chat(max_tokens=tokens, ignore_eos=True, **fields)


async def spread(one: Callable[[], Awaitable[Any]], count: int, every_s: float = 0.002) -> list[Any]:
    """`count` of them, one every 2 ms of virtual time."""

    async def after(delay_s: float) -> Any:
        await asyncio.sleep(delay_s)
        return await one()

    return await asyncio.gather(*(after(number * every_s) for number in range(count)))


@pytest.mark.parametrize("stream", [False, True], ids=["non-stream", "stream"])
def test_raw_asgi_in_virtual_time(speeds: Speeds, stream: bool) -> None:
    body = asked(OUTPUT_TOKENS, stream=stream)
    with VirtualPlatform(virtual_scenario()) as platform:
        wire = Wire(platform)

        def run() -> None:
            replies = platform.run(spread(partial(wire.send, "/v1/chat/completions", body), VIRTUAL_REQUESTS))
            assert [reply.status for reply in replies] == [200] * VIRTUAL_REQUESTS

        name = f"shim, raw ASGI, {'stream' if stream else 'non-stream'}, 20 tokens"
        speeds.measure(name, VIRTUAL_REQUESTS, run, ROUNDS)
        assert platform.shim.served == speeds.rounds(ROUNDS) * VIRTUAL_REQUESTS


@pytest.mark.parametrize("stream", [False, True], ids=["non-stream", "stream"])
def test_what_a_request_takes_of_the_shims_own_functions(speeds: Speeds, stream: bool) -> None:
    body, calls = asked(OUTPUT_TOKENS, stream=stream), 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(SHIM)

    with VirtualPlatform(virtual_scenario()) as platform:
        one = partial(Wire(platform).send, "/v1/chat/completions", body)
        platform.run(spread(one, 10))
        sys.setprofile(count)
        try:
            replies = platform.run(spread(one, CLIENT_REQUESTS))
        finally:
            sys.setprofile(None)
    assert [reply.status for reply in replies] == [200] * CLIENT_REQUESTS
    speeds.note(f"shim, {'stream' if stream else 'non-stream'}", f"{calls / CLIENT_REQUESTS:10.1f} own calls")
    assert calls / CLIENT_REQUESTS <= MOST_CALLS[stream]


@pytest.mark.parametrize("stream", [False, True], ids=["non-stream", "stream"])
def test_the_official_client_in_virtual_time(speeds: Speeds, stream: bool) -> None:
    messages = [{"role": "user", "content": "hello"}]
    options: dict[str, Any] = {"max_tokens": OUTPUT_TOKENS, "extra_body": {"ignore_eos": True}}
    with VirtualPlatform(virtual_scenario()) as platform:
        client: Any = platform.client()

        async def one() -> int:
            """How many tokens the client was told of."""
            create = client.chat.completions.create
            if not stream:
                reply = await create(model=LLAMA, messages=messages, **options)
                return int(reply.usage.completion_tokens)
            told = await create(
                model=LLAMA, messages=messages, stream=True, stream_options={"include_usage": True}, **options
            )
            return sum([chunk.usage.completion_tokens async for chunk in told if chunk.usage])

        def run() -> None:
            counts = platform.run(spread(one, CLIENT_REQUESTS))
            assert counts == [OUTPUT_TOKENS] * CLIENT_REQUESTS

        name = f"shim, openai client, {'stream' if stream else 'non-stream'}, 20 tokens"
        speeds.measure(name, CLIENT_REQUESTS, run, ROUNDS)
        assert platform.shim.served == speeds.rounds(ROUNDS) * CLIENT_REQUESTS


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Answers of 20 tokens take 20 ms of simulated time."""
    with Served(tmp_path, **platform_with(NODES, 1.0)) as server:
        yield server


def spread_of(values: list[float], unit: str) -> str:
    """The middle of the rounds, and how far they lie apart."""
    return f"{np.median(values):10,.0f} {unit}   ({min(values):,.0f} to {max(values):,.0f})"


def p50_p99(values: list[float]) -> str:
    p50, p99 = np.percentile(values, [50, 99])
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms"


def test_live_sixty_requests_a_second_come_in_time(speeds: Speeds, served: Served) -> None:
    for number in range(speeds.rounds(ROUNDS)):
        answers = asyncio.run(open_loop(served.port, asked(OUTPUT_TOKENS), 60, count=180, over=200))
        assert answers.statuses == Counter({200: 180})
        assert min(answers.lag_ms) > 0, "nothing arrives before it is due"
        name = f"live, open loop 60/s over 200 connections, {number + 1}"
        speeds.note(f"{name}, lag", p50_p99(answers.lag_ms))
        speeds.note(f"{name}, lateness", p50_p99(answers.lateness_ms))


def test_live_closed_loop(speeds: Speeds, served: Served) -> None:
    per_s, cpu_ms = [], []
    for _ in range(speeds.rounds(ROUNDS)):
        before_s = served.cpu_s()
        answers = asyncio.run(closed_loop(served.port, asked(OUTPUT_TOKENS), count=3200, over=64))
        assert answers.statuses == Counter({200: 3200})
        per_s.append(3200 / answers.wall_s)
        cpu_ms.append((served.cpu_s() - before_s) / 3.2)
    speeds.note("live, closed loop over 64 connections", spread_of(per_s, "requests/s"))
    speeds.note("live, closed loop, server's CPU per request", f"{np.median(cpu_ms):10.2f} ms")


def test_live_streamed_tokens(speeds: Speeds, tmp_path: Path) -> None:
    """17,000 tokens a second on each of 32 chips, so that the simulated time is 0.1 s."""
    per_s = []
    with Served(tmp_path, **platform_with(32, 0.059)) as server:
        for _ in range(speeds.rounds(ROUNDS)):
            answers = run_streams(server, tokens=1700, at_once=32)
            assert answers.tokens == 32 * 1700
            per_s.append(answers.tokens / answers.wall_s)
    speeds.note("live, 32 streams of 1,700 tokens", spread_of(per_s, "tokens/s"))


def test_live_a_thousand_streams_at_once(speeds: Speeds, served: Served) -> None:
    walls_ms = []
    for _ in range(speeds.rounds(ROUNDS)):
        answers = run_streams(served, tokens=100, at_once=1000)
        assert answers.tokens == 1000 * 100
        walls_ms.append(1000 * answers.wall_s)
    speeds.note("live, 1,000 streams of 100 tokens at once", spread_of(walls_ms, "ms"))


def run_streams(server: Served, tokens: int, at_once: int) -> Answers:
    raise_file_limit()
    answers = asyncio.run(streams(server.port, asked(tokens), at_once))
    assert answers.errors == 0
    assert answers.statuses == Counter({200: at_once})
    return answers
