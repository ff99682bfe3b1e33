"""Attainment by tenant and Jain's index: worked by hand. Stamps as in `tests.support.records`."""

import math
from typing import Any

import pytest

from reports.columns import by_variant
from reports.group import Group
from reports.html.breakdowns import tenants
from reports.html.page import DEFINITIONS
from reports.metrics import Window
from reports.tenants import MOST_SHOWN, jain, tenants_json
from tests.support.records import request, tables

SLOW = {"first": 500, "last": 560, "first_seen": 505, "ended": 565}
SLO = {"ttft_s": 0.1}


def found(*replications: list[Any], slo: dict[str, float] | None = None) -> dict[str, Any] | None:
    run = tables({("edge", number): rows for number, rows in enumerate(replications)})
    columns = by_variant(run.requests, ["edge"])["edge"]
    sources = list(dict.fromkeys(row["source"] for rows in replications for row in rows))
    groups = [
        Group.of(
            {"name": name, "mode": None},
            columns.take(columns.labelled("source", name)),
            None,
            None,
            Window.of(0.0, 1.0),
            range(len(replications)),
            SLO if slo is None else slo,
        )
        for name in sources
    ]
    return tenants_json(groups, range(len(replications)))


def shop(index: int, **changes: Any) -> Any:
    return request(index, tenant="shop", source="web", **changes)


def flood(index: int, **changes: Any) -> Any:
    return request(index, tenant="flood", source="bulk", **changes)


def test_jains_index_is_one_for_equals_and_one_nth_where_one_has_everything() -> None:
    assert jain([0.4, 0.4, 0.4]) == pytest.approx(1)
    assert jain([0.0, 0.9, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([1.0, 0.5]) == pytest.approx(1.5**2 / (2 * 1.25))
    assert math.isnan(jain([0.0, 0.0]))


def test_each_tenant_has_its_attainment_over_all_its_sources_and_the_index_is_of_those() -> None:
    # Of the shop all four are good, two of them from another source; of the flood two of eight.
    both = [
        shop(0),
        shop(1),
        request(2, tenant="shop", source="app"),
        request(3, tenant="shop", source="app"),
    ]
    slow = [flood(index, **SLOW) for index in range(4, 10)]
    refused = {"outcome": "rejected_saturated", "finish_reason": "", "first": None, "last": None}
    rows = [*both, *slow[:5], flood(10), flood(11), flood(12, **refused, first_seen=None)]
    told = found(rows, rows)
    assert told is not None
    assert [(one["tenant"], one["asked"], one["completed"]) for one in told["tenants"]] == [
        ("flood", 16, 14),
        ("shop", 8, 8),
    ]
    assert [one["attainment"]["value"] for one in told["tenants"]] == [pytest.approx(0.25), pytest.approx(1)]
    assert told["jain"]["value"] == pytest.approx(1.25**2 / (2 * (1 + 0.0625)))
    assert told["count"] == 2


def test_the_index_is_the_mean_of_the_replications() -> None:
    even, uneven = [shop(0), flood(1)], [shop(0), flood(1, **SLOW)]
    told = found(even, uneven)
    assert told is not None
    assert told["jain"]["value"] == pytest.approx((1 + 0.5) / 2)


def test_a_tenant_that_asked_nothing_in_a_replication_counts_not_there() -> None:
    told = found([shop(0), flood(1)], [shop(0)])
    assert told is not None
    assert told["jain"]["value"] == pytest.approx(1)


def test_where_nobody_attains_anything_there_is_no_index() -> None:
    told = found([shop(0, **SLOW), flood(1, **SLOW)])
    assert told is not None
    assert "refused" in told["jain"]


def test_a_run_of_one_tenant_has_no_such_table() -> None:
    told = found([shop(0), shop(1)])
    assert told is None
    summary = {"facts": {"variants": [{"name": "edge"}]}, "variants": {"edge": {"tenants": told}}}
    assert tenants(summary, DEFINITIONS) is None


def test_of_many_tenants_those_that_asked_most_are_listed_and_all_are_counted() -> None:
    rows = [request(index, tenant=f"t{index:03}") for index in range(MOST_SHOWN + 3)]
    told = found([*rows, request(900, tenant="t052")])
    assert told is not None
    assert (told["count"], len(told["tenants"])) == (MOST_SHOWN + 3, MOST_SHOWN)
    assert told["tenants"][0]["tenant"] == "t052"
    summary = {"facts": {"variants": [{"name": "edge"}]}, "variants": {"edge": {"tenants": told}}}
    page = str(tenants(summary, DEFINITIONS))
    assert "3 tenants that asked less are not listed." in page
    assert ">t052<" in page
