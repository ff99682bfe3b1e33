from array import array

import numpy as np
import pyarrow as pa
import pytest

from reports.columns import by_variant
from reports.record import OUTCOMES, REQUEST_COLUMNS
from reports.tables import request_table
from tests.support.records import request, tables


def test_lists_and_arrays_make_the_same_table() -> None:
    lists = {column.name: [0, 1] for column in REQUEST_COLUMNS}
    arrays = {name: array("q", values) for name, values in lists.items()}
    labels = {name: ["a", "b"] for name in ("source", "tenant", "place", "model")}
    assert request_table("edge", 0, lists, labels).equals(request_table("edge", 0, arrays, labels))


def test_a_stamp_of_minus_one_is_null_on_disk_and_a_number_of_minus_one_is_not() -> None:
    table = tables({("edge", 0): [request(started=None, parent=-1)]}).requests
    assert table["started_ps"].to_pylist() == [None]
    assert table["parent"].to_pylist() == [-1]
    assert table["outcome"].to_pylist() == ["completed"]
    assert table["ended_ps"].to_pylist() == [115_000_000_000]


def test_a_label_code_without_a_name_is_refused() -> None:
    columns = {column.name: [2] for column in REQUEST_COLUMNS}
    labels = {name: ["a", "b"] for name in ("source", "tenant", "place", "model")}
    with pytest.raises(pa.ArrowIndexError):
        request_table("edge", 0, columns, labels)


def test_variants_come_apart_again_in_order_of_replication_and_time() -> None:
    run = tables(
        {
            ("edge", 1): [request(number=7)],
            ("cloud", 0): [request(number=5, place="cloud", outcome="timeout")],
            ("edge", 0): [request(9, number=2), request(3, number=1)],
        }
    )
    parts = by_variant(run.requests, ["edge", "cloud", "moon"])
    assert parts["edge"]["number"].tolist() == [1, 2, 7]
    assert parts["edge"]["replication"].tolist() == [0, 0, 1]
    assert parts["cloud"].labelled("place", "cloud").tolist() == [True]
    assert parts["cloud"]["outcome"].tolist() == [OUTCOMES.index("timeout")]
    assert len(parts["moon"]) == 0


def test_outcomes_keep_their_meaning_whatever_order_their_names_came_in() -> None:
    columns = {column.name: [0, 1] for column in REQUEST_COLUMNS}
    labels = {name: ["a", "b"] for name in ("source", "tenant", "place", "model")}
    table = request_table("edge", 0, columns, {**labels, "outcome": ["timeout", "completed"]})
    part = by_variant(table, ["edge"])["edge"]
    assert part.outcome("timeout").tolist() == [True, False]
    assert part.outcome("completed").tolist() == [False, True]
    assert part["stream"].dtype == np.bool_
