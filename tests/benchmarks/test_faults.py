"""What faults and scaling cost: two events for a fault, one for a look, and nothing for who states none."""

from functools import partial
from pathlib import Path

import pytest

from sim.run.replications import rare_collections
from sim.run.world import World
from sim.scenario.schema import Scenario
from tests.benchmarks.scenarios import GPU, scenario
from tests.support.speeds import Speeds

PS_PER_S = 10**12
HORIZON_S = 30
SHORT = f"run.horizon_s={HORIZON_S}"
ELSEWHERE = 'network.places.elsewhere={kind: region, region: "aws:eu-west-1"}'
CUT = "faults.cut={kind: region_cut, place: elsewhere, at_s: 5, for_s: 5}"
CALM = "{kind: schedule, max_nodes: 4, start_up_s: 1, every_s: 0.5, steps: [{at_s: 0, nodes: 4}]}"
CRASHES = "faults.dead={kind: node_crash, model: llama, nodes: all, requests: requeue, mtbf_s: 6, mttr_s: 1}"


@rare_collections()
def run(spec: Scenario) -> World:
    world = World(spec, 1, 0, engine="fast")
    world.run_to(2 * HORIZON_S * PS_PER_S)
    return world


def events(spec: Scenario) -> int:
    return run(spec).env.queued


@pytest.mark.parametrize(
    ("name", "settings", "more"),
    [
        ("a fault of a place that nobody is at", (ELSEWHERE, CUT), 2),
        ("a policy that changes nothing", (f"models.llama.scaling={CALM}",), 2 * 2 * HORIZON_S + 1),
    ],
)
def test_what_does_nothing_costs_its_own_events_alone(
    speeds: Speeds, tmp_path: Path, name: str, settings: tuple[str, ...], more: int
) -> None:
    plain, stated = scenario(tmp_path, GPU, SHORT), scenario(tmp_path, GPU, SHORT, *settings)
    assert events(stated) == events(plain) + more
    ratio = speeds.paired(partial(run, plain), partial(run, stated), rounds=3)
    speeds.note(name, f"{ratio:10.2f} times the cost of a request")


def test_nodes_that_die_all_the_time_cost_few_more_events(speeds: Speeds, tmp_path: Path) -> None:
    """Some 30 crashes, each with some 300 requests inside or waiting, which go elsewhere."""
    plain, broken = scenario(tmp_path, GPU, SHORT), scenario(tmp_path, GPU, SHORT, CRASHES)
    world = run(broken)
    happened = world.breakage.records().arrays("number")
    assert len(happened["number"]) >= 20
    assert happened["moved"].sum() >= 2 * world.numbers.next()
    requests = world.numbers.next()
    assert events(broken) / requests <= 4.0
    ratio = speeds.paired(partial(run, plain), partial(run, broken), rounds=3)
    speeds.note(
        f"{happened['moved'].sum()} requests moved by crashes", f"{ratio:10.2f} times the cost of a request"
    )
