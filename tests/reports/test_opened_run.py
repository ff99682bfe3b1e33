"""A finished run in Python: what a person in a notebook gets."""

import subprocess
import sys
from pathlib import Path

import pytest

from reports import open_run
from reports.opened_run import OpenedRun
from reports.run_directory import RunDirectoryError
from sim.__main__ import main

SCENARIO = """
name: opened
models:
  llama: {id: llama, llm: llama3.1-8b, hardware: {preset: hc1}, context_tokens: 4000}
network:
  places: {near: {kind: custom, rtt_ms: 10}, home: {kind: custom, rtt_ms: 40}}
apps:
  agent: {place: near, model: llama, calls: 2, cpu_ms: 1}
traffic:
  plain:
    place: near
    model: llama
    arrivals: {kind: constant, rate_per_s: 10}
    lengths: {prompt: {kind: fixed, tokens: 100}, output: {kind: fixed, tokens: 11}}
  users:
    place: home
    app: agent
    arrivals: {kind: constant, rate_per_s: 5}
    lengths: {prompt: {kind: fixed, tokens: 100}, output: {kind: fixed, tokens: 11}}
  once:
    place: near
    model: llama
    stream: false
    arrivals: {kind: constant, rate_per_s: 1}
    lengths: {prompt: {kind: fixed, tokens: 100}, output: {kind: fixed, tokens: 11}}
    max_output_tokens: 4000
run: {horizon_s: 4, replications: 2}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    folder = tmp_path_factory.mktemp("opened")
    (folder / "s.yaml").write_text(SCENARIO, encoding="utf-8")
    assert main(["run", str(folder / "s.yaml"), "--out", str(folder / "run"), "--quiet", "--jobs", "1"]) == 0
    return open_run(folder / "run")


def test_requests_are_a_frame_whose_seconds_follow_from_its_stamps(run: OpenedRun) -> None:
    requests = run.requests
    plain = requests[requests["source"] == "plain"]
    assert len(plain) == 2 * 39  # the first comes after one gap
    one = plain.iloc[7]
    assert one["e2e_s"] == (one["ended_ps"] - one["intended_ps"]) / 1e12
    assert one["ttft_s"] == (one["first_seen_ps"] - one["intended_ps"]) / 1e12
    assert one["tpot_s"] == pytest.approx((one["e2e_s"] - one["ttft_s"]) / 10)
    assert str(requests["ended_ps"].dtype) == "Int64"  # floats would lose picoseconds


def test_what_did_not_complete_has_no_latency_and_missing_stamps(run: OpenedRun) -> None:
    refused = run.requests[run.requests["outcome"] == "rejected_context"]
    assert len(refused) == 2 * 3
    assert refused["e2e_s"].isna().all()
    assert refused["first_ps"].isna().all()


def test_user_requests_carry_what_users_felt(run: OpenedRun) -> None:
    users = run.user_requests
    assert users is not None
    assert len(users) == 2 * 19
    assert (users["felt_s"] > 0.04).all()  # two legs of 40 ms apart at least


def test_figures_are_plotly_figures_by_the_names_of_the_report(run: OpenedRun) -> None:
    assert {"where-the-time-goes", "distribution", "not-served", "over-time"} <= set(run.figures)
    drawn = run.figure("where-the-time-goes", theme="dark")
    assert drawn.layout.title.text == "Mean time per request, phase by phase"
    assert drawn.layout.paper_bgcolor == "#0f1419"
    shown = {trace.meta["choice"] for trace in drawn.data if trace.visible}
    other = run.figure("where-the-time-goes", choice="call")
    assert shown == {"felt"}
    assert {trace.meta["choice"] for trace in other.data if trace.visible} == {"call"}


def test_a_name_that_no_figure_has_is_answered_with_those_there_are(run: OpenedRun) -> None:
    with pytest.raises(KeyError, match="no figure 'pie' in this run; there are where-the-time-goes, "):
        run.figure("pie")
    with pytest.raises(KeyError, match="no view 'pie' of where-the-time-goes; there are felt, call"):
        run.figure("where-the-time-goes", choice="pie")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"it has no manifest\.json"):
        open_run(tmp_path)


def test_reports_alone_load_neither_pandas_nor_plotly() -> None:
    asked = (
        "import sys, reports, reports.summary, reports.html; print({'pandas', 'plotly'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"
