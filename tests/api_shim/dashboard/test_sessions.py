"""Who gets in, and for how long."""

import pytest

from api_shim.dashboard.sessions import (
    GUESSES_S,
    MOST_ADDRESSES,
    MOST_GUESSES,
    MOST_SESSIONS,
    SESSION_S,
    Sessions,
    TooManyGuessesError,
    WrongTokenError,
)

HERE, THERE = "127.0.0.1", "192.0.2.7"


def guess(sessions: Sessions, times: int, address: str = HERE, now_s: float = 0.0) -> None:
    for _ in range(times):
        with pytest.raises(WrongTokenError):
            sessions.sign_in("a guess", address, now_s)


def test_the_token_opens_a_session_that_ends_after_twelve_hours() -> None:
    sessions = Sessions("token")
    cookie = sessions.sign_in("token", HERE, 100.0)
    assert sessions.find(cookie, 100.0 + 12 * 3600 - 1) is not None
    assert sessions.find(cookie, 100.0 + 12 * 3600) is None
    assert sessions.find(cookie, 100.0) is None  # it has been forgotten
    assert SESSION_S == 12 * 3600


def test_nothing_else_opens_one() -> None:
    sessions = Sessions("token")
    for wrong in ("", "toke", "token ", "Token", "tokenn", "\u00fc"):
        with pytest.raises(WrongTokenError):
            sessions.sign_in(wrong, HERE, 0.0)
    assert sessions.find(None, 0.0) is None
    assert sessions.find("token", 0.0) is None


def test_who_signs_out_is_out_and_others_stay() -> None:
    sessions = Sessions("token")
    one, other = (sessions.sign_in("token", HERE, 0.0) for _ in range(2))
    assert one != other
    sessions.sign_out(one)
    assert sessions.find(one, 0.0) is None
    assert sessions.find(other, 0.0) is not None


def test_after_ten_wrong_tokens_an_address_waits_for_the_rest_of_a_minute() -> None:
    sessions = Sessions("token")
    guess(sessions, MOST_GUESSES, now_s=5.0)
    with pytest.raises(TooManyGuessesError) as refused:
        sessions.sign_in("token", HERE, 25.0)
    assert refused.value.retry_after_s == 40.0
    assert sessions.sign_in("token", THERE, 25.0)
    assert sessions.sign_in("token", HERE, 5.0 + GUESSES_S)


def test_a_right_token_wipes_out_the_wrong_ones_before() -> None:
    sessions = Sessions("token")
    for _ in range(3):
        guess(sessions, MOST_GUESSES - 1)
        sessions.sign_in("token", HERE, 0.0)


def test_sessions_and_addresses_that_are_kept_have_a_bound() -> None:
    sessions = Sessions("token")
    cookies = [sessions.sign_in("token", HERE, 0.0) for _ in range(MOST_SESSIONS + 1)]
    assert sessions.find(cookies[0], 0.0) is None
    assert all(sessions.find(cookie, 0.0) for cookie in cookies[1:])
    guess(sessions, MOST_GUESSES, "first")
    for number in range(MOST_ADDRESSES):
        guess(sessions, 1, f"address {number}")
    guess(sessions, 1, "first")  # has been forgotten, and so is asked again


def test_a_form_is_of_a_session_by_its_own_secret() -> None:
    sessions = Sessions("token")
    one, other = (sessions.find(sessions.sign_in("token", HERE, 0.0), 0.0) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.sent_by(one.csrf)
    assert not one.sent_by(other.csrf)
    assert not one.sent_by("")
    assert not one.sent_by("\u00fc")
