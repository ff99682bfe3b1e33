"""Replications of a trace: blocks drawn with replacement, rows with their lengths, ticks of a clock."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.replay import TraceArrivals
from traffic.traces import TraceError, read_trace, writable, write_trace
from traffic.workload import Workload

PS = 10**12
STAMPS_S = [0, 0.5, 3, 4, 4.25, 5, 8, 9]
"""Eight rows, seven gaps in 9 s: a lap of 10.2857 s."""
LAP_PS = 10_285_714_285_714


@pytest.fixture(scope="module")
def trace_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"arrival_ps": round(stamp_s * PS), "prompt_tokens": 10 + i, "output_tokens": 20 + i}
        for i, stamp_s in enumerate(STAMPS_S)
    ]
    path = tmp_path_factory.mktemp("replay") / "eight.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def resampled(path: Path, block_s: float, **fields: Any) -> TraceArrivals:
    return TraceArrivals.model_validate({"path": path, "resample": {"block_s": block_s}, **fields})


def times(process: TraceArrivals, horizon_s: float, seed: int = 1, size: int = 4096) -> list[int]:
    blocks = process.blocks(np.random.default_rng(seed), round(horizon_s * PS), size)
    return [at_ps for block in blocks for at_ps in block]


def rows(process: TraceArrivals, n: int, seed: int = 1) -> list[int]:
    """Asked for in odd lots."""
    lots = process.rows(np.random.default_rng(seed), 7)
    return [row for lot in islice(lots, n // 7 + 1) for row in lot.tolist()][:n]


@given(st.integers(0, 2**32), st.sampled_from([0.75, 2.0, 5.0, 10.0]))
def test_a_block_is_a_piece_of_the_trace_bent_to_a_circle(
    trace_path: Path, seed: int, block_s: float
) -> None:
    """Every arrival keeps its distance, round the lap, from the start that its block drew."""
    process = resampled(trace_path, block_s)
    at_ps = times(process, 40, seed)
    block_ps = round(block_s * PS)
    starts: dict[int, int] = {}
    for at, row in zip(at_ps, rows(process, len(at_ps), seed), strict=True):
        start = (round(STAMPS_S[row] * PS) - at % block_ps) % LAP_PS
        assert starts.setdefault(at // block_ps, start) == start
    assert at_ps == sorted(at_ps)


def test_blocks_differ_between_replications_and_not_within_one(trace_path: Path) -> None:
    process = resampled(trace_path, 5)
    assert times(process, 40, seed=1) == times(process, 40, seed=1, size=3)
    assert times(process, 40, seed=1) != times(process, 40, seed=2)
    assert times(process, 40, seed=1)[:10] == times(process, 400, seed=1)[:10]


def test_resampling_keeps_the_mean_rate(trace_path: Path) -> None:
    """Eight rows a lap: 77,778 in 100,000 s. A block of 5 s has 2 to 5 rows; 20,000 of them give 1 %."""
    assert len(times(resampled(trace_path, 5), 100_000)) == pytest.approx(77_778, rel=0.01)


def test_resampled_blocks_can_be_sped_up(trace_path: Path) -> None:
    slow, fast = resampled(trace_path, 5), resampled(trace_path, 5, speed=2)
    assert [2 * at for at in times(fast, 40)] == pytest.approx(times(slow, 80), abs=1)


def test_rows_in_order_follow_their_arrivals_through_resampling(trace_path: Path) -> None:
    workload = Workload.model_validate(
        {
            "arrivals": {"kind": "trace", "path": trace_path, "resample": {"block_s": 2}},
            "lengths": {"kind": "trace"},
        }
    )
    process = workload.arrivals
    assert isinstance(process, TraceArrivals)
    prompt_rng, output_rng, arrivals_rng = (np.random.default_rng(seed) for seed in (8, 9, 1))
    drawn = workload.call_sizes(prompt_rng, output_rng, calls=2, arrivals_rng=arrivals_rng)
    expected = [[(10 + row, 20 + row)] * 2 for row in rows(process, 50)]
    assert list(islice(drawn, 50)) == expected


def test_lengths_drawn_apart_need_not_know_of_the_blocks(trace_path: Path) -> None:
    workload = Workload.model_validate(
        {
            "arrivals": {"kind": "trace", "path": trace_path, "resample": {"block_s": 2}},
            "lengths": {"prompt": {"kind": "fixed", "tokens": 3}, "output": {"kind": "fixed", "tokens": 4}},
        }
    )
    drawn = workload.call_sizes(np.random.default_rng(1), np.random.default_rng(2))
    assert next(drawn) == [(3, 4)]


def test_a_resampled_trace_has_no_last_arrival(trace_path: Path) -> None:
    assert resampled(trace_path, 5).last_ps is None
    assert TraceArrivals(path=trace_path).last_ps == 9 * PS


def test_rows_without_resampling_go_round_and_round(trace_path: Path) -> None:
    assert rows(TraceArrivals(path=trace_path), 10) == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]


def test_a_block_longer_than_the_trace_is_refused(trace_path: Path) -> None:
    with pytest.raises(TraceError, match=r"cannot be resampled in blocks of 11 s: it lasts 10\.29 s"):
        resampled(trace_path, 11).load()


def test_a_trace_of_one_row_cannot_be_resampled(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"arrival_ps": 5, "prompt_tokens": 1, "output_tokens": 1}\n')
    with pytest.raises(TraceError, match=r"one\.jsonl cannot be resampled: it has one row"):
        resampled(path, 1).load()


# Ticks of a coarse clock


@pytest.fixture
def ticks_path(tmp_path: Path) -> Path:
    path = tmp_path / "ticks.jsonl"
    stamps_ms = [0, 0, 0, 3000, 3000, 6001]
    path.write_text(
        "".join(
            json.dumps({"timestamp": stamp, "input_length": 5, "output_length": 6, "hash_ids": [1]}) + "\n"
            for stamp in stamps_ms
        )
    )
    return path


def test_rows_of_one_stamp_are_spread_evenly_over_the_tick(ticks_path: Path) -> None:
    at_ms = [at // 10**9 for at in times(TraceArrivals(path=ticks_path, spread="even"), 10)]
    assert at_ms == [0, 1000, 2000, 3000, 4500, 6001]


def test_they_can_be_spread_at_random_each_within_its_tick(ticks_path: Path) -> None:
    process = TraceArrivals(path=ticks_path, spread="uniform")
    for seed in range(20):
        at_ps = times(process, 10, seed)
        assert at_ps == sorted(at_ps)
        assert [at // (3 * PS) for at in at_ps] == [0, 0, 0, 1, 1, 2]
        assert at_ps[-1] == 6_001 * 10**9
    assert times(process, 10, 1) != times(process, 10, 2)


def test_a_trace_spread_at_random_can_loop_and_be_resampled(ticks_path: Path) -> None:
    looped = times(TraceArrivals(path=ticks_path, spread="uniform", loop=True), 100)
    drawn = times(resampled(ticks_path, 3, spread="uniform"), 100)
    assert looped == sorted(looped)
    assert drawn == sorted(drawn)
    assert len(drawn) == pytest.approx(83, abs=25)


# What is said about it


def test_a_spread_does_the_same_in_every_format(tmp_path: Path, ticks_path: Path) -> None:
    trace = read_trace(ticks_path)
    for name in writable():
        write_trace(trace, tmp_path / name, name)
        at_ms = [at // 10**9 for at in times(TraceArrivals(path=tmp_path / name, spread="even"), 10)]
        assert at_ms == [0, 1000, 2000, 3000, 4500, 6001], name
        assert [at // 10**9 for at in times(TraceArrivals(path=tmp_path / name), 10)] == [
            0,
            0,
            0,
            3000,
            3000,
            6001,
        ]


def test_a_spread_says_by_how_much_it_moved_the_rows(ticks_path: Path) -> None:
    """1, 2 and 1.5 s."""
    even = list(TraceArrivals(path=ticks_path, spread="even").notes(7 * PS))
    assert even[1].startswith("`spread: even` moved 3 of 6 rows within the clock's tick of 3 s: by 1.5 s on")
    assert even[1].endswith("on average and 2 s at most.")
    uniform = list(TraceArrivals(path=ticks_path, spread="uniform").notes(7 * PS))
    assert uniform[1:] == ["`spread: uniform` moved every row, by up to the clock's tick of 3 s."]


@pytest.mark.parametrize("spread", ["even", "uniform"])
@pytest.mark.parametrize("stamps_ms", [[7, 7, 7], [1, 2, 3]], ids=["one stamp", "all apart"])
def test_a_clock_that_shows_no_tick_spreads_nothing_and_says_so(
    tmp_path: Path, stamps_ms: list[int], spread: str
) -> None:
    path = tmp_path / "trace"
    path.write_text(
        "".join(f'{{"arrival_ps": {ms}, "prompt_tokens": 1, "output_tokens": 1}}\n' for ms in stamps_ms)
    )
    process = TraceArrivals.model_validate({"path": path, "spread": spread})
    assert times(process, 1) == [ms - stamps_ms[0] for ms in stamps_ms]
    assert f"`spread: {spread}` moved no row: the stamps show no tick to spread rows over." in process.notes(
        PS
    )


def test_bursts_replayed_as_recorded_are_said(ticks_path: Path) -> None:
    notes = list(TraceArrivals(path=ticks_path).notes(7 * PS))
    assert notes[1].startswith("60% of the gaps are zero, and stamps that differ do so by 3 s or more")


def test_rows_beyond_the_horizon_are_counted(trace_path: Path) -> None:
    """Of eight rows in 9 s three lie at 5 s or later; at double speed one of them does."""
    assert list(TraceArrivals(path=trace_path).notes(5 * PS))[1:] == [
        "Beyond the horizon of 5 s and so not sent: 3 of 8 rows."
    ]
    assert list(TraceArrivals(path=trace_path, speed=1.75).notes(5 * PS))[1:] == [
        "Beyond the horizon of 5 s and so not sent: 1 of 8 rows."
    ]
    assert len(times(TraceArrivals(path=trace_path, speed=1.75), 5)) == 7
    assert list(TraceArrivals(path=trace_path, loop=True).notes(5 * PS))[1:] == [
        "Beyond the horizon of 5 s and so not sent: 3 of 8 rows."
    ]


def test_a_trace_that_ends_before_the_horizon_is_told_unless_it_goes_on(trace_path: Path) -> None:
    assert list(TraceArrivals(path=trace_path).notes(20 * PS))[1:] == [
        "The last row arrives at 9 s, before the horizon of 20 s."
    ]
    assert list(TraceArrivals(path=trace_path).notes(10 * PS))[1:] == []
    assert list(TraceArrivals(path=trace_path, loop=True).notes(20 * PS))[1:] == []
    assert list(resampled(trace_path, 5).notes(2 * PS))[1:] == []


def test_a_workload_tells_of_the_file_of_its_lengths_too(trace_path: Path, ticks_path: Path) -> None:
    workload = Workload.model_validate(
        {"arrivals": {"kind": "trace", "path": trace_path}, "lengths": {"kind": "trace", "path": ticks_path}}
    )
    assert list(workload.notes(9 * PS + 1)) == [
        "the trace eight.jsonl: Read as jsonl, arrival_ps in ps.",
        "lengths from the trace ticks.jsonl: Read as mooncake_jsonl, timestamp in ms.",
    ]


def test_a_trace_is_called_resampled_where_each_replication_has_other_rows(trace_path: Path) -> None:
    assert TraceArrivals(path=trace_path).label == "trace"
    assert resampled(trace_path, 2).label == "resampled trace"


def test_a_trace_that_ends_sends_no_more_than_its_rows(trace_path: Path) -> None:
    """8 rows in 9 s, 7 gaps: 7/9 a second, and 8 at most."""
    once = TraceArrivals(path=trace_path)
    assert once.expected(4.5) == pytest.approx(3.5)
    assert once.expected(1000) == 8
    assert TraceArrivals(path=trace_path, loop=True).expected(900) == pytest.approx(700)
