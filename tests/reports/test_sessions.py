"""What a report says of callers that wait for their answers, from small worlds worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

from reports.html.figures import figures_of
from reports.html.page import render
from reports.text import summary_table
from reports.words import number
from tests.sim.callers.test_chats import TEXT as CHATS
from tests.sim.callers.test_closed_loop import TEXT as USERS
from tests.support.study import summary_of


def sessions_of(text: str, folder: Path, *settings: str) -> tuple[Any, Any]:
    summary = summary_of(text, folder, settings)
    (found,) = summary["variants"]["base"]["sessions"]
    return summary, found


def test_a_conversation_is_told_turn_by_turn(tmp_path: Path) -> None:
    """The first tokens come after 4 + 2 + 20 + 2 = 28 ms, and of turn 1, which computes 21, after 25."""
    summary, found = sessions_of(CHATS, tmp_path)
    assert (found["source"], found["callers"], found["began"]) == ("talk", "chats", 1)
    assert found["endings"] == {"completed": 1}
    assert found["turns"]["value"] == 3
    assert found["duration"]["mean"]["value"] == pytest.approx(0.338)
    assert [(t["turn"], t["asked"]) for t in found["by_turn"]] == [(0, 1), (1, 1), (2, 1)]
    tokens = [(t["prompt_tokens"]["value"], t["cached_tokens"]["value"]) for t in found["by_turn"]]
    assert tokens == [(20, 0), (43, 22), (66, 45)]
    assert [t["ttft"]["mean"]["value"] for t in found["by_turn"]] == pytest.approx([0.028, 0.025, 0.025])
    page = render(summary).replace("\N{NO-BREAK SPACE}", " ")
    assert "talk: 1 conversation of 3 turns on average. Of them 100 % had all their turns." in page
    assert "  talk: 1 session of 3 turns on average: completed 100 %\n" in summary_table(summary)
    (figure,) = [one for one in figures_of(summary) if one.identity == "turns"]
    assert [trace["x"] for trace in figure.plot["data"] if trace["meta"]["choice"] == "mean"] == [[1, 2, 3]]


def test_why_conversations_ended_early_is_told(tmp_path: Path) -> None:
    settings = ["traffic.talk.callers.turns.count=9", "run.horizon_s=3"]
    summary, found = sessions_of(CHATS, tmp_path, *settings)
    assert found["endings"] == {"context_limit": 3}
    page = render(summary).replace("\N{NO-BREAK SPACE}", " ")
    assert "100 % ended where the next turn would not fit the context" in page


def test_what_users_get_done_is_told_for_each_number_of_them(tmp_path: Path) -> None:
    """One user asks at 0 and then every 144 ms from 148 on: 7 times in the first second."""
    arrivals = "traffic.talk.arrivals={kind: steps, steps: [{at_s: 0, users: 1}, {at_s: 1, users: 1}]}"
    summary, found = sessions_of(USERS, tmp_path, arrivals, "run.horizon_s=2")
    one, two = found["levels"]
    assert (one["users"], one["from_s"], one["to_s"]) == (1.0, 0.0, 1.0)
    assert (two["users"], two["from_s"], two["to_s"]) == (2.0, 1.0, 2.0)
    assert one["answered_per_s"]["value"] == 7.0
    assert one["felt"]["mean"]["value"] == pytest.approx((0.048 + 6 * 0.044) / 7)
    assert two["answered_per_s"]["value"] in {13.0, 14.0}
    answered = number(two["answered_per_s"]["value"])
    told = f"  talk: answers per second: 7.00 with 1 users, {answered} with 2 users\n"
    assert told in summary_table(summary)
    (figure,) = [found for found in figures_of(summary) if found.identity == "users"]
    (rate,) = [trace for trace in figure.plot["data"] if trace["meta"]["choice"] == "rate"]
    assert (rate["x"], rate["y"][0]) == ([1, 2], 7)
    assert "What so many closed-loop users get done" in render(summary)


def test_a_smooth_ramp_is_cut_into_a_few_levels(tmp_path: Path) -> None:
    arrivals = "traffic.talk.arrivals={kind: ramp, users: 40, over_s: 1}"
    _, found = sessions_of(USERS, tmp_path, arrivals, "run.horizon_s=2", "run.drain_s=20")
    users = [level["users"] for level in found["levels"]]
    assert len(users) == 12
    assert users == sorted(users)
    assert users[-1] == 40.0


def test_who_waits_for_nothing_has_no_sessions(tmp_path: Path) -> None:
    text = CHATS.replace(", enable_prefix_caching: true", "").replace(
        "    callers: {kind: chats, turns: {kind: fixed, count: 3}, think: {kind: fixed, s: 0.1}}\n", ""
    )
    assert "sessions" not in summary_of(text, tmp_path)["variants"]["base"]


RECORDED = """\
{"session_id": "a", "turn": "0", "prompt_tokens": 50, "output_tokens": 3, "start_ps": 0}
{"session_id": "a", "turn": "1", "prompt_tokens": 60, "output_tokens": 3, "after": ["0"], "delay_ps": 1000}
"""


def test_recorded_sessions_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(RECORDED)
    text = CHATS.replace(", enable_prefix_caching: true", "")
    recorded = [
        "traffic.talk.callers=null",
        "traffic.talk.arrivals={kind: recording, path: a.jsonl}",
        "traffic.talk.lengths={kind: trace}",
    ]
    summary, found = sessions_of(text, tmp_path, *recorded)
    assert (found["callers"], found["began"], found["endings"]) == ("recorded", 1, {"completed": 1})
    assert [turn["asked"] for turn in found["by_turn"]] == [1, 1]
    page = render(summary).replace("\N{NO-BREAK SPACE}", " ")
    assert "1 recorded session of 2 turns on average. Of them 100 % had all their turns." in page
