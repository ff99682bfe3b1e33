"""Users who wait for their answers, worked out by hand: 20 + 2 x 10 ms at the node, 4 ms there and back."""

from pathlib import Path

import pytest

from sim.scenario.load import load
from sim.scenario.source_map import ScenarioError
from tests.sim.callers.test_chats import MS, run, sessions, told
from tests.sim.callers.test_chats import TEXT as CHATS

USERS = "{kind: closed_loop, think: {kind: fixed, s: 0.1}}"
TEXT = (
    CHATS.replace("{kind: chats, turns: {kind: fixed, count: 3}, think: {kind: fixed, s: 0.1}}", USERS)
    .replace("{kind: constant, rate_per_s: 1, offset_s: 0}", "{kind: ramp, users: 1}")
    .replace(", enable_prefix_caching: true", "")
)


def test_a_user_asks_when_he_has_thought_and_until_the_horizon(tmp_path: Path) -> None:
    tables = run(tmp_path, "run.horizon_s=0.4", text=TEXT)
    # 4 ms to connect, 44 for each answer, and 100 to think: the next would be asked at 436 ms.
    rows = told(tables, "session", "turn", "prompt_tokens", "intended_ps", "ended_ps")
    assert rows == [
        (0, 0, 20, 0, 48 * MS),
        (0, 1, 20, 148 * MS, 192 * MS),
        (0, 2, 20, 292 * MS, 336 * MS),
    ]
    (session,) = sessions(tables)
    assert (session["turns"], session["planned"], session["ending"]) == (3, -1, "horizon")
    assert session["ended_ps"] == 400 * MS


def test_a_refused_user_thinks_and_asks_again(tmp_path: Path) -> None:
    tables = run(tmp_path, "models.m.limits={requests_per_minute: 1, tokens_per_minute: 999}", text=TEXT)
    outcomes = [outcome for (outcome,) in told(tables, "outcome")]
    assert outcomes[0] == "completed"
    assert set(outcomes[1:]) == {"rejected_requests_limit"}
    assert len(outcomes) == 1 + -(-(1000 - 148) // 104)  # one every 104 ms from 148 on


def test_users_who_wait_for_nothing_ask_a_thousand_times_a_second_at_most(tmp_path: Path) -> None:
    settings = [
        "traffic.talk.callers.think.s=0",
        "network.places.here.rtt_ms=0",
        "models.m.limits={requests_per_minute: 1, tokens_per_minute: 999}",
        "run.horizon_s=0.1",
    ]
    times = [at // MS for (at,) in told(run(tmp_path, *settings, text=TEXT), "intended_ps")]
    assert times == [0, *range(40, 100)]


@pytest.mark.parametrize(
    ("arrivals", "joined_ms"),
    [
        ("{kind: ramp, users: 4}", [0, 0, 0, 0]),
        ("{kind: ramp, users: 4, over_s: 0.4}", [0, 100, 200, 300]),
        ("{kind: steps, steps: [{at_s: 0.1, users: 1}, {at_s: 0.3, users: 2}]}", [100, 300, 300]),
        ("{kind: steps, steps: [{at_s: 0.1, users: 1}, {at_s: 1.0, users: 2}]}", [100]),
    ],
)
def test_users_join_as_the_ramp_says(tmp_path: Path, arrivals: str, joined_ms: list[int]) -> None:
    tables = run(tmp_path, f"traffic.talk.arrivals={arrivals}", text=TEXT)
    assert [session["began_ps"] // MS for session in sessions(tables)] == joined_ms
    assert [at // MS for at, turn in told(tables, "intended_ps", "turn") if turn == 0] == joined_ms


def test_each_user_has_a_connection_of_his_own(tmp_path: Path) -> None:
    # They come when the connections of those before them stand open, and idle.
    settings = ["traffic.talk.arrivals={kind: ramp, users: 5, over_s: 0.45}"]
    cold = told(run(tmp_path, *settings, text=TEXT), "session", "cold")
    assert sorted(session for session, is_cold in cold if is_cold) == [0, 1, 2, 3, 4]


def test_a_user_of_an_app_waits_for_its_reply(tmp_path: Path) -> None:
    """User and app are beside each other, the calls take 4 + 44 and 44 ms, and he thinks for 100."""
    settings = [
        "apps.bot={place: here, model: m, calls: 2}",
        "traffic.talk.model=null",
        "traffic.talk.app=bot",
        "run.horizon_s=0.4",
    ]
    tables = run(tmp_path, *settings, text=TEXT)
    assert tables.user_requests is not None
    visits = [(row["intended_ps"], row["ended_ps"]) for row in tables.user_requests.to_pylist()]
    assert visits == [(0, 92 * MS), (192 * MS, 280 * MS), (380 * MS, 468 * MS)]
    (session,) = sessions(tables)
    assert (session["turns"], session["ending"]) == (3, "horizon")


def test_what_a_user_draws_does_not_depend_on_how_quick_the_others_are(tmp_path: Path) -> None:
    random = TEXT.replace("{kind: fixed, tokens: 20}", "{kind: geometric, mean: 20}")
    quick, slow = (
        told(
            run(
                tmp_path,
                "traffic.talk.arrivals.users=3",
                f"models.m.hardware.decode_step_ms={ms}",
                text=random,
            ),
            *("session", "turn", "prompt_tokens"),
        )
        for ms in (1, 50)
    )
    assert set(slow) < set(quick)
    assert len({session for session, *_ in slow}) == 3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["traffic.talk.arrivals={kind: poisson, rate_per_s: 1}"], "bring ever more of them"),
        (["traffic.talk.users=4"], "leave `users` out"),
        (["traffic.talk.arrivals.users=0"], "it must be 1 or more"),
        (
            ["traffic.talk.arrivals={kind: steps, steps: [{at_s: 3, users: 1}, {at_s: 3, users: 1}]}"],
            "the one at 3 s follows one at 3 s",
        ),
        (["run.warm_up_s=auto"], "state the seconds"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(tmp_path: Path, settings: list[str], sentence: str) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(TEXT, encoding="utf-8")
    with pytest.raises(ScenarioError) as refusal:
        load(file, settings)
    assert sentence in str(refusal.value)
