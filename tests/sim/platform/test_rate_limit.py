import gc

import pytest

from sim.platform.rate_limit import ALGORITHMS, Refusal
from sim.platform.token_bucket import Layer
from tests.support.limiting import Let, Owner

S = 10**12


def granted(answer: Let | Refusal) -> Let:
    assert isinstance(answer, Let), answer
    return answer


def refused(answer: Let | Refusal) -> Refusal:
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
    limiter = Owner("token_bucket", 1000, limit)
    granted(limiter.reserve(0, used))
    refusal = refused(limiter.reserve(0, requested))
    assert refusal == Refusal("tokens", limit, used, requested, wait_ps)


def test_a_refused_request_takes_nothing_from_either_limit() -> None:
    limiter = Owner("token_bucket", 2, 100)
    granted(limiter.reserve(0, 90))
    refused(limiter.reserve(0, 20))
    granted(limiter.reserve(0, 10))
    assert refused(limiter.reserve(0, 1)).cause == "requests"


def test_settling_gives_back_what_was_reserved_and_not_used() -> None:
    limiter = Owner("token_bucket", 10, 100)
    grant = granted(limiter.reserve(0, 100))
    grant.settle(0, 30)
    assert limiter.room(0).remaining == 70


def test_what_exceeds_the_limit_itself_is_refused_for_good() -> None:
    for algorithm in ALGORITHMS:
        assert refused(Owner(algorithm, 10, 100).reserve(0, 101)).retry_after_ps is None


def test_a_bucket_of_sixty_a_minute_lets_one_in_each_second_once_it_is_empty() -> None:
    limiter = Owner("token_bucket", 60, 10**9)
    for _ in range(60):
        granted(limiter.reserve(0, 1))
    assert refused(limiter.reserve(S - 1, 1)).retry_after_ps == 1
    granted(limiter.reserve(S, 1))
    assert refused(limiter.reserve(S, 1)).retry_after_ps == S


def test_a_sliding_window_frees_a_place_sixty_seconds_after_it_was_taken() -> None:
    limiter = Owner("sliding_window", 2, 100)
    granted(limiter.reserve(0, 1))
    granted(limiter.reserve(10 * S, 1))
    assert refused(limiter.reserve(20 * S, 1)).retry_after_ps == 40 * S
    granted(limiter.reserve(60 * S, 1))
    assert refused(limiter.reserve(60 * S, 1)).retry_after_ps == 10 * S


def test_a_fixed_window_starts_again_at_the_whole_minute() -> None:
    limiter = Owner("fixed_window", 1, 100)
    granted(limiter.reserve(59 * S, 1))
    assert refused(limiter.reserve(59 * S, 1)).retry_after_ps == S
    granted(limiter.reserve(60 * S, 1))


def test_settling_after_the_window_has_passed_changes_nothing() -> None:
    for algorithm in ("sliding_window", "fixed_window"):
        limiter = Owner(algorithm, 10, 100)
        grant = granted(limiter.reserve(0, 100))
        grant.settle(60 * S, 0)
        assert limiter.room(60 * S).remaining == 100


def test_a_bucket_gives_back_only_what_has_not_refilled_meanwhile() -> None:
    # 1,000 at once; of them 983.33 have refilled after 59 s, and another takes 983. If the first turns out to
    # have used nothing, the bucket was full all the time: 983 are in use, and 17 are free, not 1,000.
    limiter = Owner("token_bucket", 10, 1000)
    first = granted(limiter.reserve(0, 1000))
    granted(limiter.reserve(59 * S, 983))
    first.settle(59 * S, 0)
    assert limiter.room(59 * S).remaining == 17


def test_a_bucket_gives_back_all_where_the_rest_was_in_use_throughout() -> None:
    # 500 + 500 at once, 1,000 refill in a minute. After 15 s 750 are in use. The second never used its 500:
    # had it not been there, 250 would be in use.
    limiter = Owner("token_bucket", 10, 1000)
    granted(limiter.reserve(0, 500))
    second = granted(limiter.reserve(0, 500))
    second.settle(15 * S, 0)
    assert limiter.room(15 * S).remaining == 750


