"""The shipped recording is what its scenario's platform would record: stamps and answers tell the same."""

from pathlib import Path

import numpy as np

from sim.run.replications import Task, simulate
from sim.scenario.load import load

SCENARIO = Path(__file__).parents[2] / "scenarios/recorded-sessions.yaml"


def test_where_it_was_recorded_waiting_for_answers_changes_nothing() -> None:
    plan = load(SCENARIO)
    waiting, sent = (
        simulate(Task(name, plan.variants[name], plan.base.run.seed, 0, "fast")).tables.requests
        for name in ("four", "four_sent")
    )
    for stamp in ("intended_ps", "ended_ps"):
        found, recorded = (np.sort(rows[stamp].to_numpy()) for rows in (waiting, sent))
        assert np.array_equal(found, recorded), "stale: run docs/data/build_recorded_sessions.py"


def test_on_fewer_nodes_agents_that_wait_ask_less_at_once_than_their_stamps() -> None:
    plan = load(SCENARIO)
    p95_s = {}
    for name in ("two", "two_sent", "one", "one_sent"):
        requests = simulate(Task(name, plan.variants[name], plan.base.run.seed, 0, "fast")).tables.requests
        took_ps = requests["ended_ps"].to_numpy() - requests["intended_ps"].to_numpy()
        p95_s[name] = float(np.percentile(took_ps, 95)) / 1e12
    assert 0.40 < p95_s["two"] < 0.46
    assert 0.70 < p95_s["two_sent"] < 0.79
    assert 3.8 < p95_s["one"] < 4.4
    assert 12 < p95_s["one_sent"] < 14
