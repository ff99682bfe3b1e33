"""The section on uncertain values, from a summary that has one."""

import re
from typing import Any

import numpy as np
import pytest

from reports.headlines import HEADLINES, Headline
from reports.html import render
from reports.html.readings import Reading
from reports.html.tornado import MOST_VALUES, tornado
from reports.rows import rows_of
from reports.summary import summarise
from reports.text import summary_table
from reports.uncertainty import Input, Study, uncertainty_json
from tests.support.summaries import READING, estimate, group, variant
from tests.support.summaries import summary as fixed
from tests.support.synthetic import synthetic_run

DRAWS = 24


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    """Felt latency is `slow` seconds, one of 14 values, whatever the others are."""
    tables, manifest = synthetic_run(4000, variants=2, replications=3)
    made = summarise(tables, manifest)
    values = np.random.default_rng(2).random((DRAWS, 14))
    inputs = [Input(f"value_{i}", None, 0.0, 1.0, "assumed") for i in range(13)]
    inputs.insert(7, Input("slow", "llama", 0.0, 1.0, "derived"))
    groups = [(name, group["source"]) for name, one in made["variants"].items() for group in one["groups"]]
    results = [
        {
            Headline(variant, source, metric, statistic): float(row[7]) + (variant != "edge")
            for variant, source in groups
            for metric, statistic in HEADLINES
        }
        for row in values
    ]
    study = Study(tuple(inputs), values, results, DRAWS, ("cable.rtt_floor_ms",), 3, "edge")
    return {**made, "uncertainty": uncertainty_json(study)}


def test_a_report_shows_the_section_only_where_draws_were_made(summary: dict[str, Any]) -> None:
    without = {key: value for key, value in summary.items() if key != "uncertainty"}
    assert 'id="uncertainty"' in render(summary)
    assert 'id="uncertainty"' not in render(without)


def test_the_value_that_matters_stands_on_top_and_at_most_ten_stand_below(summary: dict[str, Any]) -> None:
    figure = tornado(summary["uncertainty"], rows_of(summary))
    assert figure is not None
    labels = figure.plot["layout"]["yaxis"]["ticktext"]
    assert labels[0] == "llama: slow"
    assert len(labels) == MOST_VALUES
    first = figure.plot["data"][0]
    assert first["name"] == "lowest third"
    assert first["x"][0] < figure.plot["data"][1]["x"][0]
    assert "llama: slow" in figure.table


def test_the_page_says_what_the_bands_leave_out(summary: dict[str, Any]) -> None:
    page = render(summary)
    assert "1 derived or assumed values state no range" in page
    assert "24 draws of 14 values" in page


def test_the_band_names_the_other_reading_of_a_chip_that_it_leaves_out(summary: dict[str, Any]) -> None:
    told = "how hc1_pipelined would answer"
    assert told not in render({**summary, "facts": {**summary["facts"], "readings": []}})
    assert told in render({**summary, "facts": {**summary["facts"], "readings": [READING]}})


def test_differences_come_with_the_band_of_the_draws(summary: dict[str, Any]) -> None:
    # Each draw adds the same second to the variant: the band of the difference is that second alone.
    (felt, *_) = [
        one["metric"]["felt"]["mean"] for one in summary["uncertainty"]["differences"]["aws_same_metro"]
    ]
    assert felt["low"] == pytest.approx(1.0)
    assert felt["high"] == pytest.approx(1.0)
    assert "User-felt latency less that of the baseline, paired within each draw" in render(summary)


def test_the_terminal_table_has_one_line_of_it(summary: dict[str, Any]) -> None:
    shown = " ".join(summary_table(summary).split())
    assert "Uncertain values, 24 draws of 14: felt p95 of assistant in edge from" in shown
    assert "most by slow." in shown


def test_the_other_reading_is_drawn_beside_the_bands_of_means(summary: dict[str, Any]) -> None:
    reading = {**READING, "ttft": [{"prompt_tokens": 1000, "used_s": 0.05, "other_s": 0.01}]}
    both = {**summary, "facts": {**summary["facts"], "readings": [reading]}}
    page = render(both)
    assert 'class="band"' in page
    assert "read as hc1_pipelined" in page
    tabs = re.findall(r'name="view-uncertainty-bands" value="([^"]*)"', page)
    assert tabs == ["felt-mean", "ttft-mean", "felt-p95", "ttft-p95"]
    assert 'class="band"' not in render({**summary, "facts": {**summary["facts"], "readings": []}})


def test_the_mean_under_the_other_reading_differs_by_the_own_work_of_every_call() -> None:
    """A call computes 12 ms, of which the other reading leaves 5 ms; a user request waits for four."""
    call, four = {"prefill": estimate(0.011), "overhead": estimate(0.001)}, {"prefill": estimate(0.048)}
    one = group(phases=call, felt_phases=four, calls=4)
    one["metrics"]["ttft"]["mean"] = estimate(0.02)
    (row,) = rows_of(fixed({"edge": variant(one)}))
    reading = Reading("hc1", "hc1_pipelined", ((0.008, 0.004), (0.016, 0.006)))
    assert reading.under_other(0.004) == pytest.approx(0.002)
    assert reading.under_other(0.012) == pytest.approx(0.005)
    assert reading.under_other(0.032) == pytest.approx(0.012)
    mean = row.statistic("felt", "mean").value
    assert mean is not None
    assert reading.mean_s(row, "ttft") == pytest.approx(0.02 - 0.007)
    assert reading.mean_s(row, "felt") == pytest.approx(mean - 4 * 0.007)
