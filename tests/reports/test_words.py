import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.words import (
    PER_SECOND,
    PERCENT,
    change,
    count,
    duration,
    duration_scale,
    limit,
    number,
    plural,
    share,
    with_error,
    with_interval,
)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0612, "61.2 ms"),
        (0.00084, "840 µs"),
        (1.3449, "1.34 s"),
        (0.0009996, "1.00 ms"),  # 999.6 µs has no three digits of its own
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (12.3456, "12.3 s"),
        (1234.5678, "1,235 s"),
        (8.4e-7, "840 ns"),
        (0.0, "0 ms"),
        (-0.0143, "−14.3 ms"),  # noqa: RUF001 a minus sign
    ],
)
def test_a_duration_reads_in_the_unit_that_fits_it(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "low", "high", "shown", "interval"),
    [
        (0.061234, 0.06083, 0.06164, "61.2 ms", "60.8–61.6"),  # noqa: RUF001 an en dash
        (0.0004, -0.0012, 0.002, "0.4 ms", "−1.2 to 2.0"),  # noqa: RUF001 a minus sign
        (0.1062, 0.1052, 0.1072, "106.2 ms", "105.2–107.2"),  # noqa: RUF001 an en dash
        (0.0971, 0.0921, 0.1021, "97 ms", "92–102"),  # noqa: RUF001 an en dash
        (0.0971, None, None, "97.1 ms", ""),
    ],
)
def test_an_interval_sets_the_decimals(
    value: float, low: float | None, high: float | None, shown: str, interval: str
) -> None:
    found = with_interval(value, low, high, duration_scale(value, high or 0.0))
    assert (found.with_unit(), found.interval) == (shown, interval)


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (0.0143, 0.0139, 0.0147, "14.3 ± 0.4 ms"),
        (0.01427, 0.01413, 0.01441, "14.27 ± 0.14 ms"),
        (0.0143, 0.0131, 0.0180, "14 ms (13–18)"),  # noqa: RUF001 an en dash
        (0.000003, -0.000497, 0.000503, "3 ± 500 µs"),
        (0.0143, 0.0143, 0.0143, "14.3 ± 0.0 ms"),
        (0.0143, 0.014299999, 0.014300001, "14.300 ± < 0.001 ms"),
    ],
)
def test_an_error_has_the_decimals_of_its_value(value: float, low: float, high: float, shown: str) -> None:
    assert with_error(value, low, high, duration_scale(value, high, low)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "100 %"), (0.9996, "> 99.9 %"), (0.984, "98.4 %"), (0.0004, "< 0.1 %"), (0.0, "0 %")],
)
def test_only_all_reads_as_100_per_cent_and_only_nothing_as_0(value: float, shown: str) -> None:
    assert share(value) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (0.234, "+23 %"),
        (-0.419, "−42 %"),  # noqa: RUF001 a minus sign
        (0.0081, "+0.8 %"),
        (1.817, "+182 %"),
        (9.9, "+990 %"),
        (12.5, "13.5 times"),
        (0.0004, ""),
    ],
)
def test_a_relative_change_has_its_sign(ratio: float, shown: str) -> None:
    assert change(ratio) == shown


def test_counts_and_rates_have_thousands_separators() -> None:
    assert count(53773) == "53,773"
    assert number(2415.28) == "2,415"
    assert with_interval(2415.28, 2315.0, 2515.6, PER_SECOND).with_unit() == "2,415/s"
    assert with_interval(0.929, 0.921, 0.937, PERCENT).with_unit() == "92.9 %"


def test_the_smallest_number_is_an_error_like_others() -> None:
    assert with_error(0.0, 0.0, 5e-324, duration_scale(0.0)).startswith("0.000")


def test_one_is_singular() -> None:
    assert (plural(1, "note"), plural(2, "note"), plural(0, "note")) == ("1 note", "2 notes", "0 notes")


def test_a_limit_reads_as_it_was_written() -> None:
    assert (limit(0.25), limit(0.002), limit(1.0)) == ("250 ms", "2 ms", "1 s")


@given(st.floats(1e-9, 1e4))
def test_a_duration_is_within_half_a_per_cent_of_what_it_stands_for(seconds: float) -> None:
    figure, unit = duration(seconds).split(" ")
    factor = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}[unit]
    assert float(figure.replace(",", "")) / factor == pytest.approx(seconds, rel=0.0051)
