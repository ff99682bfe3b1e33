"""The whole pipeline: source, network, gateway, node, records. Events are asserted, speed is told."""

from functools import partial
from pathlib import Path

import pytest

from sim.run.replications import rare_collections
from sim.run.world import World
from sim.scenario.schema import Scenario
from tests.benchmarks.scenarios import ASIC, GPU, scenario
from tests.benchmarks.test_policies import counted
from tests.support.speeds import Speeds

PS_PER_S = 10**12


@rare_collections()
def run(spec: Scenario) -> World:
    world = World(spec, 1, 0, engine="fast")
    world.run_to(round(2 * spec.run.horizon_s * PS_PER_S))
    return world


def events_per_request(spec: Scenario) -> float:
    world = run(spec)
    return world.env.queued / (world.numbers.next())


@pytest.mark.parametrize(
    ("name", "text", "most"),
    [
        ("GPU 512/128, 4 nodes, 70 % load", GPU, 5.2),
        ("ASIC exclusive 512/128, 8 nodes, 70 % load", ASIC, 8.2),
    ],
)
def test_the_pipeline_costs_few_events_per_request(
    speeds: Speeds, tmp_path: Path, name: str, text: str, most: float
) -> None:
    spec = scenario(tmp_path, text)
    per_request = events_per_request(spec)
    assert per_request <= most
    requests = run(spec).numbers.next()
    speeds.measure(f"{name} ({per_request:.2f} events)", requests, partial(run, spec))


def test_two_thousand_output_tokens_cost_about_as_many_events_as_128(speeds: Speeds, tmp_path: Path) -> None:
    fixed = "traffic.chat.lengths.output={kind: fixed, tokens: %d}"
    counts, rates = {}, {}
    for tokens, load in ((128, 140), (2000, 11)):
        spec = scenario(
            tmp_path, GPU, fixed % tokens, f"traffic.chat.arrivals.rate_per_s={load}", "run.horizon_s=70"
        )
        counts[tokens] = events_per_request(spec)
        requests = run(spec).numbers.next()
        rates[tokens] = speeds.measure(f"GPU, {tokens} output tokens", requests, partial(run, spec))
    assert counts[2000] <= 2 * counts[128]
    speeds.note("2,000 output tokens against 128", f"{rates[128] / rates[2000]:10.2f} times the cost")


def tables(spec: Scenario) -> None:
    run(spec).tables("base")


@pytest.mark.parametrize(
    "routing", ["least_outstanding", "round_robin", "power_of_two", "least_kv", "random"]
)
def test_a_request_among_8000_nodes_costs_as_many_events_as_among_8(
    speeds: Speeds, tmp_path: Path, routing: str
) -> None:
    """The traffic of 8 nodes at 70 % load. `tests/sim/platform/test_least.py` counts comparisons."""
    few, many = (
        scenario(tmp_path, ASIC, f"models.llama.nodes={nodes}", f"models.llama.routing={routing}")
        for nodes in (8, 8000)
    )
    one, other = counted(few), counted(many)
    # Among 8,000 nobody waits for a place. Making 8,000 nodes for 10,000 requests is calls, too.
    assert abs(other.events - one.events) < 0.01
    assert other.calls < 1.4 * one.calls
    ratio = speeds.paired(partial(tables, few), partial(tables, many))  # the making of nodes included
    speeds.note(f"8,000 nodes against 8, {routing}", f"{ratio:10.2f} times the cost of a request")
