"""Arrival times: exact where they are given, right in distribution where they are drawn."""

from math import fsum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from traffic.arrivals import ArrivalProcess, Arrivals, PoissonArrivals
from traffic.replay import TraceArrivals
from traffic.traces import TraceError

PS = 10**12
KINDS: TypeAdapter[ArrivalProcess] = TypeAdapter(Arrivals)

FOUR_ROWS = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.0000000,10,1
2023-11-16 18:15:47.5000000,20,2
2023-11-16 18:15:47.5000000,30,3
2023-11-16 18:15:52.0000001,40,4
"""


def make(**fields: Any) -> ArrivalProcess:
    return KINDS.validate_python(fields)


def times(process: ArrivalProcess, horizon_ps: int, seed: int = 1, size: int = 4096) -> list[int]:
    blocks = list(process.blocks(np.random.default_rng(seed), horizon_ps, size))
    assert all(0 < len(block) <= size for block in blocks)
    return [at_ps for block in blocks for at_ps in block]


@pytest.fixture
def trace_path(tmp_path: Path) -> Path:
    path = tmp_path / "four.csv"
    path.write_text(FOUR_ROWS)
    return path


# Constant


def test_constant_arrivals_start_one_gap_in_and_one_at_the_horizon_is_left_out() -> None:
    at_ps = times(make(kind="constant", rate_per_s=3), 10 * PS)
    assert at_ps[:3] == [333_333_333_333, 666_666_666_667, 1_000_000_000_000]
    assert len(at_ps) == 29
    assert at_ps[-1] == 9_666_666_666_667
    assert len(times(make(kind="constant", rate_per_s=3), 10 * PS + 1)) == 30


def test_constant_arrivals_can_start_at_a_stated_time() -> None:
    at_ps = times(make(kind="constant", rate_per_s=3, offset_s=0), 10 * PS)
    assert (len(at_ps), at_ps[0], at_ps[-1]) == (30, 0, 9_666_666_666_667)
    assert times(make(kind="constant", rate_per_s=2, offset_s=0.3), PS) == [300_000_000_000, 800_000_000_000]


def test_constant_arrivals_take_a_decimal_rate_as_it_was_written() -> None:
    """The float 0.3 lies 1e-17 below three tenths; 300,000 gaps in, that would show."""
    at_ps = times(make(kind="constant", rate_per_s=0.3), 1_000_000 * PS + 1)
    assert len(at_ps) == 300_000
    assert at_ps[-1] == 1_000_000 * PS


@given(st.integers(1, 10**6), st.integers(0, 2000))
def test_the_kth_constant_arrival_is_within_half_a_picosecond_of_its_time(rate: int, k: int) -> None:
    horizon_ps = (k + 2) * PS // rate + 2
    at_ps = times(make(kind="constant", rate_per_s=rate), horizon_ps)[k]
    assert abs(2 * (at_ps * rate - (k + 1) * PS)) <= rate


# Poisson


@pytest.mark.theory
def test_poisson_counts_have_the_mean_and_variance_of_theory() -> None:
    """5/s over 10,000 s: 50,000 arrivals with standard deviation 223.6, so the mean is tested to 1.8 %.

    Variance over mean of the 10,000 one-second counts is 1 with standard deviation 0.01414. Both regions
    are four standard deviations wide to each side.
    """
    at_ps = np.array(times(make(kind="poisson", rate_per_s=5), 10_000 * PS, seed=20_240_501))
    assert 49_106 <= len(at_ps) <= 50_894
    counts = np.bincount(at_ps // PS, minlength=10_000)
    assert counts.size == 10_000
    assert 0.9434 <= counts.var(ddof=1) / counts.mean() <= 1.0566


@pytest.mark.theory
def test_poisson_gaps_are_exponential() -> None:
    """Of about 50,000 gaps of mean 0.2 s, e**-1 exceed the mean and e**-3 three times it: binomial, 4 sd."""
    gaps_s = np.diff(times(make(kind="poisson", rate_per_s=5), 10_000 * PS, seed=7)) / PS
    assert abs((gaps_s > 0.2).mean() - 0.36788) <= 0.0087
    assert abs((gaps_s > 0.6).mean() - 0.04979) <= 0.0039


# Gamma


@pytest.mark.theory
def test_gamma_gaps_have_the_stated_mean_and_variation() -> None:
    """5/s and cv 2: 250,000 gaps in 50,000 s with standard deviation 2 * sqrt(n) = 1,000, four to each side.

    The squared variation of n gamma gaps of cv 2 has a relative standard deviation of about 1 % here.
    """
    at_ps = times(make(kind="gamma", rate_per_s=5, cv=2), 50_000 * PS, seed=11)
    assert 246_000 <= len(at_ps) <= 254_000
    gaps_s = np.diff(at_ps) / PS
    assert abs(gaps_s.std() / gaps_s.mean() - 2) <= 0.05


def test_gamma_arrivals_with_a_variation_of_one_are_poisson() -> None:
    """e**-1 of 50,000 gaps exceed the mean: binomial, standard deviation 0.00216, four of them."""
    gaps_s = np.diff(times(make(kind="gamma", rate_per_s=5, cv=1), 10_000 * PS, seed=7)) / PS
    assert abs((gaps_s > 0.2).mean() - 0.36788) <= 0.0087


@pytest.mark.theory
def test_a_bursty_source_does_not_open_every_run_with_a_burst() -> None:
    """20 arrivals expected, whatever the cv; at 5 their standard deviation is 22, of 2,000 runs' mean 0.5.

    A process that started with a whole gap would have up to 12 too many.
    """
    process = make(kind="gamma", rate_per_s=20, cv=5)
    counts = [len(times(process, PS, seed, size=64)) for seed in range(2000)]
    assert abs(np.mean(counts) - 20) <= 2


def test_rounding_gaps_to_picoseconds_does_not_drift() -> None:
    """100,000 gaps near 1,000 ps: rounding wanders by 91 ps (sqrt(n/12)), cutting off would lose 50,000."""
    at_ps = times(make(kind="poisson", rate_per_s=1e9), 120_000_000, seed=3)[:100_000]
    exact_ps = fsum(np.random.default_rng(3).exponential(1000.0, 100_000))
    assert abs(at_ps[-1] - exact_ps) < 460


def test_poisson_arrivals_much_rarer_than_the_horizon_leave_it_empty() -> None:
    assert times(make(kind="poisson", rate_per_s=1e-12), 2**62) == []
    assert times(make(kind="poisson", rate_per_s=5), 0) == []


def test_a_long_horizon_neither_overflows_nor_loses_arrivals() -> None:
    """One request per hour for 100 days: 2,400 expected, standard deviation 49, four of them to each side."""
    at_ps = times(make(kind="poisson", rate_per_s=1 / 3600), 100 * 86_400 * PS)
    assert 2_204 <= len(at_ps) <= 2_596
    assert max(at_ps) < 100 * 86_400 * PS


ON_OFF = st.fixed_dictionaries(
    {
        "kind": st.just("on_off"),
        "on_s": st.floats(1e-3, 86_400),
        "off_s": st.floats(1e-3, 86_400),
        "on_rate_per_s": st.floats(1e-3, 1e4),
        "off_rate_per_s": st.floats(0, 1e4),
    }
)
PIECEWISE = st.builds(
    lambda lengths_s, rates, repeat: {
        "kind": "piecewise",
        "segments": [
            {"until_s": until_s, "rate_per_s": rate}
            for until_s, rate in zip(np.cumsum(lengths_s).tolist(), [*rates, 1.0], strict=False)
        ],
        "repeat": repeat,
    },
    st.lists(st.floats(1e-3, 10), min_size=4, max_size=4),
    st.lists(st.sampled_from([0.0, 1e-3, 1.0, 1e4]), min_size=3, max_size=3),
    st.booleans(),
)
DRAWN = st.one_of(
    st.builds(make, kind=st.sampled_from(["constant", "poisson"]), rate_per_s=st.floats(1e-3, 1e4)),
    st.builds(make, kind=st.just("gamma"), rate_per_s=st.floats(1e-3, 1e4), cv=st.floats(0.05, 20)),
    st.builds(make, kind=st.just("modulated"), rate=ON_OFF | PIECEWISE, cv=st.floats(0.05, 20)),
    st.builds(
        make, kind=st.just("profile"), name=st.just("servegen-m-small"), rate_per_s=st.floats(1e-3, 1e4)
    ),
)


@given(DRAWN, st.integers(0, 10**11), st.integers(0, 2**32))
def test_drawn_times_never_decrease_and_stay_before_the_horizon(
    process: ArrivalProcess, horizon_ps: int, seed: int
) -> None:
    at_ps = times(process, horizon_ps, seed)
    assert at_ps == sorted(at_ps)
    assert all(0 <= t < horizon_ps for t in at_ps)


RANDOM = [
    {"kind": "poisson", "rate_per_s": 100},
    {"kind": "gamma", "rate_per_s": 100, "cv": 3},
    {"kind": "modulated", "rate": {"kind": "on_off", "on_s": 0.1, "off_s": 0.2, "on_rate_per_s": 300}},
    {
        "kind": "modulated",
        "cv": 0.5,
        "rate": {"kind": "diurnal", "rate_per_s": 100, "amplitude": 1, "period_s": 2},
    },
    {"kind": "profile", "name": "azure-2023-conv", "rate_per_s": 100},
]


@given(st.sampled_from(RANDOM), st.integers(1, 700), st.integers(0, 2**32))
def test_block_size_and_horizon_change_no_arrival(fields: dict[str, Any], size: int, seed: int) -> None:
    process = make(**fields)
    whole = times(process, 6 * PS, seed)
    assert times(process, 6 * PS, seed, size) == whole
    assert times(process, 3 * PS, seed, size) == [t for t in whole if t < 3 * PS]


# Trace


def test_a_trace_replays_its_times_from_the_first_row(trace_path: Path) -> None:
    process = make(kind="trace", path=trace_path)
    assert times(process, 60 * PS) == [0, 1_500_000_000_000, 1_500_000_000_000, 6_000_000_100_000]
    assert times(process, 6_000_000_100_000, size=2) == [0, 1_500_000_000_000, 1_500_000_000_000]
    assert process.mean_rate_per_s == pytest.approx(0.49999999)


def test_a_trace_can_be_sped_up_and_slowed_down(trace_path: Path) -> None:
    fast = make(kind="trace", path=trace_path, speed=3)
    assert times(fast, 60 * PS) == [0, 500_000_000_000, 500_000_000_000, 2_000_000_033_333]
    slow = make(kind="trace", path=trace_path, speed=0.1)
    assert times(slow, 61 * PS) == [0, 15 * PS, 15 * PS, 60_000_001_000_000]
    assert fast.mean_rate_per_s == pytest.approx(1.49999997)


def test_a_looping_trace_starts_again_one_mean_gap_after_its_last_row(trace_path: Path) -> None:
    """Three gaps span 6.0000001 s, so a lap is 8.0000001333 s: four rows, four mean gaps."""
    at_ps = times(make(kind="trace", path=trace_path, loop=True), 17 * PS)
    assert at_ps[4:6] == [8_000_000_133_333, 9_500_000_133_333]
    assert at_ps[8:] == [16_000_000_266_666]


def test_only_the_first_rows_can_be_asked_for(trace_path: Path) -> None:
    assert times(make(kind="trace", path=trace_path, limit_rows=2), 60 * PS) == [0, 1_500_000_000_000]
    assert len(times(make(kind="trace", path=trace_path, limit_rows=99), 60 * PS)) == 4


def test_a_trace_tells_its_last_arrival_unless_it_loops(trace_path: Path) -> None:
    assert TraceArrivals(path=trace_path, speed=2).last_ps == 3_000_000_050_000
    assert TraceArrivals(path=trace_path, loop=True).last_ps is None


@pytest.mark.parametrize(
    ("rows", "why"), [(1, "it has one row"), (2, "its 2 rows span less than a picosecond")]
)
def test_a_loop_over_no_time_is_refused(tmp_path: Path, rows: int, why: str) -> None:
    path = tmp_path / "flat.csv"
    path.write_text(
        "\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *["2023-11-16 18:15:46,1,1"] * rows])
    )
    process = make(kind="trace", path=path, loop=True)
    with pytest.raises(TraceError, match=rf"flat\.csv cannot loop: {why}"):
        process.blocks(np.random.default_rng(0), PS)
    assert process.mean_rate_per_s is None


# Refusals


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "poisson", "rate_per_s": -1}, "greater than 0"),
        ({"kind": "poisson", "rate_per_s": 0}, "greater than 0"),
        ({"kind": "constant", "rate_per_s": 1e10}, "less than or equal to 1000000000"),
        ({"kind": "poisson", "rate_per_s": float("nan")}, "finite"),
        ({"kind": "poisson", "rate_per_ms": 1}, "rate_per_ms"),
        (
            {"kind": "poison", "rate_per_s": 1},
            "'constant', 'poisson', 'gamma', 'modulated', 'profile', 'trace'",
        ),
        ({"kind": "gamma", "rate_per_s": 1, "cv": 0}, "greater than or equal to 0.01"),
        ({"kind": "trace", "path": "x.csv", "loop": True, "resample": {"block_s": 1}}, "exclude each other"),
        ({"kind": "trace", "path": "x.csv", "speed": 0}, "greater than or equal to 0.000001"),
        ({"kind": "trace", "path": "x.csv", "format": "azure"}, "'auto', 'azure_csv', 'burstgpt_csv'"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        make(**fields)


def test_a_relative_trace_path_is_looked_up_beside_the_scenario(trace_path: Path) -> None:
    fields = {"kind": "trace", "path": "four.csv"}
    process = KINDS.validate_python(fields, context={"folder": trace_path.parent})
    assert len(times(process, 60 * PS)) == 4


@pytest.mark.parametrize("rate", [True, "4"])
def test_a_rate_is_a_number_and_nothing_that_could_be_read_as_one(rate: object) -> None:
    with pytest.raises(ValidationError, match="rate_per_s"):
        PoissonArrivals.model_validate({"rate_per_s": rate})


@pytest.mark.parametrize(
    ("fields", "steady"),
    [
        ({"kind": "constant", "rate_per_s": 2}, True),
        ({"kind": "poisson", "rate_per_s": 2}, True),
        ({"kind": "gamma", "rate_per_s": 2, "cv": 3}, True),
        ({"kind": "modulated", "rate": {"kind": "diurnal", "rate_per_s": 2, "amplitude": 0.5}}, False),
        ({"kind": "profile", "name": "azure-2023-conv", "rate_per_s": 2}, False),
    ],
)
def test_what_goes_on_for_ever_has_no_last_arrival_and_some_of_it_no_start_up_of_its_own(
    fields: dict[str, Any], steady: bool
) -> None:
    process = make(**fields)
    assert process.is_stationary is steady
    assert (process.label, process.last_ps, process.replayed) == (fields["kind"], None, None)
    assert process.expected(30) == 60
    assert list(process.notes(10**12)) == []
