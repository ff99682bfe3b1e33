"""Whose connections the calls of an app travel on."""

from pathlib import Path

import pytest

from sim.run.replications import Task, simulate
from sim.scenario.load import load

EDGE_VS_CLOUD = Path(__file__).parents[3] / "scenarios" / "edge-vs-cloud.yaml"


@pytest.mark.parametrize(("variant", "few"), [("aws_next_door", True), ("at_home", False)])
def test_an_app_in_one_place_shares_its_connections_and_one_on_each_device_does_not(
    variant: str, few: bool
) -> None:
    # 200 homes send 8 requests/s with one call each: in 20 s nearly every home connects at least once.
    plan = load(EDGE_VS_CLOUD, ["run.horizon_s=20", "run.warm_up_s=0"])
    rows = simulate(Task(variant, plan.variants[variant], 1, 0, "fast")).tables.requests.to_pylist()
    cold = sum(row["cold"] for row in rows if row["source"] == "one_call")
    assert (cold < 20) if few else (cold > 80)
