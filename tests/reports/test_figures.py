import json
import re
from collections.abc import Iterator

import plotly.graph_objects as go  # type: ignore[import-untyped]
import pytest

from reports.answer.changes import changes_of
from reports.html.calls import felt_by_calls
from reports.html.cdf import distribution
from reports.html.figure import Figure
from reports.html.forest import forest
from reports.html.outcomes import attainment, not_served
from reports.html.over_time import over_time
from reports.html.palette import coloured
from reports.html.phases import where_the_time_goes
from reports.html.style import styles
from reports.rows import rows_of
from tests.support.summaries import (
    Json,
    counts,
    difference,
    edge_and_aws,
    estimate,
    group,
    refused,
    summary,
    user_phases,
    variant,
)


def figures(found: Json) -> Iterator[Figure]:
    rows = rows_of(found)
    drawn = [
        where_the_time_goes(rows, {}),
        felt_by_calls(rows),
        distribution(rows, {}),
        not_served(rows),
        attainment(found, rows),
        forest(found, rows, {}),
        over_time(found, {}),
    ]
    return (figure for figure in drawn if figure)


def cdf(curve: Json) -> Json:
    return {"ttft": curve, "e2e": curve, "felt": curve}


def rich() -> Json:
    """Every figure has something to draw."""
    served = counts(rejected_tokens_limit=30, timeout=5)
    few, many = group("few", calls=1, counts=served), group("many", calls=20)
    told = [difference(estimate(0.0143, 0.0004), name) for name in ("few", "many")]
    return summary({"edge": variant(few, many), "aws": variant(few, many)}, {"aws": told})


def test_plotly_accepts_every_figure_in_both_themes() -> None:
    drawn = list(figures(rich()))
    assert [figure.identity for figure in drawn] == [
        "where-the-time-goes",
        "felt-by-calls",
        "distribution",
        "not-served",
        "attainment",
        "differences",
        "over-time",
    ]
    for figure in drawn:
        for name in ("light", "dark"):
            go.Figure(coloured(figure.plot, name))
            assert "@" not in json.dumps(coloured(figure.plot, name))


def test_every_figure_carries_its_caption_its_description_and_a_table() -> None:
    for figure in figures(rich()):
        markup = figure.html()
        assert re.search(r"<figcaption>\w", markup)
        assert re.search(r'role="(img|group)" aria-label="\w', markup)
        assert re.search(r"<details><summary>Data table: .*<table.*<tbody>.*</table>", markup)


def test_every_trace_follows_a_choice_and_a_legend_that_exist() -> None:
    for figure in figures(rich()):
        choices = {choice.key for choice in figure.choices} | {""}
        series = {key.series for key in figure.keys} | {None}
        for trace in figure.plot["data"]:
            assert trace["meta"].get("choice", "") in choices
            assert trace["meta"].get("series") in series


def test_bars_hold_the_mean_milliseconds_of_each_phase_in_their_order() -> None:
    figure = where_the_time_goes(rows_of(edge_and_aws()), {})
    assert figure
    felt = [t for t in figure.plot["data"] if t["meta"]["choice"] == "felt" and t["type"] == "bar"]
    assert [(t["name"], t["x"]) for t in felt[:3]] == [
        ("Set-up, user to app", [2.0, 2.0]),
        ("Network, user to app", [5.0, 5.0]),
        ("App", [1.0, 1.0]),
    ]
    assert felt[2]["base"] == [7.0, 7.0]
    assert [t["x"] for t in felt if t["name"] == "Network out"] == [[0.3, 10.3]]
    assert re.findall(r'class="value"><b>([^<]*)', figure.html())[:2] == ["43.8", "59.8"]


def test_a_phase_that_took_no_time_anywhere_is_not_drawn() -> None:
    figure = where_the_time_goes(rows_of(edge_and_aws()), {})
    assert figure
    assert "Overhead" not in {key.label for key in figure.keys}


def test_an_overloaded_variant_runs_off_the_scale_and_says_so() -> None:
    slow = group(felt_phases=user_phases(queue=20.0))
    rows = rows_of(summary({"edge": variant(group()), "aws": variant(slow, state="overloaded")}))
    figure = where_the_time_goes(rows, {})
    assert figure
    # The scale ends 6 % behind 43.8 ms; the bar of 20 s is cut, and its number stays.
    page = figure.html()
    assert page.count('class="bar cut"') == 1
    assert re.findall(r'class="value"><b>([^<]*)', page)[:2] == ["43.8", "20,039"]


