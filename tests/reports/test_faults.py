"""What a fault cost whom, worked by hand in milliseconds."""

from typing import Any

import numpy as np
import pytest

from reports.columns import Columns
from reports.faults import faults_json, sentences
from reports.group import Group
from reports.html.faults import faults
from reports.metrics import Window
from reports.record import OUTCOMES

MS = 10**9
COMPLETED, LOST = OUTCOMES.index("completed"), OUTCOMES.index("node_lost")


def broken(*spans: tuple[int, int | None], replications: list[int] | None = None) -> Columns:
    """At node 0, in ms."""
    rows = len(spans)
    return Columns(
        {
            "replication": np.array(replications or [0] * rows),
            "fault": np.zeros(rows, np.int64),
            "kind": np.zeros(rows, np.int64),
            "target": np.zeros(rows, np.int64),
            "began_ps": np.array([begin * MS for begin, _ in spans]),
            "ended_ps": np.array([-1 if end is None else end * MS for _, end in spans]),
            "failed": np.full(rows, 2),
            "moved": np.zeros(rows, np.int64),
        },
        {"fault": ["dead"], "kind": ["node_crash"], "target": ["node 0 of m"]},
    )


class Asked:
    """The part of a group that faults are about. An ask is (begin, end, outcome) in ms."""

    def __init__(self, *asks: tuple[int, int, int], replications: list[int] | None = None) -> None:
        self.source = {"name": "chat", "tenant": "people"}
        begins, ends, outcomes = (np.array(column) for column in zip(*asks, strict=True))
        values = {"intended_ps": begins * MS, "ended_ps": np.where(ends < 0, -1, ends * MS)}
        keys = {"outcome": outcomes, "replication": np.array(replications or [0] * len(asks))}
        self.asks = Columns(values | keys, {})


def found(faults: Columns, group: Any, replications: int = 1) -> dict[str, Any]:
    groups: list[Group] = [group]
    return faults_json(faults, groups, Window.of(0.0, 1.0), range(replications))


def asks(*times: tuple[int, int], outcome: int = COMPLETED) -> list[tuple[int, int, int]]:
    return [(begin, end, outcome) for begin, end in times]


def test_an_ask_meets_a_fault_if_it_is_inside_at_an_instant_of_it() -> None:
    # Broken from 100 to 200: those that end at 99 and begin at 200 do not meet it, the latter comes after.
    times = asks((90, 99), (90, 101), (120, 130), (199, 230), (200, 210), (299, 300), (300, 310))
    (cost,) = found(broken((100, 200)), Asked(*times))["cost"]
    assert [cost[part]["asks"] for part in ("during", "after", "usual")] == [3, 2, 2]
    assert cost["during"]["mean_s"] == pytest.approx((11 + 10 + 31) / 3000)
    assert cost["slow_s"] is None
    assert cost["during"]["slow"] is None


def test_failed_and_slow_asks_are_counted_against_the_usual_ones() -> None:
    usual = asks(*((1 + 3 * i, 2 + 3 * i) for i in range(30)))  # 1 ms each, before 100 ms
    slow = asks((110, 130), (120, 120))
    lost, left = asks((150, 160), outcome=LOST), [(190, -1, OUTCOMES.index("unfinished"))]
    (cost,) = found(broken((100, 200)), Asked(*usual, *slow, *lost, *left))["cost"]
    assert cost["slow_s"] == pytest.approx(0.001)
    assert cost["during"] == {"asks": 4, "failed": 2, "slow": 1, "mean_s": pytest.approx(0.01)}
    assert cost["usual"] == {"asks": 30, "failed": 0, "slow": 0, "mean_s": pytest.approx(0.001)}


def test_a_fault_without_an_end_lasts_to_the_horizon_and_one_beyond_it_is_left_out() -> None:
    told = found(broken((900, None), (2000, 3000)), Asked(*asks((950, 960), (10, 20))))
    assert [span["began_s"] for span in told["spans"]] == [0.9]
    assert told["happened"][0]["times"] == 1
    assert told["happened"][0]["broken_s"] == pytest.approx(0.1)
    assert [told["cost"][0][part]["asks"] for part in ("during", "after", "usual")] == [1, 0, 1]


def test_spans_that_overlap_are_one_and_each_replication_has_its_own() -> None:
    two = broken((100, 200), (150, 300), (500, 600), replications=[0, 0, 1])
    group = Asked(*asks((250, 260), (550, 560), (250, 260), (550, 560)), replications=[0, 0, 1, 1])
    told = found(two, group, replications=2)
    assert told["happened"] == [
        {
            "fault": "dead",
            "kind": "node_crash",
            "times": 1.5,
            "broken_s": pytest.approx(0.175),
            "failed": 3.0,
            "moved": 0,
        }
    ]
    (cost,) = told["cost"]
    assert [cost[part]["asks"] for part in ("during", "after", "usual")] == [2, 0, 2]


def test_it_is_said_in_words_and_in_the_report() -> None:
    usual = asks(*((1 + 3 * i, 2 + 3 * i) for i in range(30)))
    told = found(broken((100, 200)), Asked(*usual, *asks((110, 130)), *asks((150, 160), outcome=LOST)))
    happened, cost = sentences(told)
    assert happened == "Fault dead, 1 times, 100 ms in all; of the requests inside 2 failed."
    during = "during it 50.0 % of 2 asks failed, 50.0 % were slow"
    assert cost == f"  chat: {during}; otherwise 0 % of 30 asks failed, 0 % were slow."
    summary = {
        "facts": {"variants": [{"name": "base", "title": "x"}]},
        "variants": {"base": {"faults": told}},
    }
    page = str(faults(summary)).replace("\u00a0", " ")
    assert "dead (node_crash), node 0 of m, 0.1 s to 0.2 s" in page
    assert "dead · chat" in page
    assert faults({"facts": summary["facts"], "variants": {"base": {}}}) is None
