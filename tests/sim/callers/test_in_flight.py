"""Clients with so many requests under way at most: 20 + 2 x 10 ms at the node, 4 ms there and back."""

import json
from pathlib import Path

import pytest

from sim.scenario.load import load
from sim.scenario.source_map import ScenarioError
from tests.sim.callers.test_chats import MS, run, told
from tests.sim.callers.test_chats import TEXT as CHATS
from tests.support.cli import e80sim

TEXT = (
    CHATS.replace("callers: {kind: chats, turns: {kind: fixed, count: 3}, think: {kind: fixed, s: 0.1}}", "")
    .replace("{kind: constant, rate_per_s: 1, offset_s: 0}", "{kind: constant, rate_per_s: 50, offset_s: 0}")
    .replace(", enable_prefix_caching: true", "")
)
"""A request every 20 ms."""
LINE = "traffic.talk.max_concurrency"


@pytest.mark.parametrize("engine", ["fast", "step"])
def test_who_finds_as_many_under_way_waits_at_the_client(tmp_path: Path, engine: str) -> None:
    tables = run(tmp_path, "run.horizon_s=0.09", f"{LINE}=1", text=TEXT, engine=engine)
    rows = told(tables, "intended_ps", "sent_ps", "ended_ps", "outcome")
    # 4 ms to connect, 44 for each answer, and the next is sent as the last byte arrives
    assert rows == [
        (20 * k * MS, sent * MS, (sent + 44 + 4 * (k == 0)) * MS, "completed")
        for k, sent in enumerate([0, 48, 92, 136, 180])
    ]


def test_without_a_number_nobody_waits(tmp_path: Path) -> None:
    rows = told(run(tmp_path, "run.horizon_s=0.09", text=TEXT), "intended_ps", "sent_ps")
    assert [intended for intended, _ in rows] == [sent for _, sent in rows]
    many = told(run(tmp_path, "run.horizon_s=0.09", f"{LINE}=5", text=TEXT), "intended_ps", "sent_ps")
    assert many == rows


def test_a_refusal_makes_room_too(tmp_path: Path) -> None:
    limits = "models.m.limits={requests_per_minute: 1, tokens_per_minute: 999}"
    tables = run(tmp_path, "run.horizon_s=0.09", f"{LINE}=1", limits, text=TEXT)
    # the second is refused 4 ms after it was sent at 48 ms, and the third, long due, is then sent
    rows = told(tables, "sent_ps", "outcome")
    assert [sent // MS for sent, _ in rows] == [0, 48, 52, 60, 80]
    assert [outcome for _, outcome in rows] == ["completed", *["rejected_requests_limit"] * 4]


def test_who_still_waits_when_the_run_ends_is_unfinished(tmp_path: Path) -> None:
    tables = run(tmp_path, "run.horizon_s=0.09", "run.drain_s=0.01", f"{LINE}=1", text=TEXT)
    rows = told(tables, "intended_ps", "outcome", "arrived_ps")
    assert [(at // MS, outcome) for at, outcome, _ in rows] == [
        (0, "completed"),
        (20, "completed"),
        (40, "unfinished"),
        (60, "unfinished"),
        (80, "unfinished"),
    ]
    assert [arrived for *_, arrived in rows[3:]] == [None, None]


def test_the_report_tells_how_long_they_waited_at_the_client(tmp_path: Path) -> None:
    path = tmp_path / "capped.yaml"
    path.write_text(TEXT, encoding="utf-8")
    settings = ["--set", "run.horizon_s=0.09", "--set", f"{LINE}=1", "--out", str(tmp_path / "out")]
    result = e80sim("run", [str(path), *settings])
    assert result.exit_code == 0, result.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    (note,) = [note for note in summary["notes"] if "at their client" in note]
    # 28, 52, 76 and 100 ms
    assert note.startswith(
        "80.0 % of the requests of talk in base waited at their client, 64.0 ms on average"
    )


def test_a_time_out_counts_from_the_sending(tmp_path: Path) -> None:
    settings = ["run.horizon_s=0.09", f"{LINE}=1", "traffic.talk.timeout_s=0.05"]
    outcomes = [outcome for (outcome,) in told(run(tmp_path, *settings, text=TEXT), "outcome")]
    assert outcomes == ["completed"] * 5


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "traffic.talk.callers={kind: closed_loop, think: {kind: fixed, s: 1}}",
            "those of kind 'closed_loop' do",
        ),
        ("apps.bot={place: here, model: m, calls: 2}", "this source names an app: state `model`"),
    ],
)
def test_callers_who_wait_for_answers_need_no_line(tmp_path: Path, setting: str, sentence: str) -> None:
    path = tmp_path / "capped.yaml"
    path.write_text(TEXT, encoding="utf-8")
    settings = [f"{LINE}=1", setting]
    if setting.startswith("apps"):
        settings += ["traffic.talk.model=null", "traffic.talk.app=bot"]
    else:
        settings += ["traffic.talk.arrivals={kind: ramp, users: 4}"]
    with pytest.raises(ScenarioError, match=sentence):
        load(path, settings)
