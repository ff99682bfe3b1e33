"""What a prefix cache costs a node: calls of its pool for each request, and CPU beside a pool that counts."""

import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest

from hwmodels.step_time import AffineStepTime
from sim.node.cached_runs import CachedRuns
from sim.node.fast_forward import FastForward
from sim.node.kernel import BatchLimits, Sequence
from sim.node.kv_pool import CountingPool, KvPool
from sim.node.prefix_pool import PrefixPool
from tests.support.speeds import Speeds

PROMPT, OUTPUT, REQUESTS, BLOCKS = 4000, 128, 3000, 20_000
LAW = AffineStepTime(dense_ps=(5_500_000,), token_ps=27_000, decode_ps=20_000, kv_ps=50)


def sequences(shared: float) -> list[Sequence]:
    """So much of each prompt is one of 20 beginnings."""
    groups = np.random.default_rng(1).integers(20, size=REQUESTS)
    prefixes = [((f"group {group}", int(shared * PROMPT)),) if shared else () for group in groups]
    return [Sequence(i, PROMPT, OUTPUT, prefix=prefix) for i, prefix in enumerate(prefixes)]


def run(pool: KvPool, work: list[Sequence]) -> FastForward:
    """At a gap at which the pool that counts is about 70 % busy."""
    kernel = FastForward(BatchLimits(64, 2048, 16, BLOCKS), LAW, pool=pool)
    gap_ps, next_ps = 170_000_000, None
    for number, sequence in enumerate(work):
        while next_ps is not None and next_ps < number * gap_ps:
            next_ps = kernel.boundary(next_ps).next_ps
        next_ps = kernel.add(number * gap_ps, sequence)
    while next_ps is not None:
        next_ps = kernel.boundary(next_ps).next_ps
    return kernel


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_a_prompt_of_4000_tokens_costs_the_pool_a_few_calls_and_no_work_per_block(
    speeds: Speeds, shared: float
) -> None:
    pool = PrefixPool(BLOCKS, 16)
    calls = counted_calls(lambda: run(pool, sequences(shared)), CachedRuns.find.__code__.co_filename)
    of_all = counted_calls(lambda: run(PrefixPool(BLOCKS, 16), sequences(shared)))
    of_counting = counted_calls(lambda: run(CountingPool(BLOCKS, 16), sequences(0)))
    assert of_all < 2 * of_counting
    blocks = REQUESTS * (PROMPT + OUTPUT) // 16
    assert calls / REQUESTS < 40, "the blocks of a request are 258"
    counting = speeds.measure(
        "prompts of 4,000 tokens, blocks counted",
        REQUESTS,
        lambda: run(CountingPool(BLOCKS, 16), sequences(0)),
    )
    cached = speeds.measure(
        f"the same, cached, {shared:.0%} shared",
        REQUESTS,
        lambda: run(PrefixPool(BLOCKS, 16), sequences(shared)),
    )
    speeds.note(
        f"prefix cache, {shared:.0%} of the prompt shared",
        f"{counting / cached:.2f} x counting, {calls / REQUESTS:.1f} calls, {blocks / REQUESTS:.0f} blocks",
    )


def counted_calls(act: Any, path: str = "") -> int:
    """Calls of Python functions, of those in the file `path` alone where it is stated."""
    found = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal found
        found += event == "call" and (not path or frame.f_code.co_filename == path)

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return found
