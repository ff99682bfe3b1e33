"""Each rate-limit algorithm against its law: a slow oracle, and what can pass in any stretch of time.

Reservations are settled early, late or never, below, at or beyond what was reserved, and time jumps.
"""

from fractions import Fraction
from math import ceil
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.platform.meter import PS_PER_MINUTE
from sim.platform.rate_limit import ALGORITHMS, Refusal
from tests.support.limit_oracles import ORACLES, Entry
from tests.support.limiting import Let, Owner

S = 10**12
LIMIT = 60
MANY = 10**6
"""Requests a minute: not what limits here."""


class Step(NamedTuple):
    gap_ps: int
    settles: int | None
    """Which of the open reservations ends, counted from the oldest; None: a request comes."""
    tokens: int


gaps = st.one_of(
    st.just(0),
    st.integers(0, 9).map(lambda seconds: seconds * S),
    st.sampled_from([1, 60 * S - 1, 60 * S, 60 * S + 1, 600 * S]),
    st.integers(0, 90 * S),
)
steps = st.builds(
    Step,
    gaps,
    st.none() | st.integers(0, 5),
    st.one_of(st.integers(1, 20), st.integers(1, LIMIT), st.sampled_from([LIMIT + 1, 7 * LIMIT + 3])),
)
stories = st.lists(steps, min_size=1, max_size=30)
algorithms = pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))


class Open(NamedTuple):
    grant: Let
    entry: Entry


@algorithms
@settings(max_examples=150)
@given(stories)
def test_a_limiter_admits_and_counts_what_its_whole_history_says(algorithm: str, story: list[Step]) -> None:
    limiter, oracle = Owner(algorithm, MANY, LIMIT), ORACLES[algorithm](LIMIT)
    now, waiting = 0, list[Open]()
    for step in story:
        now += step.gap_ps
        if step.settles is not None:
            if waiting:
                grant, entry = waiting.pop(step.settles % len(waiting))
                grant.settle(now, step.tokens - 1)  # none of it used, too
                oracle.settle(now, entry, step.tokens - 1)
        else:
            fits = oracle.admits(now, step.tokens)
            answer = limiter.reserve(now, step.tokens)
            assert isinstance(answer, Let) == fits
            if isinstance(answer, Let):
                waiting.append(Open(answer, oracle.reserve(now, step.tokens)))
            else:
                assert answer.used == ceil(oracle.in_use(now))
        in_use = ceil(oracle.in_use(now))
        assert limiter.tokens.used(now) == in_use
        assert limiter.room(now).remaining == max(0, LIMIT - in_use)


class Taken(NamedTuple):
    """What the limiter was told of a request, by the time that it was told."""

    at_ps: int
    reserved: int
    settled: list[tuple[int, int]]
    """(when, tokens used), of at most one settlement."""

    def counted(self, until_ps: int) -> list[tuple[int, int]]:
        """(when, tokens) as known at `until_ps`: what was reserved, or used of it, and any excess."""
        if not self.settled or self.settled[0][0] > until_ps:
            return [(self.at_ps, self.reserved)]
        (when, used) = self.settled[0]
        return [(self.at_ps, min(self.reserved, used)), (when, max(0, used - self.reserved))]


def admissions(algorithm: str, story: list[Step]) -> list[list[tuple[int, int]]]:
    """For each admission what passed until then, itself included, as known at that time."""
    limiter, now = Owner(algorithm, MANY, LIMIT), 0
    taken, unsettled, seen = list[Taken](), list[tuple[Let, Taken]](), []
    for step in story:
        now += step.gap_ps
        if step.settles is not None and unsettled:
            grant, request = unsettled.pop(step.settles % len(unsettled))
            grant.settle(now, step.tokens)
            request.settled.append((now, step.tokens))
        answer = limiter.reserve(now, min(step.tokens, LIMIT))
        if isinstance(answer, Let):
            request = Taken(now, min(step.tokens, LIMIT), [])
            taken.append(request)
            unsettled.append((answer, request))
            seen.append([(now, 0)] + [part for one in taken for part in one.counted(now)])
    return seen


def most_until(passed: list[tuple[int, int]], begins: list[int]) -> list[tuple[int, int]]:
    """(begin, tokens from then on) for each of `begins`."""
    return [(begin, sum(tokens for at, tokens in passed if at >= begin)) for begin in begins]


@given(stories)
def test_a_bucket_passes_a_burst_and_its_refill_in_any_stretch_of_time(story: list[Step]) -> None:
    for passed in admissions("token_bucket", story):
        now = passed[0][0]
        for begin, tokens in most_until(passed, [at for at, _ in passed]):
            assert tokens <= LIMIT + Fraction(LIMIT * (now - begin), PS_PER_MINUTE)


@given(stories, st.integers(1, 4))
def test_a_sliding_window_passes_its_limit_in_any_sixty_seconds(story: list[Step], minutes: int) -> None:
    for passed in admissions("sliding_window", story):
        begin = passed[0][0] - minutes * PS_PER_MINUTE + 1
        ((_, tokens),) = most_until(passed, [begin])
        assert tokens <= minutes * LIMIT


@given(stories, st.integers(1, 4))
def test_a_fixed_window_passes_its_limit_in_any_minutes_of_the_clock(story: list[Step], minutes: int) -> None:
    for passed in admissions("fixed_window", story):
        begin = (passed[0][0] // PS_PER_MINUTE - minutes + 1) * PS_PER_MINUTE
        ((_, tokens),) = most_until(passed, [begin])
        assert tokens <= minutes * LIMIT


@algorithms
@given(stories, st.integers(1, LIMIT))
def test_whoever_waits_as_told_is_let_in_and_a_picosecond_earlier_is_not(
    algorithm: str, story: list[Step], tokens: int
) -> None:
    limiter, now = Owner(algorithm, MANY, LIMIT), 0
    grants = list[Let]()
    for step in story:
        now += step.gap_ps
        if step.settles is not None and grants:
            grants.pop(step.settles % len(grants)).settle(now, step.tokens)
        elif isinstance(answer := limiter.reserve(now, min(step.tokens, LIMIT)), Let):
            grants.append(answer)
    refusal = limiter.reserve(now, tokens)
    if isinstance(refusal, Refusal):
        assert refusal.retry_after_ps is not None
        assert refusal.retry_after_ps >= 1
        room, now = limiter.room(now), now + refusal.retry_after_ps
        assert room.reset_ps >= refusal.retry_after_ps
        assert isinstance(limiter.reserve(now - 1, tokens), Refusal)
        assert isinstance(limiter.reserve(now, tokens), Let)


@algorithms
@given(stories)
def test_when_the_reset_is_over_nothing_is_used_and_not_a_picosecond_earlier(
    algorithm: str, story: list[Step]
) -> None:
    limiter, now = Owner(algorithm, MANY, LIMIT), 0
    for step in story:
        now += step.gap_ps
        answer = limiter.reserve(now, min(step.tokens, LIMIT))
        if isinstance(answer, Let) and step.settles is not None:
            answer.settle(now, step.tokens)
    room = limiter.room(now)
    if room.reset_ps:
        assert limiter.room(now + room.reset_ps - 1).remaining < LIMIT
    assert limiter.room(now + room.reset_ps).remaining == LIMIT
