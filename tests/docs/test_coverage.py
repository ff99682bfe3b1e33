"""A small part of `make coverage`: queues by their recursions, against what is known of them."""

import numpy as np
import pytest

from docs.coverage.queues import QUEUES, busy_on_off, erlang_c
from docs.coverage.study import Case, Tally, tallies_of
from docs.coverage.table import table
from reports.statistics import Estimate, Refused

pytestmark = pytest.mark.theory


def test_the_truths_of_the_queues_agree_with_published_ones() -> None:
    # Erlang C of 4 servers at 3 erlangs: 0.5094 (tables). M/D/1 at 0.5 has half of M/M/1's mean wait.
    assert erlang_c(0.75) == pytest.approx(0.5094, abs=1e-4)
    assert QUEUES["M/D/1"].mean(0.5) == 0.25
    # P(no wait) of M/D/1 is 1 - load, and P(wait <= D) is (1 - load) e^load: Erlang 1909.
    beyond = QUEUES["M/D/1"].beyond
    assert beyond is not None
    assert beyond(0.499999, 0.5) == pytest.approx(1 - 0.5 * np.exp(0.5), abs=1e-5)
    # Of GI/M/1 the root lies between that of a deterministic stream and 1.
    assert 0.5 < busy_on_off(0.5) < 1


@pytest.mark.parametrize("name", sorted(QUEUES))
def test_the_recursions_draw_what_the_formulas_say(name: str) -> None:
    queue = QUEUES[name]
    drawn = queue.draw(np.random.default_rng(5), 60_000, 0.6)
    assert drawn.mean() == pytest.approx(queue.mean(0.6), rel=0.08)
    if queue.beyond is not None:
        assert np.quantile(drawn, 0.95) == pytest.approx(queue.quantile(0.6, 0.95), rel=0.08)


@pytest.mark.parametrize(
    "case", [Case("M/D/1", 0.7, 10, 1_600), Case("M/M/4", 0.6, 10, 1_000), Case("on-off/M/1", 0.5, 1, 24_000)]
)
def test_intervals_hold_the_truth_as_often_as_they_say(case: Case) -> None:
    """40 of 95 %: but for one case in a thousand 33 or more hold it."""
    tallies = tallies_of(case, 40, 1)
    for name in ("mean", "p95"):
        tally = tallies[name]
        assert tally.given >= 36, name
        assert tally.held >= 33 / 40 * tally.given, name
        assert abs(np.mean(tally.errors)) < 0.03, name
        assert np.median(tally.half_widths) < 0.35, name


def test_a_tally_counts_what_was_missed_and_what_was_refused() -> None:
    tally = Tally(10.0)
    for low, high in ((9.0, 11.0), (10.5, 11.0), (8.0, 9.0)):
        tally.add(Estimate((low + high) / 2, low, high, 5))
    tally.add(Estimate(9.0, None, None, 5, "The interval of a p95 needs about 1,500 requests: few."))
    tally.add(Refused("Too few."))
    assert (tally.given, tally.held, tally.too_low, tally.too_high, tally.needed) == (3, 1, 1, 1, [1500])
    cells = table([(Case("q", 0.5, 1, 9), 4, {"p95": tally})]).splitlines()[-1]
    assert "| 33 % of 75 %, −4.4 % |" in cells  # noqa: RUF001 a minus sign
