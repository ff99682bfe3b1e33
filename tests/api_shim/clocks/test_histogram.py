import re

import pytest

from api_shim.clocks.histogram import Histogram
from api_shim.clocks.pacing import Pacing

US, MS = 10**6, 10**9


def test_quantiles_are_right_to_a_sixteenth_of_a_decade() -> None:
    histogram = Histogram()
    for microseconds in range(1, 101):
        histogram.observe(microseconds * US)
    median = histogram.quantile(0.5)
    assert median is not None
    assert 50 * US <= median <= 58 * US, "one bucket is 15.5 % wide"
    assert histogram.quantile(1.0) == 100 * US
    assert (histogram.total, histogram.sum) == (100, 5050 * US)


def test_early_counts_as_on_time_and_the_hopelessly_late_still_count() -> None:
    histogram = Histogram()
    histogram.observe(-5)
    histogram.observe(10**19)
    assert (histogram.total, histogram.max) == (2, 10**19)
    assert histogram.quantile(0.99) == 10**19


def test_nothing_observed_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None


@pytest.mark.parametrize(("late_ms", "paced"), [(0.9, True), (1.5, False)])
def test_a_run_is_paced_while_lateness_stays_within_a_tenth_of_the_ttft(late_ms: float, paced: bool) -> None:
    pacing = Pacing(content_is_paced=True)
    for _ in range(100):
        pacing.ttft.observe(10 * MS)
        pacing.lateness.observe(round(late_ms * MS))
    assert pacing.paced is paced
    assert (pacing.why_not() is None) is paced


def test_lateness_of_seconds_is_said_without_an_exponent() -> None:
    pacing = Pacing(content_is_paced=True)
    pacing.ttft.observe(10 * MS)
    pacing.lateness.observe(4870 * MS)
    said = re.search(r"answers were ([0-9,]+) ms late", str(pacing.why_not()))
    assert said
    assert float(said[1].replace(",", "")) == pytest.approx(4870, rel=0.02)


def test_words_from_upstream_are_never_paced() -> None:
    assert "upstream" in str(Pacing(content_is_paced=False).why_not())


def test_a_server_that_was_asked_nothing_has_nothing_to_be_blamed_for() -> None:
    assert Pacing(content_is_paced=True).paced
