"""Who is turned away, and differences between variants that complete different requests."""

import pytest

from reports.summary import summarise
from tests.support.records import Row, manifest, request, tables
from tests.support.summaries import Json

LIMIT = {"outcome": "rejected_tokens_limit", "started": None, "first": None, "last": None, "first_seen": None}


def run(*, shifted_ms: int = 0) -> Json:
    """200 requests in each of 4 replications. Of odd ones, which take 1,000 ms, `cloud` refuses half.

    Those that it serves take as long as at the edge: only who is served differs.
    """
    rows: dict[tuple[str, int], list[Row]] = {}
    for replication in range(4):
        asked = [
            request(i * 20, number=i, ask=i, ended=1000 + replication if i % 2 else 115) for i in range(200)
        ]
        let_in = [
            request(i * 20 + shifted_ms, number=i, ask=i, **(LIMIT if i % 4 == 1 else {}),
                    ended=20 if i % 4 == 1 else 1000 + replication if i % 2 else 115)
            for i in range(200)
        ]  # fmt: skip
        rows |= {("edge", replication): asked, ("cloud", replication): let_in}
    return summarise(tables(rows), manifest(["edge", "cloud"], 4))


def test_the_share_turned_away_is_told_of_every_source_with_its_interval() -> None:
    found = run()["not_served"]
    (edge,), (cloud,) = found["edge"], found["cloud"]
    assert edge["share"]["value"] == 0.0
    assert 0.0 < edge["share"]["high"] < 0.25
    assert cloud["share"]["value"] == pytest.approx(0.25)
    assert cloud["share"]["low"] < 0.25 < cloud["share"]["high"]


def test_nobody_turned_away_adds_nothing_to_a_summary() -> None:
    rows = {(variant, 0): [request(number=1, ask=1)] for variant in ("edge", "cloud")}
    found = summarise(tables(rows), manifest(["edge", "cloud"], 1))
    assert "not_served" not in found
    assert "both" not in found["differences"]["cloud"][0]


def test_a_difference_of_who_was_served_vanishes_on_what_both_completed() -> None:
    (entry,) = run()["differences"]["cloud"]
    # Each serves 100 of 115 ms; the edge 100 and the cloud 50 of about 1,000. (115 x 100 + 1001.5 x 50) / 150
    # is 410.5 ms against 558.25 ms.
    assert entry["metric"]["felt"]["mean"]["value"] == pytest.approx(0.4105 - 0.55825)
    both = entry["both"]
    assert (both["completed"], both["only_baseline"], both["only_variant"]) == (600, 200, 0)
    assert both["metric"]["felt"]["mean"]["value"] == pytest.approx(0.0, abs=1e-12)
    assert both["metric"]["ttft"]["mean"]["value"] == pytest.approx(0.0, abs=1e-12)


def test_variants_that_were_asked_different_things_have_nothing_in_common() -> None:
    (entry,) = run(shifted_ms=1)["differences"]["cloud"]
    assert "both" not in entry
