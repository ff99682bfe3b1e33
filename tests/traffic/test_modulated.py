"""Rates that change: the clock of operational time by hand, counts and their dispersion by theory."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from traffic.arrivals import ArrivalProcess, Arrivals
from traffic.modulated import RateClock
from traffic.rate_curves import Pieces
from traffic.renewal import gamma_gaps

PS = 10**12
KINDS: TypeAdapter[ArrivalProcess] = TypeAdapter(Arrivals)


def make(kind: str = "modulated", **fields: Any) -> ArrivalProcess:
    return KINDS.validate_python({"kind": kind, **fields})


def times_s(process: ArrivalProcess, horizon_s: float, seed: int = 1) -> NDArray[np.float64]:
    blocks = list(process.blocks(np.random.default_rng(seed), round(horizon_s * PS)))
    return np.concatenate(blocks) / PS


def dispersion(at_s: NDArray[np.float64], window_s: float) -> float:
    counts = np.bincount((at_s // window_s).astype(int))[:-1]
    return float(counts.var() / counts.mean())


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


# The clock


def test_operational_time_runs_with_the_rate_and_stands_still_in_silence() -> None:
    """Ten units at full rate, ten of silence, ten at half rate: 10 is reached where the silence ends."""
    clock = RateClock(iter([Pieces(ints(10, 10), ints(10, 0)), Pieces(ints(10), ints(5))]))
    assert clock.read(ints(0, 5, 9), 30).tolist() == [0, 5, 9]
    assert clock.read(ints(10, 12, 14), 30).tolist() == [20, 24, 28]


def test_the_clock_stops_at_the_horizon() -> None:
    clock = RateClock(iter([Pieces(ints(10), ints(5)), Pieces(ints(10), ints(5))]))
    assert clock.read(ints(4, 7), 10).tolist() == [8]


def test_at_a_steady_rate_the_clock_changes_nothing() -> None:
    process = make(rate={"kind": "windows", "rate_per_s": 10, "window_s": 7, "factors": [3, 3]}, cv=2)
    gaps_ps = gamma_gaps(np.random.default_rng(5).spawn(2)[0], PS / 10, 2)(50)
    expected_ps = np.cumsum(np.rint(gaps_ps)).astype(np.int64)
    assert (times_s(process, 1000, seed=5)[:50] * PS).tolist() == pytest.approx(expected_ps.tolist(), abs=16)


# Counts


def test_piecewise_rates_hold_until_their_times_and_the_last_for_ever() -> None:
    """None, then 6,000 (standard deviation 77), then 5/s for 200 s: 1,000 (32); four of them to each side."""
    segments = [
        {"until_s": 100, "rate_per_s": 0},
        {"until_s": 300, "rate_per_s": 30},
        {"until_s": 301, "rate_per_s": 5},
    ]
    process = make(rate={"kind": "piecewise", "segments": segments})
    at_s = times_s(process, 500)
    assert at_s[0] >= 100
    assert 5_690 <= (at_s < 300).sum() <= 6_310
    assert 872 <= (at_s >= 300).sum() <= 1_128
    assert process.mean_rate_per_s == 5


def test_repeated_segments_start_again() -> None:
    segments = [{"until_s": 1, "rate_per_s": 100}, {"until_s": 3, "rate_per_s": 0}]
    process = make(rate={"kind": "piecewise", "segments": segments, "repeat": True})
    at_s = times_s(process, 300)
    assert (at_s % 3 < 1).all()
    assert at_s[-1] > 295
    assert process.mean_rate_per_s == pytest.approx(33.3333, abs=1e-4)


def test_segments_that_end_in_silence_end_the_traffic() -> None:
    segments = [{"until_s": 1, "rate_per_s": 100}, {"until_s": 2, "rate_per_s": 0}]
    at_s = times_s(make(rate={"kind": "piecewise", "segments": segments}), 4_000_000)
    assert at_s[-1] < 1


def test_window_factors_are_relative_to_their_mean() -> None:
    """Factors 1, 0, 2 over a mean of 1: 9,900 arrivals in 990 s at 10/s, a third and two thirds of them."""
    process = make(rate={"kind": "windows", "rate_per_s": 10, "window_s": 10, "factors": [2, 0, 4]})
    at_s = times_s(process, 990)
    window = (at_s // 10).astype(int) % 3
    assert abs((window == 0).sum() - 3_300) <= 4 * 57.4
    assert (window == 1).sum() == 0
    assert abs((window == 2).sum() - 6_600) <= 4 * 81.2
    assert process.mean_rate_per_s == 10


def test_windows_may_start_anywhere_in_their_round() -> None:
    rate = {"kind": "windows", "rate_per_s": 100, "window_s": 10, "factors": [1, 0], "start": "random"}
    quiet = {bool((times_s(make(rate=rate), 20, seed) < 10).any()) for seed in range(12)}
    assert quiet == {True, False}


@pytest.mark.theory
def test_a_diurnal_rate_peaks_where_it_is_told_to() -> None:
    """The quarter around the peak has 1 + 0.5 * sin(pi/4) / (pi/4) = 1.4502 times the mean, that around the
    trough 0.5498: 362,540 and 137,460 of a million (standard deviations 602 and 371, four to each side).
    """
    rate = {"kind": "diurnal", "rate_per_s": 100, "amplitude": 0.5, "period_s": 100, "peak_at_s": 0}
    phase_s = (times_s(make(rate=rate), 10_000) + 12.5) % 100
    assert abs((phase_s < 25).sum() - 362_540) <= 2_408
    assert abs(((phase_s >= 50) & (phase_s < 75)).sum() - 137_460) <= 1_484


def test_a_diurnal_rate_peaks_after_a_quarter_of_its_period_by_default() -> None:
    rate = {"kind": "diurnal", "rate_per_s": 100, "amplitude": 1, "period_s": 100}
    phase_s = times_s(make(rate=rate), 1_000) % 100
    assert 24 <= np.median(phase_s[phase_s < 50]) <= 26
    assert (phase_s < 50).sum() > 0.8 * len(phase_s)


# Dispersion


@pytest.mark.theory
def test_dispersion_of_an_on_off_source_grows_with_the_window() -> None:
    """On for 10 s at 20/s, off for 30 s: with s = 1/10 + 1/30, IDC(t) = 1 + 225 (1 - (1 - e**-st) / st).

    15.4 at 1 s and 197.9 at 60 s. Over 200,000 s the estimates scatter by about 2 and 3 %.
    """
    process = make(rate={"kind": "on_off", "on_s": 10, "off_s": 30, "on_rate_per_s": 20})
    at_s = times_s(process, 200_000, seed=3)
    assert process.mean_rate_per_s == 5
    assert 0.95 <= len(at_s) / 1_000_000 <= 1.05
    assert dispersion(at_s, 1) == pytest.approx(15.36, rel=0.08)
    assert dispersion(at_s, 60) == pytest.approx(197.9, rel=0.15)


@pytest.mark.theory
def test_dispersion_of_gamma_gaps_alone_does_not_grow() -> None:
    """50/s and cv 3: 8.73 at 1 s (the second-order term is -13.3 / 50) and 9 at 60 s, to 0.6 and 4.5 %."""
    at_s = times_s(make("gamma", rate_per_s=50, cv=3), 60_000, seed=4)
    assert dispersion(at_s, 1) == pytest.approx(8.73, rel=0.04)
    assert dispersion(at_s, 60) == pytest.approx(9.0, rel=0.18)


def test_an_on_off_source_starts_on_as_often_as_it_is_on() -> None:
    """On a quarter of the time: of 800 runs 200 start so, standard deviation 12.2; four to each side."""
    process = make(rate={"kind": "on_off", "on_s": 1000, "off_s": 3000, "on_rate_per_s": 100})
    on = sum(bool(list(process.blocks(np.random.default_rng(seed), PS // 5))) for seed in range(800))
    assert 151 <= on <= 249


def test_turns_keep_their_times_when_a_rate_changes() -> None:
    """Common random numbers: only the gaps within a turn shrink."""
    quiet, busy = (
        times_s(make(rate={"kind": "on_off", "on_s": 10, "off_s": 30, "on_rate_per_s": rate}), 1000, seed=8)
        for rate in (100, 1000)
    )
    pauses = [at_s[1:][np.diff(at_s) > 3] for at_s in (quiet, busy)]
    assert len(pauses[0]) == len(pauses[1]) > 5
    assert np.abs(pauses[0] - pauses[1]).max() < 0.1


# Refusals


@pytest.mark.parametrize(
    ("rate", "sentence"),
    [
        ({"kind": "on_off", "on_s": 1, "off_s": 1, "on_rate_per_s": 0}, "greater than 0"),
        ({"kind": "piecewise", "segments": []}, "at least 1 item"),
        (
            {
                "kind": "piecewise",
                "segments": [{"until_s": 5, "rate_per_s": 1}, {"until_s": 5, "rate_per_s": 2}],
            },
            "until_s 5 follows 5: segments end one after the other",
        ),
        (
            {"kind": "piecewise", "segments": [{"until_s": 5, "rate_per_s": 0}]},
            "every rate_per_s of the segments is 0",
        ),
        (
            {"kind": "windows", "rate_per_s": 1, "window_s": 1, "factors": [0, 0]},
            "every one of the factors is 0",
        ),
        (
            {"kind": "windows", "rate_per_s": 1, "window_s": 3_000_000, "factors": [1, 2]},
            "2 windows of 3e\\+06 s last longer than any run, 4000000 s",
        ),
        ({"kind": "diurnal", "rate_per_s": 1, "amplitude": 1.5}, "less than or equal to 1"),
        ({"kind": "weekly"}, "'on_off', 'piecewise', 'windows', 'diurnal'"),
    ],
)
def test_an_impossible_rate_is_refused(rate: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        make(rate=rate)
