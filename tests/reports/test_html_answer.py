from typing import Any

import pytest

from reports.html.answer import Statement, answer
from tests.support.summaries import (
    counts,
    difference,
    edge_and_aws,
    estimate,
    group,
    phases,
    refused,
    summary,
    variant,
)


def only(found: list[Statement]) -> Statement:
    assert len(found) == 1
    return found[0]


def test_a_clear_difference_is_told_with_its_error_and_its_hop() -> None:
    said = only(answer(edge_and_aws()))
    assert said.label == "On the Edge"
    assert said.text == (
        "A user (home fibre, Paris) waits 61.2 ms (p95, 95 % interval 60.8–61.6 ms) "  # noqa: RUF001 an en dash
        "for the whole answer, 20 model calls in a row."
    )
    # The hop app to model: 2 x (10.3 - 0.3) = 20 ms. The user's way back: 1 - 5 = -4 ms.
    (point,) = said.points
    assert point.label == "In aws:us-east-1"
    assert point.text == (
        "14.3 ± 0.4 ms more (p95, 95 % interval; +23 %). "
        "On the mean, the hop between app and model (20 calls in a row) adds 20.0 ms "
        "and the hop between user and app saves 4.00 ms."
    )


def test_a_faster_variant_is_told_as_less() -> None:
    (point,) = only(answer(edge_and_aws(estimate(-0.0143, 0.0004)))).points
    assert point.text.startswith("14.3 ± 0.4 ms less (p95, 95 % interval; −23 %).")  # noqa: RUF001 a minus sign


def test_an_interval_across_zero_is_no_difference() -> None:
    (point,) = only(answer(edge_and_aws(estimate(0.0004, 0.0016)))).points
    assert point.text == (
        "No difference can be told from chance (p95, 95 % interval −1.2 to 2.0 ms)."  # noqa: RUF001 a minus sign
    )


def test_a_variant_that_changes_nothing_is_exactly_the_same() -> None:
    (point,) = only(answer(edge_and_aws(estimate(0.0, 0.0)))).points
    assert point.text == "Exactly the same (p95)."


def test_a_refused_difference_gives_its_reason() -> None:
    (point,) = only(answer(edge_and_aws(refused("A p95 needs at least 200 requests; there are 120.")))).points
    assert point.text == "No difference is given. A p95 needs at least 200 requests; there are 120."


def test_without_an_interval_for_the_p95_the_median_is_told_and_the_p95_beside_it() -> None:
    one = group(p95=estimate(0.0612, None, "The interval of a p95 needs 3 replications."))
    said = only(answer(summary({"edge": variant(one)})))
    assert said.text == (
        "A user (home fibre, Paris) waits 36.7 ms (median, 95 % interval 36.5–36.9 ms) for the whole "  # noqa: RUF001 an en dash
        "answer, 20 model calls in a row. The p95, 61.2 ms, has no interval: the interval of a p95 needs "
        "3 replications."
    )


def test_a_refused_p95_is_said_and_nothing_is_made_up() -> None:
    none = refused("A p95 needs at least 200 requests; there are 12.")
    one = group()
    one["metrics"]["felt"] = dict.fromkeys(("mean", "p50", "p95", "p99"), none)
    said = only(answer(summary({"edge": variant(one)})))
    assert said.text == (
        "What a user (home fibre, Paris) waits cannot be said. "
        "A p95 needs at least 200 requests; there are 12."
    )


def test_a_single_variant_without_an_app_speaks_of_a_caller() -> None:
    said = only(answer(summary({"edge": variant(group(app_place=None))})))
    assert said == Statement(
        "",
        "",
        "A caller (home fibre, Paris) waits 61.2 ms (p95, 95 % interval 60.8–61.6 ms) for the whole answer.",  # noqa: RUF001 an en dash
    )


