"""A platform forgets limiters that matter no more, and nobody can tell."""

from dataclasses import replace
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from sim.platform.budget import FORGET_AT, SCOPES, Budget
from sim.platform.rate_limit import ALGORITHMS, Refusal, Room
from tests.support.limiting import Let, Owner
from traffic.request import Request

S = 10**12
MINUTE = 60 * S


def asks(budget: Budget, owner: str, now_ps: int) -> Owner:
    found = budget.limiter(asked_by(owner), now_ps)
    assert isinstance(found, Owner)
    return found


def budget_of(algorithm: str) -> Budget:
    return Budget(lambda: Owner(algorithm, 3, 100))


def asked_by(owner: str) -> Request:
    return Request(0, "m", 1, 1, None, 0, "here", "me", owner, owner, "source", "tenant")


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, S, 20 * S, MINUTE - 1, MINUTE, 3 * MINUTE]),
        st.sampled_from("abcd"),
        st.integers(1, 100),
        st.integers(0, 250),  # what was really used
        st.integers(0, 4),  # steps after which that is known
    ),
    max_size=40,
)
Answer = Refusal | tuple[int, Room]


@given(algorithm=st.sampled_from(sorted(ALGORITHMS)), steps=STEPS)
def test_limits_answer_alike_whatever_is_forgotten(
    algorithm: str, steps: list[tuple[int, str, int, int, int]]
) -> None:
    forgetful, faithful = budget_of(algorithm), budget_of(algorithm)
    forgetful._forget_at = 0
    with patch("sim.platform.budget.FORGET_AT", 0):
        assert answers(forgetful, steps) == answers(faithful, steps)


def answers(budget: Budget, steps: list[tuple[int, str, int, int, int]]) -> list[Answer]:
    now_ps = 0
    found: list[Answer] = []
    open_grants: list[tuple[int, Let, int]] = []
    for number, (pause_ps, owner, tokens, used, known_after) in enumerate(steps):
        now_ps += pause_ps
        for due, grant, really in [one for one in open_grants if one[0] <= number]:
            grant.settle(now_ps, really)
            open_grants.remove((due, grant, really))
        limiter = asks(budget, owner, now_ps)
        answer = limiter.reserve(now_ps, tokens)
        if isinstance(answer, Let):
            open_grants.append((number + known_after + 1, answer, used))
            found.append((number, limiter.room(now_ps)))
        else:
            found.append(answer)
    return found


def test_twenty_thousand_keys_that_ask_once_leave_few_limiters_behind() -> None:
    budget, most = budget_of("token_bucket"), 0
    for number in range(20_000):
        now_ps = number * S // 10  # ten a second, of which each counts for at most a minute
        limiter = asks(budget, f"key {number}", now_ps)
        grant = limiter.reserve(now_ps, 50)
        assert isinstance(grant, Let)
        grant.settle(now_ps, 50)
        most = max(most, len(budget.limiters))
    assert most <= max(FORGET_AT, 2 * 600) + 1


def test_a_limiter_is_kept_while_an_answer_is_awaited_that_it_will_count() -> None:
    budget = budget_of("token_bucket")
    limiter = asks(budget, "a", 0)
    grant = limiter.reserve(0, 10)
    assert isinstance(grant, Let)
    assert not limiter.is_as_new(10 * MINUTE)
    grant.settle(10 * MINUTE, 70)
    assert not limiter.is_as_new(10 * MINUTE)
    assert limiter.is_as_new(11 * MINUTE)


def test_a_limiter_is_kept_for_each_of_two_answers_that_are_awaited() -> None:
    limiter = asks(budget_of("token_bucket"), "a", 0)
    first, second = limiter.reserve(0, 10), limiter.reserve(0, 10)
    assert isinstance(first, Let)
    assert isinstance(second, Let)
    first.settle(0, 10)
    assert not limiter.is_as_new(10 * MINUTE)
    second.settle(0, 10)
    assert limiter.is_as_new(10 * MINUTE)


def test_limits_are_of_a_project_or_of_a_key() -> None:
    first, second = (replace(asked_by("team"), key=key) for key in ("one", "two"))
    together, apart = budget_of("token_bucket"), Budget(lambda: Owner("token_bucket", 3, 100), SCOPES["key"])
    assert together.limiter(first, 0) is together.limiter(second, 0)
    assert apart.limiter(first, 0) is not apart.limiter(second, 0)
    assert set(apart.limiters) == {"one", "two"}


def test_those_that_matter_no_more_go_when_there_are_twice_as_many_as_mattered() -> None:
    budget = budget_of("token_bucket")

    def ask(numbers: range, now_ps: int) -> None:
        for number in numbers:
            grant = asks(budget, str(number), now_ps).reserve(now_ps, 50)
            assert isinstance(grant, Let)
            grant.settle(now_ps, 50)

    ask(range(FORGET_AT + 1), 0)  # the last one has the others looked through, and all of them matter
    ask(range(FORGET_AT + 1, 2 * FORGET_AT), 3 * MINUTE)
    assert len(budget.limiters) == 2 * FORGET_AT
    ask(range(2 * FORGET_AT, 2 * FORGET_AT + 1), 3 * MINUTE)
    assert len(budget.limiters) == FORGET_AT
