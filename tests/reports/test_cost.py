from typing import Any

import numpy as np
import pytest

from reports.busy import Busy
from reports.columns import by_variant
from reports.cost import NodeWork, cost_json, costs_json
from reports.metrics import Window
from reports.rates import pools
from tests.support.records import node, request, tables

SECOND = 10**12
POWER = {
    "idle_w": {"value": 100, "confidence": "assumed", "source": "a guess"},
    "busy_w": {"value": 300, "confidence": "measured", "source": "a meter"},
}
BY_HOUR = {"usd_per_hour": {"value": 3.6, "confidence": "published", "source": "a list"}}
BY_TOKEN = {"usd_per_1m_tokens": {"value": 2.0, "confidence": "published", "source": "a claim"}}


def work(**changes: Any) -> NodeWork:
    """Two nodes, busy a quarter of 1,000 s: 100 requests of 300 + 200 tokens."""
    one = {"busy_share": 0.25, "requests": 100, "prompt_tokens": 30_000, "output_tokens": 20_000} | changes
    return NodeWork(2, 1000.0, **{name: np.array([value], float) for name, value in one.items()})


def test_energy_worked_by_hand() -> None:
    """Each node draws 100 + 200 / 4 = 150 W, both 300 W, so 300 kJ in all."""
    found = cost_json(work(), POWER)
    assert found["power_w"]["value"] == 300
    assert found["joules_per_request"]["value"] == 3000
    assert found["joules_per_1m_output_tokens"]["value"] == pytest.approx(15e6)


def test_cost_by_the_hour_runs_while_nodes_idle() -> None:
    """Two nodes of 0.001 USD a second: 2 USD."""
    found = cost_json(work(), BY_HOUR)
    assert found["usd_per_request"]["value"] == pytest.approx(0.02)
    assert found["usd_per_1m_output_tokens"]["value"] == pytest.approx(100)


def test_a_price_by_the_token_counts_prompts_too_but_yields_to_one_by_the_hour() -> None:
    found = cost_json(work(), BY_TOKEN)
    assert found["usd_per_request"]["value"] == pytest.approx(500 * 2e-6)
    assert cost_json(work(), BY_TOKEN | BY_HOUR)["usd_per_request"]["value"] == pytest.approx(0.02)


def test_what_nobody_states_is_refused() -> None:
    found = cost_json(work(), {})
    assert found["joules_per_request"] == {"refused": "The power is not stated."}
    assert found["usd_per_request"] == {"refused": "The price is not stated."}


def test_without_the_idle_power_only_bounds_are_known() -> None:
    """2 nodes x 1,000 s x 300 W: a quarter of it if they idle for nothing."""
    found = cost_json(work(), {"busy_w": POWER["busy_w"]})["joules_per_request"]
    assert (found["at_least"], found["at_most"]) == (1500, 6000)
    assert found["refused"].startswith("The idle power is not stated")


def test_without_a_completed_request_nothing_is_shared_out() -> None:
    found = cost_json(work(requests=0, prompt_tokens=0, output_tokens=0), POWER | BY_HOUR)
    assert found["power_w"]["value"] == 300
    assert found["usd_per_request"] == {"refused": "No request completed in the window."}


def test_the_work_of_the_window_comes_from_the_records() -> None:
    """Window 5 to 10 s, two nodes. Busy 4 to 6 s, 5.5 to 7 s together and 9 to 12 s: 3 of 10 node-seconds."""
    spans = [(4000, 6000), (5500, 7000)]
    rows = [
        request(started=a, first=a, last=b, ended=b, prompt_tokens=30, output_tokens=20) for a, b in spans
    ]
    rows.append(request(node=1, started=9000, first=9000, last=12_000, ended=12_000))
    run = tables({("edge", 0): rows}, nodes=[node(), node(node=1)])
    requests, nodes = (by_variant(table, ["edge"])["edge"] for table in (run.requests, run.nodes))
    found = NodeWork.of(requests, Busy(requests), "llama", 2, Window.of(5.0, 10.0), [0])
    assert found.busy_share.tolist() == [pytest.approx(0.3)]
    assert (found.requests.tolist(), found.output_tokens.tolist()) == ([2], [40])
    (row,) = costs_json(
        requests, Busy(requests), pools(nodes), {"llama": {"costs": POWER}}, Window.of(5.0, 10.0), [0]
    )
    assert row["power_w"]["value"] == pytest.approx(2 * (100 + 200 * 0.3))
    assert row["facts"]["busy_w"]["confidence"] == "measured"
