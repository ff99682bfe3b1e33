"""Stages at nodes of their own, worked out by hand."""

import numpy as np

from reports.columns import Columns
from reports.metrics import Window
from reports.stages import stages_json, visits_of

S = 10**12
WINDOW = Window.of(0.0, 10.0)
NAMES = ("prefill", "handover", "transfer", "decode")


def stages(*rows: tuple[int, str, int, float, float | None]) -> Columns:
    """(replication, stage, node, began, ended), in seconds."""
    columns = {
        "replication": [row[0] for row in rows],
        "model": [0 for _ in rows],
        "stage": [NAMES.index(row[1]) for row in rows],
        "node": [row[2] for row in rows],
        "began_ps": [round(row[3] * S) for row in rows],
        "ended_ps": [-1 if row[4] is None else round(row[4] * S) for row in rows],
    }
    values = {name: np.array(column, np.int64) for name, column in columns.items()}
    return Columns(values, {"model": ("m",), "stage": NAMES})


def test_means_and_utilisation_are_those_of_each_kind_of_node() -> None:
    # Two prefill nodes work 2 + 1 of 2 x 10 s, the decode node 4 (two overlap) and, to the end, 1 of 10 s.
    found = stages_json(
        stages(
            (0, "prefill", 0, 0, 2),
            (0, "prefill", 1, 1, 2),
            (0, "transfer", 2, 2, 2.5),
            (0, "decode", 2, 2, 5),
            (0, "decode", 2, 3, 6),
            (0, "decode", 2, 9, None),
        ),
        {"m": {"nodes": 3, "prefill_nodes": 2}},
        WINDOW,
        [0],
    )
    assert [(row["stage"], row["n"], row["mean_s"]["value"]) for row in found] == [
        ("prefill", 2, 1.5),
        ("transfer", 1, 0.5),
        ("decode", 2, 3.0),
    ]
    assert [row["utilisation"]["value"] for row in found if "utilisation" in row] == [0.15, 0.5]


def test_without_stages_a_request_is_one_visit_and_with_them_each_stage_at_a_node_is() -> None:
    rows = {
        "replication": [0, 0],
        "model": [1, 0],
        "node": [0, 2],
        "started_ps": [0, 5],
        "last_ps": [3, 9],
        "ended_ps": [4, 9],
    }
    requests = Columns({k: np.array(v, np.int64) for k, v in rows.items()}, {"model": ("m", "plain")})
    assert visits_of(requests, None) is requests
    found = visits_of(
        requests, stages((0, "prefill", 1, 0, 1), (0, "handover", 1, 1, 2), (0, "decode", 2, 2, 3))
    )
    assert found["model"].tolist() == [1, 0, 0]
    assert found["node"].tolist() == [0, 1, 2]
    assert found["started_ps"].tolist() == [0, 0, 2 * S]