@pytest.mark.parametrize(
    ("p95", "ending"),
    [
        (estimate(0.0615, 0.0004), "; the interval overlaps that of near, so which waits longer is open."),
        (estimate(0.0755, 0.0004), ": longer than near."),
        (estimate(0.0355, 0.0004), ": shorter than near."),
    ],
)
def test_two_sources_of_one_variant_are_compared_by_their_intervals(p95: dict[str, Any], ending: str) -> None:
    both = variant(group("near", app_place=None), group("far", p95, app_place=None))
    (point,) = only(answer(summary({"edge": both}))).points
    assert point.label == "far"
    assert point.text.endswith(f"for the whole answer{ending}")


def test_an_overloaded_variant_is_not_compared() -> None:
    found = edge_and_aws()
    found["variants"]["aws"]["verdict"] = {"state": "overloaded", "why": "It carried 5 of 10 requests/s."}
    (point,) = only(answer(found)).points
    assert point.text == (
        "Overloaded, so not compared: its waits grow with the length of the run. "
        "In this one they were 75.5 ms (p95, 95 % interval 74.9–76.1 ms)."  # noqa: RUF001 an en dash
    )


def test_nothing_is_compared_with_an_overloaded_baseline() -> None:
    found = edge_and_aws()
    found["variants"]["edge"]["verdict"] = {"state": "overloaded", "why": "It carried 5 of 10 requests/s."}
    said = only(answer(found))
    assert "It is overloaded" in said.text
    assert said.points[0].text.endswith("Not compared, since the baseline is overloaded.")


def test_a_backlog_is_told_with_the_difference() -> None:
    found = edge_and_aws()
    found["variants"]["aws"]["verdict"] = {"state": "backlogged", "why": "It still grew."}
    (point,) = only(answer(found)).points
    assert point.text.startswith("14.3 ± 0.4 ms more")
    assert point.text.endswith("The backlog still grew at the end, so a longer run may give other numbers.")


def test_refused_requests_are_told_once_unless_a_variant_refuses_more() -> None:
    few, many = counts(rejected_requests_limit=20), counts(rejected_requests_limit=200)
    told = difference(estimate(0.0143, 0.0004))
    variants = {
        "edge": variant(group(counts=few)),
        "aws": variant(group(counts=few)),
        "narrow": variant(group(counts=many)),
    }
    said = only(answer(summary(variants, {"aws": [told], "narrow": [told]})))
    assert said.text.endswith("2.0 % of its model requests were refused or failed, and are left out.")
    assert "refused" not in said.points[0].text
    assert said.points[1].text.endswith(
        "20.0 % of its model requests were refused or failed, and are left out."
    )


def test_variants_that_say_the_same_share_a_point() -> None:
    same = difference(estimate(0.0, 0.0))
    variants = {name: variant(group()) for name in ("edge", "one", "two")}
    (point,) = only(answer(summary(variants, {"one": [same], "two": [same]}))).points
    assert point.label == "one, two"


def test_more_nodes_are_told_by_the_queue_they_save() -> None:
    before, after = group(app_place=None), group(app_place=None, phases=phases(queue=0.001))
    variants = {"edge": variant(before), "more": variant(after)}
    (point,) = only(answer(summary(variants, {"more": [difference(estimate(-0.01, 0.001))]}))).points
    assert point.text.endswith("On the mean, queueing for a node saves 4.00 ms.")


def test_each_source_has_its_statement_up_to_four() -> None:
    names = [f"s{i}" for i in range(6)]
    one = variant(*(group(name) for name in names))
    found = summary({"edge": one, "aws": one}, {"aws": [difference(estimate(0.01, 0.001), n) for n in names]})
    said = answer(found)
    assert [s.heading for s in said[:4]] == ["s0", "s1", "s2", "s3"]
    assert said[4].text == "The tables below have 2 more sources."


def test_a_run_without_a_finished_variant_has_no_answer() -> None:
    assert (
        only(answer(summary({"edge": variant()}) | {"variants": {}})).text
        == "Nothing ran, so there is no answer."
    )
