"""What each policy and feature costs a request, beside the plain run in the same process.

Events and calls of our own functions are counted and asserted; they do not depend on the machine.
"""

import sys
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest

import sim
from sim.run.replications import rare_collections
from sim.run.world import World
from sim.scenario.schema import Scenario
from sim.time.units import PS_PER_S
from tests.benchmarks.scenarios import GPU, scenario
from tests.support.speeds import Speeds

ROOT = Path(sim.__file__).resolve().parents[1]
OURS = tuple(f"{ROOT / package}/" for package in ("e80sim", "hwmodels", "reports", "sim", "traffic"))
SHORT = "run.horizon_s=10"

M = "models.llama."
B = M + "batching."
SMALL_BATCHES = B + "max_num_seqs=16"
DYNAMIC = (B + "admission=dynamic", B + "max_queue_delay_ms=10", SMALL_BATCHES)
STATIC = (B + "admission=static", SMALL_BATCHES)
WHOLE = (B + "prefill=whole", B + "max_num_batched_tokens=8192")
CACHE = B + "enable_prefix_caching=true"
PREFIXES = "traffic.chat.prefix={kind: groups, groups: 8, tokens: {kind: fixed, tokens: 256}}"
WIDE = M + "limits={requests_per_minute: 100000, tokens_per_minute: 1000000000, "


class Row(NamedTuple):
    settings: tuple[str, ...]
    events: float
    """For each request."""
    calls: int
    """At most so many, for each request."""


ROWS = {
    "plain": Row((), 5.16, 82),
    "scheduled a step ahead": Row((B + "async_scheduling=true",), 5.31, 92),
    "front end": Row((M + "hardware.front_end_ms=3.3",), 6.18, 85),
    "continuous, chunked, priority": Row((B + "queue=priority",), 5.16, 88),
    "continuous, chunked, shortest_first": Row((B + "queue=shortest_first",), 5.16, 86),
    "continuous, chunked, fair": Row((B + "queue=fair",), 5.16, 93),
    "continuous, whole, fcfs": Row((*WHOLE,), 5.36, 96),
    "continuous, whole, priority": Row(
        (
            *WHOLE,
            B + "queue=priority",
        ),
        5.36,
        102,
    ),
    "continuous, whole, shortest_first": Row(
        (
            *WHOLE,
            B + "queue=shortest_first",
        ),
        5.36,
        100,
    ),
    "continuous, whole, fair": Row(
        (
            *WHOLE,
            B + "queue=fair",
        ),
        5.36,
        106,
    ),
    "dynamic, chunked, fcfs": Row((*DYNAMIC,), 3.39, 49),
    "dynamic, chunked, priority": Row(
        (
            *DYNAMIC,
            B + "queue=priority",
        ),
        3.39,
        53,
    ),
    "dynamic, chunked, shortest_first": Row(
        (
            *DYNAMIC,
            B + "queue=shortest_first",
        ),
        3.39,
        53,
    ),
    "dynamic, chunked, fair": Row(
        (
            *DYNAMIC,
            B + "queue=fair",
        ),
        3.39,
        53,
    ),
    "dynamic, whole, fcfs": Row(
        (
            *DYNAMIC,
            *WHOLE,
        ),
        3.40,
        53,
    ),
    "dynamic, whole, priority": Row(
        (
            *DYNAMIC,
            *WHOLE,
            B + "queue=priority",
        ),
        3.40,
        57,
    ),
    "dynamic, whole, shortest_first": Row(
        (
            *DYNAMIC,
            *WHOLE,
            B + "queue=shortest_first",
        ),
        3.39,
        56,
    ),
    "dynamic, whole, fair": Row(
        (
            *DYNAMIC,
            *WHOLE,
            B + "queue=fair",
        ),
        3.40,
        58,
    ),
    "static, chunked, fcfs": Row((*STATIC,), 3.43, 49),
    "static, chunked, priority": Row(
        (
            *STATIC,
            B + "queue=priority",
        ),
        3.43,
        53,
    ),
    "static, chunked, shortest_first": Row(
        (
            *STATIC,
            B + "queue=shortest_first",
        ),
        3.45,
        53,
    ),
    "static, chunked, fair": Row(
        (
            *STATIC,
            B + "queue=fair",
        ),
        3.43,
        53,
    ),
    "static, whole, fcfs": Row(
        (
            *STATIC,
            *WHOLE,
        ),
        3.44,
        53,
    ),
    "static, whole, priority": Row(
        (
            *STATIC,
            *WHOLE,
            B + "queue=priority",
        ),
        3.44,
        57,
    ),
    "static, whole, shortest_first": Row(
        (
            *STATIC,
            *WHOLE,
            B + "queue=shortest_first",
        ),
        3.45,
        57,
    ),
    "static, whole, fair": Row(
        (
            *STATIC,
            *WHOLE,
            B + "queue=fair",
        ),
        3.44,
        58,
    ),
    "priority that pushes out": Row((B + "queue=priority", B + "preempt=true"), 5.16, 97),
    "prefix cache, nothing in common": Row((CACHE,), 5.16, 98),
    "prefix cache, prefixes of 256 tokens": Row((CACHE, PREFIXES), 5.10, 105),
    "prefill and decode apart": Row((M + "disaggregated={prefill_nodes: 2}",), 6.64, 190),
    "routing least_kv": Row((M + "routing=least_kv",), 5.00, 103),
    "routing round_robin": Row((M + "routing=round_robin",), 5.48, 82),
    "routing random": Row((M + "routing=random",), 5.01, 78),
    "routing power_of_two": Row((M + "routing=power_of_two",), 5.12, 90),
    "routing central_queue": Row((M + "routing=central_queue",), 5.16, 88),
    "routing weighted": Row((M + "routing=weighted", M + "node_weights={0: 2}"), 4.80, 77),
    "routing prefix_affinity": Row((M + "routing=prefix_affinity", CACHE, PREFIXES), 4.90, 137),
    "load signals 20 ms late": Row((M + "load_signals={delay_ms: 20}",), 4.48, 92),
    "limits by token_bucket": Row((WIDE + "algorithm: token_bucket}",), 5.16, 115),
    "limits by sliding_window": Row((WIDE + "algorithm: sliding_window}",), 5.16, 121),
    "limits by fixed_window": Row((WIDE + "algorithm: fixed_window}",), 5.16, 106),
    "limits by quantised": Row((WIDE + "algorithm: quantised, quantum_s: 1}",), 5.16, 122),
    "limits, charge reserved": Row((WIDE + "charge: reserved}",), 5.16, 103),
    "limits, charge actual": Row((WIDE + "charge: actual}",), 5.16, 108),
    "max_num_queued_reqs": Row((B + "max_num_queued_reqs=64",), 5.18, 86),
    "max_num_queued_tokens": Row((B + "max_num_queued_tokens=100000",), 5.16, 86),
    "max_num_active_seqs": Row((B + "max_num_active_seqs=32",), 4.78, 80),
    "watermark": Row((B + "watermark=0.05",), 5.16, 85),
    "flow control, fcfs": Row((M + "flow_control={max_concurrency: 12, order: fcfs}",), 5.77, 85),
    "flow control, edf": Row((M + "flow_control={max_concurrency: 12, order: edf}",), 5.77, 86),
    "flow control, slo_deadline": Row(
        (M + "flow_control={max_concurrency: 12, order: slo_deadline}",), 5.77, 86
    ),
    "flow control in turns": Row(
        (M + "flow_control={max_concurrency: 12, fairness: round_robin}",), 5.77, 85
    ),
}