def test_a_bucket_gives_back_out_of_what_an_earlier_reservation_left_in_use() -> None:
    # 600 and 400 at once. After 30 s 500 have refilled, and 500 are in use. The second never used its 400:
    # had it not been there, 100 of the 600 would be in use.
    limiter = Owner("token_bucket", 10, 1000)
    first, second = granted(limiter.reserve(0, 600)), granted(limiter.reserve(0, 400))
    limiter.room(30 * S)
    first.settle(30 * S, 600)
    second.settle(30 * S, 0)
    assert limiter.room(30 * S).remaining == 900


def test_what_was_used_beyond_a_reservation_drains_from_a_bucket_like_all_else() -> None:
    limiter = Owner("token_bucket", 10, 1000)
    granted(limiter.reserve(0, 10)).settle(120 * S, 2510)
    assert refused(limiter.reserve(120 * S, 500)).retry_after_ps == 120 * S


def test_what_was_used_beyond_a_reservation_counts_after_its_minute_in_a_sliding_window() -> None:
    # 2,500 are owed at 70 s: 1,000 are charged then, 1,000 when those expire, 500 with the next.
    limiter = Owner("sliding_window", 10, 1000)
    granted(limiter.reserve(0, 10)).settle(70 * S, 2510)
    refusal = refused(limiter.reserve(70 * S, 500))
    assert (refusal.used, refusal.retry_after_ps) == (2500, 120 * S)
    assert refused(limiter.reserve(70 * S, 501)).retry_after_ps == 180 * S
    granted(limiter.reserve(190 * S, 500))
    assert refused(limiter.reserve(190 * S, 1)).retry_after_ps == 60 * S


def test_what_was_used_beyond_a_reservation_begins_the_next_minutes_of_a_fixed_window() -> None:
    # 2,500 are charged in the second minute, which leaves 1,500 to the third and 500 to the fourth.
    limiter = Owner("fixed_window", 10, 1000)
    granted(limiter.reserve(0, 10)).settle(70 * S, 2510)
    assert refused(limiter.reserve(70 * S, 500)).retry_after_ps == 110 * S
    granted(limiter.reserve(180 * S, 500))
    assert refused(limiter.reserve(180 * S, 1)).retry_after_ps == 60 * S


def test_thirty_small_reservations_do_not_lift_a_limit() -> None:
    # One request a minute that reserves 2 of 1,000 and uses 1,002, known a second after its minute.
    for algorithm in ALGORITHMS:
        limiter, used = Owner(algorithm, 10, 1000), 0
        for minute in range(30):
            now = minute * 61 * S
            answer = limiter.reserve(now, 2)
            if isinstance(answer, Let):
                answer.settle(now + 61 * S, 1002)
                used += 1002
        assert used == 15 * 1002, algorithm


def test_a_long_debt_is_paid_at_once_however_long_nobody_asked() -> None:
    limiter = Owner("sliding_window", 10, 1)
    granted(limiter.reserve(0, 1)).settle(0, 10**12)
    assert refused(limiter.reserve(0, 1)).retry_after_ps == 10**12 * 60 * S
    assert refused(limiter.reserve(10**11 * 60 * S, 1)).used == 9 * 10**11
    granted(limiter.reserve(10**12 * 60 * S, 1))


def test_a_bucket_keeps_no_more_layers_than_open_reservations_need() -> None:
    # Each request leaves a little in use that no later refill reaches.
    limiter, opened = Owner("token_bucket", 10**6, 10**6), list[Let]()
    for i in range(3000):
        opened.append(granted(limiter.reserve(i * 60 * S // 10**6, 2)))
        if len(opened) > 20:
            opened.pop(i % 20).settle(i * 60 * S // 10**6, 2 - i % 2)
    gc.collect()  # the piles of earlier tests are rings
    layers = sum(isinstance(thing, Layer) for thing in gc.get_objects())
    assert limiter.tokens.used(3000 * 60 * S // 10**6) > 0
    assert layers <= 2 * len(opened) + 2  # its own, and one that it sank into
