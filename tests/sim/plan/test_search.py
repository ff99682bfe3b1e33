"""Which values a search looks at: against looking at all of them, over any order of verdicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.targets import FAIL, INCONCLUSIVE, PASS
from sim.plan.search import Seen, answer_of, disorders, wanted

LETTERS = {"-": FAIL, "?": INCONCLUSIVE, "+": PASS}


def searched(verdicts: str, hint: int, rounds_to_decide: int = 0) -> tuple[dict[int, Seen], int]:
    """What was seen at last, and how often a place was looked at. An undecided one stays so for good."""
    seen: dict[int, Seen] = {}
    tries: dict[int, int] = {}
    while places := wanted(seen, len(verdicts), hint):
        assert len(set(places)) == len(places)
        assert all(not seen[place].final for place in places if place in seen)
        for place in places:
            tries[place] = tries.get(place, 0) + 1
            verdict = LETTERS[verdicts[place]]
            final = verdict != INCONCLUSIVE or tries[place] > rounds_to_decide
            seen[place] = Seen(verdict, final)
    return seen, sum(tries.values())


@st.composite
def orders(draw: st.DrawFn) -> tuple[str, int]:
    missed, open_, met = (draw(st.integers(0, most)) for most in (60, 3, 60))
    verdicts = "-" * missed + "?" * open_ + "+" * met or "-"
    return verdicts, draw(st.integers(0, len(verdicts) - 1))


@given(orders(), st.integers(0, 2))
def test_the_answer_is_the_first_that_meets_and_its_neighbours_are_known(
    order: tuple[str, int], rounds: int
) -> None:
    verdicts, hint = order
    seen, looks = searched(verdicts, hint, rounds)
    first = verdicts.find("+")
    assert answer_of(seen) == (None if first < 0 else first)
    if first > 0:
        assert (first - 1) in seen
    if 0 <= first < len(verdicts) - 1:
        assert (first + 1) in seen
    if first < 0:
        assert (len(verdicts) - 1) in seen  # the best there is was looked at
    assert looks <= 30  # of up to 123 values, however far off the hint is
    assert disorders(seen) == []


def test_a_right_hint_takes_three_looks_and_an_undecided_neighbour_more() -> None:
    assert searched("-----+++++", 5) == (
        {4: Seen(FAIL, True), 5: Seen(PASS, True), 6: Seen(PASS, True)},
        3,
    )
    seen, looks = searched("----?+++++", 5, rounds_to_decide=2)
    assert (seen[4], looks) == (Seen(INCONCLUSIVE, True), 5)


def test_what_says_nothing_comes_again_before_anything_else() -> None:
    seen = {4: Seen(FAIL, True), 5: Seen(INCONCLUSIVE, False, True), 6: Seen(INCONCLUSIVE, False, True)}
    assert wanted(seen, 10, 5) == [5, 6]
    told = {**seen, 5: Seen(PASS, True), 6: Seen(PASS, True)}
    assert wanted(told, 10, 5) == []
    # With as many as there may be, it counts as one that does not meet them.
    assert wanted({**told, 5: Seen(INCONCLUSIVE, True, True)}, 10, 5) == [7]


@pytest.mark.parametrize(
    ("verdicts", "hint", "found"),
    [("--+-+++", 3, [(2, 3)]), ("+-", 0, [(0, 1)]), ("--++-", 2, []), ("-+-", 1, [(1, 2)])],
)
def test_what_breaks_the_order_is_told_where_it_was_looked_at(
    verdicts: str, hint: int, found: list[tuple[int, int]]
) -> None:
    seen, _ = searched(verdicts, hint)
    assert disorders(seen) == found
