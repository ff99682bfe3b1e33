"""What a report says of agents: by hand, and that every picosecond of the felt latency has its place."""

from pathlib import Path

import numpy as np
import pytest

from reports import metrics
from reports.columns import by_variant
from reports.critical_path import agent_phases_ps
from reports.html.page import render
from sim.run.replications import Task, simulate
from sim.scenario.load import load
from tests.sim.callers.test_agents import CHAIN, FAN, LOOP, TEXT
from tests.support.study import summary_of


def test_steps_are_told_by_how_often_they_came_and_how_long_their_users_waited(tmp_path: Path) -> None:
    summary = summary_of(TEXT % FAN, tmp_path)
    (group,) = summary["variants"]["base"]["groups"]
    steps = {step["step"]: step for step in group["agent"]["steps"]}
    assert {name: step["times"]["value"] for name, step in steps.items()} == {
        "plan": 1, "both": 1, "quick": 1, "slow": 2, "tell": 2, "merge": 1,
    }  # fmt: skip
    assert "refused" in steps["both"]["waited_s"]
    waited = {name: step["waited_s"].get("value") for name, step in steps.items() if name != "both"}
    assert waited == pytest.approx({"plan": 0.041, "quick": 0, "slow": 0.3, "tell": 0.024, "merge": 0.009})
    assert steps["tell"]["lasts_s"]["value"] == pytest.approx((0.013 + 0.024) / 2)
    assert (group["agent"]["requests"], group["agent"]["cut_off"]) == (1, 0)
    felt = {name: estimate["value"] for name, estimate in group["felt_phases"].items()}
    assert felt["tool"] == pytest.approx(0.3)
    assert felt["app_cpu"] == pytest.approx(0.006)
    assert felt["prefill"] + felt["decode"] + felt["queue"] == pytest.approx(0.071)
    page = render(summary).replace("\N{NO-BREAK SPACE}", " ")
    assert "the agent waited 74.0 ms for model, 300 ms for tools." in page


def test_agents_that_met_their_bound_are_counted(tmp_path: Path) -> None:
    again = "apps.agent.steps.run.then={try: 0.999999, end: 0.000001}"
    summary = summary_of(TEXT % LOOP, tmp_path, ["apps.agent.most_steps=4", again, "run.horizon_s=2"])
    (group,) = summary["variants"]["base"]["groups"]
    assert (group["agent"]["requests"], group["agent"]["cut_off"]) == (2, 2)
    assert "100 % of 2 user requests met the bound" in render(summary).replace("\N{NO-BREAK SPACE}", " ")


RANDOM = """
      plan: {kind: ask, prompt: {kind: geometric, mean: 20}, then: {both: 0.6, try: 0.4}}
      both: {kind: fan_out, branches: {look: 2, deep: 1}, then: try}
      look: {kind: tool, time: {kind: exponential, mean: 0.05}, then: {sum: 0.5, end: 0.5}}
      sum: {kind: ask, history: false, prompt: {kind: fixed, tokens: 2}, output: {kind: geometric, mean: 3}}
      deep: {kind: fan_out, branches: {look: 2}, then: sum}
      try: {kind: sandbox, run: {kind: exponential, mean: 0.05}, then: {plan: 0.3, end: 0.7}}
"""


@pytest.mark.parametrize("steps", [CHAIN, FAN, RANDOM])
def test_every_picosecond_of_a_felt_latency_has_its_place(tmp_path: Path, steps: str) -> None:
    settings = ["apps.agent.most_steps=30", "apps.agent.place=away", "traffic.people.arrivals.rate_per_s=4"]
    settings += ["run.horizon_s=10", "run.drain_s=60", "models.m.nodes=3"]
    file = tmp_path / "scenario.yaml"
    file.write_text(TEXT % steps, encoding="utf-8")
    tables = simulate(Task("base", load(file, settings).base, 7, 0, "fast")).tables
    assert tables.user_requests is not None
    assert tables.agent_steps is not None
    users, calls, rows = (
        by_variant(table, ["base"])["base"]
        for table in (tables.user_requests, tables.requests, tables.agent_steps)
    )
    users = users.take(users.outcome("completed"))
    assert len(users) > 30
    phases = agent_phases_ps(users, calls, rows)
    assert (np.sum(list(phases.values()), axis=0) == metrics.FELT.ps(users)).all()
    assert all((ps >= 0).all() for ps in phases.values())
    # What is left to the app is its own work: 3 ms, and 1 for each answer on the critical path.
    assert (phases["app_cpu"] == users["cpu_ps"]).all()
    assert (phases["app_cpu"] >= 3 * 10**9).all()
    if steps == RANDOM:
        assert np.unique(phases["sandbox_network"]).size > 1
