from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.platform.rate_limit import ALGORITHMS, PS_PER_MINUTE, Grant, Limiter, Refusal

S = 10**12


def granted(answer: Grant | Refusal) -> Grant:
    assert isinstance(answer, Grant), answer
    return answer


def refused(answer: Grant | Refusal) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer


@pytest.mark.parametrize(
    ("limit", "used", "requested", "wait_ps"),
    [  # 429 messages of OpenAI that users quoted; the texts give the wait in seconds
        (10_000, 8_554, 3_082, 9_816_000_000_000),
        (30_000, 14_567, 24_754, 18_642_000_000_000),
        (30_000, 29_937, 385, 644_000_000_000),
    ],
)
def test_a_token_bucket_waits_as_quoted_messages_say(
    limit: int, used: int, requested: int, wait_ps: int
) -> None:
    limiter = Limiter("token_bucket", 1000, limit)
    granted(limiter.reserve(0, used))
    refusal = refused(limiter.reserve(0, requested))
    assert refusal == Refusal("tokens", limit, used, requested, wait_ps)


def test_a_refused_request_takes_nothing_from_either_limit() -> None:
    limiter = Limiter("token_bucket", 2, 100)
    granted(limiter.reserve(0, 90))
    refused(limiter.reserve(0, 20))
    granted(limiter.reserve(0, 10))
    assert refused(limiter.reserve(0, 1)).cause == "requests"


def test_settling_gives_back_what_was_reserved_and_not_used() -> None:
    limiter = Limiter("token_bucket", 10, 100)
    grant = granted(limiter.reserve(0, 100))
    grant.settle(0, 30)
    assert limiter.headroom(0).remaining_tokens == 70
    grant.settle(0, 60)
    assert limiter.headroom(0).remaining_tokens == 40


def test_what_exceeds_the_limit_itself_is_refused_for_good() -> None:
    for algorithm in ALGORITHMS:
        assert refused(Limiter(algorithm, 10, 100).reserve(0, 101)).retry_after_ps is None


def test_a_bucket_of_sixty_a_minute_lets_one_in_each_second_once_it_is_empty() -> None:
    limiter = Limiter("token_bucket", 60, 10**9)
    for _ in range(60):
        granted(limiter.reserve(0, 1))
    assert refused(limiter.reserve(S - 1, 1)).retry_after_ps == 1
    granted(limiter.reserve(S, 1))
    assert refused(limiter.reserve(S, 1)).retry_after_ps == S


def test_a_sliding_window_frees_a_place_sixty_seconds_after_it_was_taken() -> None:
    limiter = Limiter("sliding_window", 2, 100)
    granted(limiter.reserve(0, 1))
    granted(limiter.reserve(10 * S, 1))
    assert refused(limiter.reserve(20 * S, 1)).retry_after_ps == 40 * S
    granted(limiter.reserve(60 * S, 1))
    assert refused(limiter.reserve(60 * S, 1)).retry_after_ps == 10 * S


def test_a_fixed_window_starts_again_at_the_whole_minute() -> None:
    limiter = Limiter("fixed_window", 1, 100)
    granted(limiter.reserve(59 * S, 1))
    assert refused(limiter.reserve(59 * S, 1)).retry_after_ps == S
    granted(limiter.reserve(60 * S, 1))


def test_settling_after_the_window_has_passed_changes_nothing() -> None:
    for algorithm in ("sliding_window", "fixed_window"):
        limiter = Limiter(algorithm, 10, 100)
        grant = granted(limiter.reserve(0, 100))
        grant.settle(60 * S, 0)
        assert limiter.headroom(60 * S).remaining_tokens == 100


demands = st.lists(
    st.tuples(st.integers(0, 30 * S), st.integers(1, 120), st.integers(0, 120)), min_size=1, max_size=40
)


@given(st.sampled_from(sorted(ALGORITHMS)), demands)
def test_whoever_waits_as_told_is_let_in(algorithm: str, asked: list[tuple[int, int, int]]) -> None:
    limiter, now = Limiter(algorithm, 5, 120), 0
    for gap, tokens, used in asked:
        now += gap
        answer = limiter.reserve(now, tokens)
        if isinstance(answer, Refusal):
            assert answer.retry_after_ps is not None
            assert answer.retry_after_ps >= 1
            now += answer.retry_after_ps
            answer = granted(limiter.reserve(now, tokens))
        answer.settle(now, min(used, tokens))


@given(st.sampled_from(["token_bucket", "sliding_window"]), demands)
def test_no_minute_holds_more_than_two_limits_and_no_window_more_than_one(
    algorithm: str, asked: list[tuple[int, int, int]]
) -> None:
    limiter, now = Limiter(algorithm, 10**6, 120), 0
    taken: list[tuple[int, int]] = [(0, 0)]
    for gap, tokens, _ in asked:
        now += gap
        if isinstance(limiter.reserve(now, tokens), Grant):
            taken.append((now, tokens))
    most = 120 if algorithm == "sliding_window" else 240
    for start, _ in taken:
        assert sum(n for at, n in taken if start <= at < start + PS_PER_MINUTE) <= most


@given(st.sampled_from(sorted(ALGORITHMS)), demands)
def test_what_is_used_never_goes_below_nothing_and_headroom_never_grows_without_time(
    algorithm: str, asked: list[tuple[int, int, int]]
) -> None:
    limiter, now = Limiter(algorithm, 50, 500), 0
    for gap, tokens, used in asked:
        now += gap
        seen = [limiter.headroom(now).remaining_tokens]
        answer = limiter.reserve(now, tokens)
        seen.append(limiter.headroom(now).remaining_tokens)
        assert all(later <= earlier for earlier, later in pairwise(seen))
        if isinstance(answer, Grant):
            answer.settle(now, used)
        assert 0 <= limiter.headroom(now).remaining_tokens <= 500