def test_each_view_of_the_bars_has_a_scale_of_its_own() -> None:
    figure = where_the_time_goes(rows_of(edge_and_aws()), {})
    assert figure
    felt, call = figure.html().split('class="view"')[1:]
    # 59.8 ms per user request and 30.8 ms per call fill 94.3 % of their tracks: the last bar ends there.
    for view in (felt, call):
        ends = [sum(map(float, ends)) for ends in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", view)]
        assert max(ends) == pytest.approx(100 / 1.06, abs=0.11)


def test_routes_are_named_by_no_more_than_tells_them_apart() -> None:
    near, far = ([group(f"k{k}", calls=k, app_place=place) for k in (1, 20)] for place in ("edge", "aws"))
    figure = felt_by_calls(rows_of(summary({"edge": variant(*near), "aws": variant(*far)})))
    assert figure
    assert {trace["name"] for trace in figure.plot["data"]} == {"On the Edge", "In aws:us-east-1"}


def test_felt_latency_is_drawn_against_calls_where_a_route_has_several() -> None:
    rows = rows_of(summary({"edge": variant(group("few", estimate(0.02, 0.001), calls=5), group("many"))}))
    figure = felt_by_calls(rows)
    assert figure
    first = figure.plot["data"][0]
    assert (first["x"], first["y"]) == ([5, 20], [20.0, 61.2])
    assert first["error_y"]["array"] == [1.0, pytest.approx(0.4)]


def test_variants_with_one_k_each_make_one_line() -> None:
    variants = {f"k{k}": variant(group(calls=k)) for k in (1, 5, 20)}
    figure = felt_by_calls(rows_of(summary(variants)))
    assert figure
    assert {trace["name"] for trace in figure.plot["data"]} == {"all users"}
    assert figure.plot["data"][0]["x"] == [1, 5, 20]


def test_calls_in_a_row_and_at_once_are_never_joined_by_a_line() -> None:
    found = summary({"edge": variant(group("few", calls=5), group("many", calls=20))})
    found["facts"]["sources_by_variant"]["edge"][1]["mode"] = "fan_out"
    assert felt_by_calls(rows_of(found)) is None


def test_a_curve_ends_where_the_data_end_and_starts_above_zero() -> None:
    one = group(app_place=None)
    one["cdf"] = cdf({"x_s": [0.0, 0.001, 0.004], "p": [0.0, 0.5, 0.9]})
    figure = distribution(rows_of(summary({"edge": variant(one)})), {})
    assert figure
    assert figure.plot["data"][0]["x"] == [1.0, 4.0]
    cells = re.findall(r'<td class="number">([^<]*)</td>', figure.table)[:7]
    # Between 50 % at 1 ms and 90 % at 4 ms, 75 % lies at 1 + 3 x 25/40 ms.
    assert [c.replace("\u00a0", " ") for c in cells] == ["", "", "1.00 ms", "2.88 ms", "4.00 ms", "", ""]


def test_whole_sources_start_switched_on_up_to_eight_curves() -> None:
    found = summary({f"v{i}": variant(group("one"), group("two")) for i in range(5)})
    figure = distribution(rows_of(found), {})
    assert figure
    assert sum(trace["visible"] for trace in figure.plot["data"]) == 5
    assert [key.shown for key in figure.keys] == [True] * 5 + [False] * 5


def test_of_a_source_with_twelve_variants_eight_curves_start_switched_on() -> None:
    figure = distribution(rows_of(summary({f"v{i}": variant(group()) for i in range(12)})), {})
    assert figure
    assert [key.shown for key in figure.keys] == [True] * 8 + [False] * 4


def test_calls_are_first_shown_by_a_statistic_that_all_of_them_have() -> None:
    few, many = group("few", calls=5), group("many")
    many["metrics"]["felt"]["p95"] = refused("A p95 needs at least 200 requests; there are 199.")
    figure = felt_by_calls(rows_of(summary({"edge": variant(few, many)})))
    assert figure
    assert [choice.key for choice in figure.choices] == ["p50", "mean", "p95"]
    assert [t["meta"]["choice"] for t in figure.plot["data"] if t["visible"]] == ["p50"]


def test_nothing_completed_means_no_figure() -> None:
    empty = group(app_place=None, phases={})
    empty["cdf"] = cdf({"x_s": [], "p": []})
    rows = rows_of(summary({"edge": variant(empty)}))
    assert where_the_time_goes(rows, {}) is None
    assert distribution(rows, {}) is None


def test_causes_are_shares_of_the_offered_requests() -> None:
    figure = not_served(rows_of(summary({"edge": variant(group(counts=counts(400, timeout=10)))})))
    assert figure
    assert [(t["name"], t["x"]) for t in figure.plot["data"] if t["type"] == "bar"] == [("Timed out", [2.5])]


def test_all_served_and_no_objective_need_no_figure() -> None:
    found = edge_and_aws()
    rows = rows_of(found)
    assert not_served(rows) is None
    found["facts"]["slo"] = {"ttft_s": None}
    assert attainment(found, rows) is None


def test_a_refused_difference_has_no_mark_but_a_reason_in_the_table() -> None:
    apart = difference(refused("A p95 needs at least 200 requests; there are 120."))
    apart["metric"]["felt"]["mean"] = estimate(0.0143, 0.0004)
    found = summary({"edge": variant(group()), "aws": variant(group())}, {"aws": [apart]})
    figure = forest(found, rows_of(found), {})
    assert figure
    assert [choice.key for choice in figure.choices] == ["felt-mean"]
    # 14.3 ms more than a mean of 61.2 x 0.6 x 1.1 = 40.392 ms.
    assert [t["x"] for t in figure.plot["data"]] == [[35.403]]
    assert figure.table.count("no value: A p95 needs at least 200 requests; there are 120.") == 11


def test_the_variance_reduction_stands_in_the_table() -> None:
    found = edge_and_aws()
    figure = forest(found, rows_of(found), {})
    assert figure
    assert "35.0 times" in figure.table


def test_overloaded_variants_are_left_out_of_the_differences() -> None:
    found = edge_and_aws()
    found["variants"]["aws"]["verdict"]["state"] = "overloaded"
    assert changes_of(found, rows_of(found)) == []


def test_no_two_of_forty_rows_look_the_same() -> None:
    found = summary({f"v{i}": variant(*(group(f"s{j}") for j in range(5))) for i in range(8)})
    look = styles(rows_of(found))
    assert len(set(look.values())) == 40


def test_a_row_looks_the_same_whatever_else_is_shown() -> None:
    rows = rows_of(rich())
    by_variant = {row.variant: styles(rows)[row.key].role for row in rows}
    assert by_variant == {"edge": "series_0", "aws": "series_1"}


def test_the_course_of_a_run_has_a_view_per_variant_with_bands_and_the_end_of_the_warm_up() -> None:
    figure = over_time(edge_and_aws(), {})
    assert figure
    assert [choice.label for choice in figure.choices] == ["On the Edge", "In aws:us-east-1"]
    traces = figure.plot["data"]
    assert len(traces) == 2 * 9 * 3
    assert [trace["visible"] for trace in traces] == [True] * 27 + [False] * 27
    use = [trace for trace in traces[:27] if trace["name"] == "Utilisation"]
    assert use[2]["y"] == [50, 70, 70, 20]
    assert (use[2]["x0"], use[2]["dx"]) == (37.5, 75)
    assert (use[0]["y"][0], use[1]["y"][0], use[1]["fill"]) == (45, 55, "tonexty")
    assert figure.plot["layout"]["shapes"][0]["x0"] == 30
    assert "In the system of On the Edge: at most 3.00 requests, around 75 s" in figure.description
    assert re.search("averaged over 75 s", figure.table)


def test_a_single_replication_has_lines_without_bands() -> None:
    found = edge_and_aws(warm_up_s=0.0)
    for one in found["variants"].values():
        for series in (one["series"]["all"], *one["series"]["models"].values()):
            for values in series.values():
                del values["low"], values["high"]
    figure = over_time(found, {})
    assert figure
    assert len(figure.plot["data"]) == 2 * 9
    assert "band" not in figure.caption
    assert "shapes" not in figure.plot["layout"]
