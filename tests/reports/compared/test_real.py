"""Verdicts over all differences together: by hand, and how often nothing is called something."""

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.compared.real import CANNOT_TELL, NOISE, REAL, SAME, Claim, Judged, judged
from reports.statistics import Answer, Estimate, Refused, interval_of

HALF = {0.95: 1.0, 0.975: 1.5, 0.9833: 1.8, 0.9875: 2.0}
"""Half of an interval by its level: of 1, 2, 3 and 4 differences that are open."""


def claim(value: float, margin: float = 0.5) -> Claim:
    def at(level: float) -> Answer:
        half = HALF[round(level, 4)]
        return Estimate(value, value - half, value + half, 10)

    return Claim(at, margin, identical=False)


def verdicts(*claims: Claim) -> list[str]:
    return [one.verdict for one in judged(claims)]


def test_what_is_found_leaves_the_others_a_milder_level() -> None:
    assert verdicts(claim(1.2), claim(-1.9), claim(5), claim(1.6)) == [REAL] * 4
    # Once 5 is found, 1.7 stands against 1.8, and with it fall all that are smaller, though each by itself
    # would leave 0 out.
    assert verdicts(claim(1.2), claim(-1.7), claim(5), claim(1.6)) == [
        CANNOT_TELL,
        CANNOT_TELL,
        REAL,
        CANNOT_TELL,
    ]
    assert verdicts(claim(1.2)) == [REAL]


def test_a_difference_is_noise_where_its_interval_hides_nothing_that_matters() -> None:
    assert verdicts(claim(0.2, margin=1.2)) == [NOISE]
    assert verdicts(claim(0.2, margin=1.1)) == [CANNOT_TELL]
    assert judged([claim(1.6, margin=2.6)]) == [Judged(REAL, small=True)]
    assert judged([claim(1.6, margin=2.5)]) == [Judged(REAL, small=False)]


def test_without_an_interval_nothing_can_be_told_and_it_costs_the_others_nothing() -> None:
    bare = Claim(lambda _: Estimate(3.0, None, None, 10), 5.0, identical=False)
    refused = Claim(lambda _: Refused("Too few."), 5.0, identical=False)
    twin = Claim(lambda _: Estimate(0.0, None, None, 10), 5.0, identical=True)
    assert verdicts(bare, refused, twin, claim(1.2)) == [CANNOT_TELL, CANNOT_TELL, SAME, REAL]


def of_values(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Callable[[float], Answer]:
    return lambda level: interval_of(values, len(values), level)


def test_of_comparisons_of_nothing_at_most_one_in_twenty_finds_anything() -> None:
    """600 comparisons of 12 numbers over 5 replications: 30 are expected to, and by 95 % each 276 would."""
    rng = np.random.default_rng(7)
    wrong = apart = 0
    for _ in range(600):
        sides = rng.normal(size=(12, 5))
        claims = [Claim(of_values(values), 0.0, identical=False) for values in sides]
        wrong += any(one.verdict == REAL for one in judged(claims))
        apart += any(judged([one])[0].verdict == REAL for one in claims)
    assert 15 <= wrong <= 46  # 30 ± 3 standard deviations
    assert apart > 230


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=4))
def test_signs_and_order_do_not_matter(values: list[float]) -> None:
    claims = [claim(value) for value in values]
    assert verdicts(*reversed(claims)) == verdicts(*claims)[::-1]
    assert verdicts(*(claim(-value) for value in values)) == verdicts(*claims)
