"""Arrivals and lengths together: which row goes with which arrival, and which generator with what."""

import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from traffic.traces import TraceError
from traffic.workload import SizePair, Workload

ROWS = [(10, 1), (20, 2), (30, 3), (40, 4)]
POISSON = {"kind": "poisson", "rate_per_s": 1.0}
DRAWN = {
    "prompt": {"kind": "lognormal", "median": 500, "sigma": 1},
    "output": {"kind": "geometric", "mean": 50},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [f"2023-11-16 18:15:4{i},{prompt},{output}" for i, (prompt, output) in enumerate(ROWS)]
    (tmp_path / "four.csv").write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *lines]))
    return tmp_path


def make(folder: Path, arrivals: dict[str, Any], lengths: dict[str, Any]) -> Workload:
    return Workload.model_validate({"arrivals": arrivals, "lengths": lengths}, context={"folder": folder})


def sizes(workload: Workload, arrivals: int, calls: int = 1, seeds: tuple[int, int] = (1, 2)) -> list[Any]:
    prompt_rng, output_rng = (np.random.default_rng(seed) for seed in seeds)
    return list(islice(workload.call_sizes(prompt_rng, output_rng, calls), arrivals))


def flat(calls: list[list[SizePair]]) -> list[SizePair]:
    return [pair for pairs in calls for pair in pairs]


def test_a_replayed_trace_gives_each_arrival_the_lengths_of_its_row(folder: Path) -> None:
    workload = make(folder, {"kind": "trace", "path": "four.csv", "loop": True}, {"kind": "trace"})
    assert flat(sizes(workload, 6)) == [*ROWS, *ROWS[:2]]
    named = make(folder, {"kind": "trace", "path": "four.csv"}, {"kind": "trace", "path": "four.csv"})
    assert flat(sizes(named, 4)) == ROWS


def test_all_calls_of_an_arrival_take_its_row(folder: Path) -> None:
    workload = make(folder, {"kind": "trace", "path": "four.csv", "limit_rows": 2}, {"kind": "trace"})
    assert sizes(workload, 3, calls=2) == [[ROWS[0]] * 2, [ROWS[1]] * 2, [ROWS[0]] * 2]


def test_lengths_of_another_trace_are_rows_drawn_at_random(folder: Path) -> None:
    """4,000 draws of 4 rows: 1,000 each, standard deviation 27.4, five of them to each side."""
    drawn = flat(sizes(make(folder, POISSON, {"kind": "trace", "path": "four.csv"}), 4000))
    assert set(drawn) == set(ROWS)
    assert all(863 <= drawn.count(row) <= 1137 for row in ROWS)


def test_prompts_and_answers_can_be_drawn_from_different_rows(folder: Path) -> None:
    """16 pairs, 250 draws each expected of 4,000, standard deviation 15.3, five of them to each side."""
    lengths = {"kind": "trace", "path": "four.csv", "draw": "independently"}
    drawn = flat(sizes(make(folder, POISSON, lengths), 4000))
    counts = [drawn.count((prompt, output)) for prompt, _ in ROWS for _, output in ROWS]
    assert all(173 <= n <= 327 for n in counts)


def test_rows_can_be_taken_in_order_by_drawn_arrivals_and_at_random_by_replayed_ones(folder: Path) -> None:
    in_order = make(folder, POISSON, {"kind": "trace", "path": "four.csv", "draw": "in_order"})
    assert flat(sizes(in_order, 5)) == [*ROWS, ROWS[0]]
    replay = {"kind": "trace", "path": "four.csv"}
    assert flat(sizes(make(folder, replay, {"kind": "trace", "draw": "together"}), 4)) != ROWS


@pytest.mark.parametrize("lengths", [DRAWN, {"kind": "trace", "path": "four.csv", "draw": "independently"}])
def test_prompts_and_answers_draw_from_their_own_generators(folder: Path, lengths: dict[str, Any]) -> None:
    workload = make(folder, POISSON, lengths)
    one, other = (flat(sizes(workload, 100, seeds=(1, seed))) for seed in (2, 3))
    assert [prompt for prompt, _ in one] == [prompt for prompt, _ in other]
    assert [output for _, output in one] != [output for _, output in other]


ANY_LENGTHS = [
    DRAWN,
    {"kind": "profile", "name": "azure-2023-conv"},
    {"kind": "trace", "path": "four.csv", "draw": "together"},
    {"kind": "trace", "path": "four.csv", "draw": "independently"},
]


@pytest.mark.parametrize("lengths", ANY_LENGTHS)
@pytest.mark.parametrize(("fewer", "more"), [(1, 2), (10, 20), (7, 1000)])
def test_a_call_has_the_same_sizes_however_many_calls_there_are(
    folder: Path, lengths: dict[str, Any], fewer: int, more: int
) -> None:
    workload = make(folder, POISSON, lengths)
    arrivals = 5000 if more < 100 else 200  # more than are drawn at a time
    few, many = sizes(workload, arrivals, fewer), sizes(workload, arrivals, more)
    assert [calls[:fewer] for calls in many] == few
    assert {len(calls) for calls in many} == {more}


def test_calls_of_one_arrival_and_arrivals_of_one_call_are_drawn_apart(folder: Path) -> None:
    """Of 4,000 lengths of a hundred or more different ones, no two calls have all in common, nor nearly."""
    calls = np.array(sizes(make(folder, POISSON, DRAWN), 4000, calls=3))[:, :, 0]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert abs(np.corrcoef(np.log(calls[:, one]), np.log(calls[:, other]))[0, 1]) < 5 / np.sqrt(4000)
    assert len(np.unique(calls[:, 2])) > 100


def test_trace_lengths_need_a_trace(folder: Path) -> None:
    with pytest.raises(
        ValidationError, match="need a path, because the arrivals are 'poisson' and replay no"
    ):
        make(folder, POISSON, {"kind": "trace"})


def test_file_options_without_a_file_are_refused(folder: Path) -> None:
    with pytest.raises(ValidationError, match="limit_rows 3 need a path beside them"):
        make(folder, {"kind": "trace", "path": "four.csv"}, {"kind": "trace", "limit_rows": 3})


@pytest.mark.parametrize("lengths", [{"kind": "trac"}, {"kind": "fixed", "tokens": 3}, {"kind": ["trace"]}])
def test_lengths_are_a_pair_or_a_trace(folder: Path, lengths: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="its kind can be 'profile' or 'trace'"):
        make(folder, POISSON, lengths)


def test_loading_tells_of_a_bad_file_before_a_run(folder: Path) -> None:
    missing = make(folder, {"kind": "trace", "path": "none.csv"}, DRAWN)
    with pytest.raises(TraceError, match=r"none\.csv"):
        missing.load()
    (folder / "bad.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:40,x,1\n")
    bad = make(folder, POISSON, {"kind": "trace", "path": "bad.csv"})
    with pytest.raises(TraceError, match=r"bad\.csv line 2: ContextTokens is 'x'"):
        bad.load()


@pytest.mark.parametrize("lengths", [{"kind": "trace"}, DRAWN, {"kind": "trace", "path": "four.csv"}])
def test_a_workload_survives_its_own_dump_and_a_trip_to_another_process(
    folder: Path, lengths: dict[str, Any]
) -> None:
    workload = make(folder, {"kind": "trace", "path": "four.csv"}, lengths)
    workload.load()
    again = Workload.model_validate(workload.model_dump(mode="json"))
    copied = pickle.loads(pickle.dumps(workload))
    assert again == workload == copied
    assert sizes(again, 10) == sizes(workload, 10) == sizes(copied, 10)