class Counts(NamedTuple):
    requests: int
    events: float
    calls: float


@rare_collections()
def run(spec: Scenario) -> World:
    world = World(spec, 1, 0, engine="fast")
    world.run_to(round(2 * spec.run.horizon_s * PS_PER_S))
    return world


def counted(spec: Scenario) -> Counts:
    """Without the making of the world, but with that of nodes, which are made when they are chosen."""
    world, calls = World(spec, 1, 0, engine="fast"), 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(OURS)

    sys.setprofile(count)
    try:
        world.run_to(round(2 * spec.run.horizon_s * PS_PER_S))
    finally:
        sys.setprofile(None)
    events, requests = world.env.queued, world.numbers.next()
    return Counts(requests, events / requests, calls / requests)


@cache
def plain(folder: Path) -> Scenario:
    return scenario(folder, GPU, SHORT)


@pytest.mark.parametrize("name", ROWS)
def test_a_policy_costs_a_request_its_events_and_calls(
    speeds: Speeds, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    row = ROWS[name]
    spec = scenario(tmp_path, GPU, SHORT, *row.settings)
    counts = counted(spec)
    assert counts.events == pytest.approx(row.events, abs=0.1)
    assert row.calls - 6 <= counts.calls <= row.calls
    ratio = speeds.paired(partial(run, plain(tmp_path_factory.getbasetemp())), partial(run, spec), rounds=3)
    speeds.note(name, f"{ratio:10.2f} x plain, {counts.events:.2f} events, {counts.calls:.0f} calls")
