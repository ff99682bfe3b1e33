"""A node whose every batch takes the same time serves in bulk, and waits as Bailey's chain says.

Requests come at random, l a second, and a batch of at most N takes D. Of the q who wait when a batch is
through, the next takes min(q, N), and D later those who came meanwhile wait too: a Markov chain with Poisson
steps (Bailey 1954, J. Roy. Stat. Soc. B 16:80; Neuts 1967). Its stationary distribution gives the mean number
waiting over a cycle, and Little's law the mean wait.
"""

from math import exp
from pathlib import Path

import numpy as np
import pytest

from tests.support.study import assert_agrees, summary_of

pytestmark = pytest.mark.theory

REPLICATIONS = 20
RATE, SIZE, SERVICE_S = 30.0, 4, 0.1
"""Full batches keep the node busy for 75 % of the time."""
BULK = """
name: bulk
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      decode_step_ms: 100
      pipeline_depth: 64
      request_overhead_ms: 0
      kv_pool_tokens: 2000
      max_concurrent_sequences: 4
      overhead_holds_slot: false
    context_tokens: 2000
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  callers:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 30}
    lengths: {prompt: {kind: fixed, tokens: 1}, output: {kind: fixed, tokens: 1}}
run: {horizon_s: 75, warm_up_s: 10, replications: 20, seed: 1954}
"""
MOST = 300
"""So many never wait."""


def bulk_wait_s(least: int) -> float:
    """The mean wait where a batch starts as soon as `least` wait."""
    came = [exp(-RATE * SERVICE_S)]
    for number in range(1, MOST):
        came.append(came[-1] * RATE * SERVICE_S / number)
    waiting = np.arange(MOST)
    left = np.maximum(np.maximum(waiting, least) - SIZE, 0)
    steps = np.zeros((MOST, MOST))
    for q in waiting:
        steps[q, left[q] :] = came[: MOST - left[q]]
        steps[q, -1] += 1 - steps[q].sum()
    stationary = np.linalg.lstsq(
        np.vstack([steps.T - np.eye(MOST), np.ones(MOST)]), np.append(np.zeros(MOST), 1.0), rcond=None
    )[0]
    cycle_s = SERVICE_S + np.maximum(least - waiting, 0) / RATE
    forming = np.array([sum(range(q, least)) / RATE for q in waiting])
    areas = forming + left * SERVICE_S + RATE * SERVICE_S**2 / 2
    return float(stationary @ areas / (stationary @ cycle_s) / RATE)


def queue_s(folder: Path, batching: str) -> dict[str, float]:
    settings = [f"models.m.batching={batching}"]
    (group,) = summary_of(BULK, folder, settings)["variants"]["base"]["groups"]
    found: dict[str, float] = group["metrics"]["queue"]["mean"]
    return found


def test_the_chain_gives_what_is_known_without_it() -> None:
    # Alone in a full batch of 4, the first waits for three more, the last for nobody: 1.5 / 30 s, and where
    # batches never meet that is all. Here they do: somewhat more.
    assert 1.5 / RATE < bulk_wait_s(SIZE) < 0.2


def test_static_batches_wait_until_they_are_full(tmp_path: Path) -> None:
    found = queue_s(tmp_path, "{admission: static}")
    assert_agrees(found, bulk_wait_s(SIZE), REPLICATIONS, precision=0.045)


@pytest.mark.parametrize("batching", ["{admission: dynamic, max_queue_delay_ms: 0}", "{}"])
def test_batches_that_wait_for_nobody_take_whoever_is_there(tmp_path: Path, batching: str) -> None:
    # With one token of output every step is a batch of its own, by continuous admission too.
    assert_agrees(queue_s(tmp_path, batching), bulk_wait_s(1), REPLICATIONS, precision=0.045)
