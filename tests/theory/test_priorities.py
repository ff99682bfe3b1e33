"""A node that serves one request at a time, interactive ones first, waits as Cobham's formula says.

Of non-preemptive priority classes 1, 2 ... with Poisson arrivals and any service, class k waits
W0 / ((1 - s_(k-1)) (1 - s_k)) on average, where W0 is the sum of all l_i E[S_i^2] / 2 and s_k the load of the
classes up to k (Cobham 1954, Operations Research 2:70).
"""

from pathlib import Path
from typing import Any

import pytest

from tests.support.study import assert_agrees, summary_of

pytestmark = pytest.mark.theory

REPLICATIONS = 20
# Interactive: S = 0.1 s at 3/s, load 0.3. Batch: S = 0.2 s at 2/s, load 0.4.
# W0 = (3 x 0.01 + 2 x 0.04) / 2 = 0.055 s.
CLASSES = """
name: two-classes
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      prefill_ms_per_token: 10
      decode_step_ms: 5
      request_overhead_ms: 0
      kv_pool_tokens: 2000
      max_concurrent_sequences: 1
    context_tokens: 2000
    batching: {queue: priority}
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  interactive:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 3}
    lengths: {prompt: {kind: fixed, tokens: 10}, output: {kind: fixed, tokens: 1}}
  batch:
    place: here
    model: m
    batch: true
    arrivals: {kind: poisson, rate_per_s: 2}
    lengths: {prompt: {kind: fixed, tokens: 20}, output: {kind: fixed, tokens: 1}}
run: {horizon_s: 200, warm_up_s: 20, replications: 20, seed: 1954}
"""


def waits(folder: Path, *settings: str) -> dict[str, Any]:
    groups = summary_of(CLASSES, folder, settings)["variants"]["base"]["groups"]
    return {group["source"]: group["metrics"]["queue"]["mean"] for group in groups}


def test_the_interactive_class_waits_for_itself_and_batch_for_both(tmp_path: Path) -> None:
    # 0.055 / 0.7 = 0.0785714 s, and 0.055 / (0.7 x 0.3) = 0.2619048 s.
    found = waits(tmp_path)
    assert_agrees(found["interactive"], 0.0785714, REPLICATIONS, precision=0.05)
    assert_agrees(found["batch"], 0.2619048, REPLICATIONS, precision=0.12)


def test_who_holds_a_place_of_the_node_before_its_first_step_waits_alike(tmp_path: Path) -> None:
    # 40 ms of each are work before the kernel, which holds the place: services and waits are the same.
    settings = (
        "models.m.hardware.request_overhead_ms=40",
        "models.m.hardware.overhead_holds_slot=true",
        "traffic.interactive.lengths.prompt.tokens=6",
        "traffic.batch.lengths.prompt.tokens=16",
    )
    found = waits(tmp_path, *settings)
    assert_agrees(found["interactive"], 0.0785714, REPLICATIONS, precision=0.05)
    assert_agrees(found["batch"], 0.2619048, REPLICATIONS, precision=0.12)


def test_bands_of_the_gateways_queue_wait_as_classes_of_the_node_do(tmp_path: Path) -> None:
    # One at a time passes, so the wait is the gateway's: a phase of its own, before a node with nobody else.
    settings = ("models.m.batching.queue=fcfs", "models.m.flow_control={max_concurrency: 1}")
    groups = summary_of(CLASSES, tmp_path, settings)["variants"]["base"]["groups"]
    interactive, batch = (group["phases"]["admission"] for group in groups)
    assert_agrees(interactive, 0.0785714, REPLICATIONS, precision=0.05)
    assert_agrees(batch, 0.2619048, REPLICATIONS, precision=0.12)
    assert all(group["phases"]["queue"]["value"] == 0 for group in groups)


def test_first_come_first_served_lets_both_wait_alike(tmp_path: Path) -> None:
    # Pollaczek and Khinchine: 0.055 / 0.3 = 0.1833333 s for everybody.
    found = waits(tmp_path, "models.m.batching.queue=fcfs")
    assert_agrees(found["interactive"], 0.1833333, REPLICATIONS, precision=0.12)
    assert_agrees(found["batch"], 0.1833333, REPLICATIONS, precision=0.12)
