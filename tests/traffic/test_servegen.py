"""ServeGen's clients: what their two files say as a source, and a trace as such a client."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from e80sim.mistakes import UserError
from tests.support.cli import e80sim
from traffic.arrivals import Arrivals
from traffic.lengths import Length
from traffic.servegen.chunk import read_chunk
from traffic.servegen.write import write_chunk
from traffic.traces.trace import Trace
from traffic.traces.words import TraceError

TRACE = "0,0,0,,0,0\n600,0,0,,0,0\n1200,2.0,0.5,Gamma,4.0,0.125\n1800,4.0,1.25,Weibull,0.8,0.22\n"
DATASET = (
    '{"0": {"input_tokens": "{10: 0.25, 12: 0.75}", "output_tokens": "{5: 1.0}"},'
    ' "1800": {"input_tokens": "{100: 1.0}", "output_tokens": "{0: 0.5, 7: 0.5}"},'
    ' "21600": {"input_tokens": "{}", "output_tokens": "{}"}}'
)


def chunk(folder: Path, trace: str = TRACE, dataset: str = DATASET) -> list[str]:
    paths = [folder / "chunk-0-trace.csv", folder / "chunk-0-dataset.json"]
    for path, text in zip(paths, (trace, dataset), strict=True):
        path.write_text(text, encoding="utf-8")
    return [str(path) for path in paths]


def test_a_client_is_a_source_with_its_rates_its_cv_and_its_lengths(tmp_path: Path) -> None:
    done = e80sim("trace", ["from-servegen", *chunk(tmp_path)])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("# chunk-0-trace.csv: 3,600 requests in 2,400 s, a client of ServeGen.\n")
    source = yaml.safe_load(done.stdout)
    assert source["arrivals"]["rate"]["segments"] == [
        {"until_s": 1200.0, "rate_per_s": 0.0},
        {"until_s": 1800.0, "rate_per_s": 2.0},
        {"until_s": 2400.0, "rate_per_s": 4.0},
    ]
    # A third of the requests at 0.5, two thirds at 1.25.
    assert source["arrivals"]["cv"] == 1.0
    assert source["lengths"]["prompt"]["buckets"] == [
        {"up_to": 9, "share": 0},
        {"up_to": 10, "share": pytest.approx(0.25 / 3, rel=1e-5)},
        {"up_to": 11, "share": 0},
        {"up_to": 12, "share": 0.25},
        {"up_to": 99, "share": 0},
        {"up_to": 100, "share": pytest.approx(2 / 3, rel=1e-5)},
    ]
    assert TypeAdapter(Arrivals).validate_python(source["arrivals"]).mean_rate_per_s == 1.5
    output = TypeAdapter(Length).validate_python(source["lengths"]["output"])
    assert set(output.sample(np.random.default_rng(1), 100).tolist()) == {5, 7}


def test_windows_may_be_chosen(tmp_path: Path) -> None:
    options = ["--from-s", "1200", "--until-s", "1800", "--out", str(tmp_path / "source.yaml")]
    assert e80sim("trace", ["from-servegen", *chunk(tmp_path), *options]).exit_code == 0
    source = yaml.safe_load((tmp_path / "source.yaml").read_text())
    assert source["arrivals"]["rate"]["segments"] == [{"until_s": 600.0, "rate_per_s": 2.0}]
    done = e80sim("trace", ["from-servegen", *chunk(tmp_path), "--until-s", "600"])
    assert (
        done.stderr == "e80sim: chunk-0-trace.csv: no request falls into its windows from 0 s on to 600 s\n"
    )


@pytest.mark.parametrize(
    ("trace", "dataset", "sentence"),
    [
        ("0,1,1,Gamma,1\n", DATASET, "line 1: 5 columns, expected 6"),
        ("0,x,1,Gamma,1,1\n", DATASET, "line 1: rate is 'x', expected a number"),
        ("0,1,-1,Gamma,1,1\n", DATASET, "line 1: cv is -1, expected a number from 0 on"),
        (TRACE + "600,1,1,Gamma,1,1\n", DATASET, "line 5: window 600 follows 1800, but windows are in order"),
        ("0,1,1,Gamma,1,1\n", DATASET, "has 1 windows, and two at least say how long one is"),
        (
            TRACE,
            "[]",
            "is no dataset of ServeGen: windows by their start, each with input_tokens and output_tokens",
        ),
        (TRACE, '{"0": {"input_tokens": "{}", "output_tokens": "{}"}}', "has no lengths in any window"),
        (
            TRACE,
            DATASET.replace("{5: 1.0}", "import os"),
            "window 0: 'import os' is no dictionary of lengths",
        ),
        (TRACE, DATASET.replace("5: 1.0", "5: -1.0"), "window 0: 5: -1.0 is no length with a probability"),
    ],
)
def test_files_that_are_none_are_told(tmp_path: Path, trace: str, dataset: str, sentence: str) -> None:
    with pytest.raises(UserError) as told:
        read_chunk(*map(Path, chunk(tmp_path, trace, dataset)))
    assert sentence in str(told.value)


ROWS = st.lists(
    st.tuples(st.integers(0, 5 * 10**16), st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=30
)


@settings(max_examples=25, deadline=None)  # it writes files
@given(ROWS)
def test_a_trace_comes_back_as_its_rates_and_lengths(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]]
) -> None:
    rows = sorted(rows)
    columns = [np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)]
    trace = Trace("mine", columns[0] - columns[0][0], columns[1], columns[2])
    found = read_chunk(*write_chunk(trace, tmp_path_factory.mktemp("servegen"), 7))
    assert sum(window.rate_per_s * 600 for window in found.windows) == pytest.approx(trace.rows)
    for window in found.windows:
        inside = trace.arrival_ps // (600 * 10**12) == window.start_s // 600
        assert window.rate_per_s == pytest.approx(inside.sum() / 600)
        if window.rate_per_s:
            pdfs = found.lengths_at(window.start_s)
            assert pdfs is not None
            assert set(columns[1][inside].tolist()) <= set(pdfs[0])
    assert all(sum(pdf.values()) == pytest.approx(1) for pdfs in found.lengths.values() for pdf in pdfs)


def test_gammas_shape_is_that_of_its_cv(tmp_path: Path) -> None:
    """Gaps of 1 and 3 s by turns: a mean of 2, a standard deviation of 1."""
    at_s = np.cumsum([0, *[1, 3] * 100])
    tokens = np.full(len(at_s), 5)
    trace = Trace("mine", at_s * 10**12, tokens, tokens.copy())
    path, _ = write_chunk(trace, tmp_path, 0)
    assert path.read_text().splitlines()[0] == "0,0.335,0.5,Gamma,4.0,0.5"
    with pytest.raises(TraceError, match="exists already: choose another --client or folder"):
        write_chunk(trace, tmp_path, 0)


def test_the_command_writes_a_client_and_reads_it(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0,10,5\n300,12,5\n700,10,5\n")
    done = e80sim("trace", ["to-servegen", str(trace), str(tmp_path / "out"), "--client", "3"])
    paths = [tmp_path / "out" / f"chunk-3-{name}" for name in ("trace.csv", "dataset.json")]
    assert (done.exit_code, done.stdout.split()) == (0, [str(path) for path in paths])
    source = yaml.safe_load(e80sim("trace", ["from-servegen", *map(str, paths)]).stdout)
    assert source["arrivals"]["rate"]["segments"][-1]["until_s"] == 1200


@pytest.mark.skipif("E80SIM_DATA" not in os.environ, reason="E80SIM_DATA, the folder of raw data, is not set")
def test_a_client_that_servegen_publishes_is_read(tmp_path: Path) -> None:
    folder = Path(os.environ["E80SIM_DATA"], "traces")
    paths = [str(folder / f"servegen_m-small_chunk-10-{name}") for name in ("trace.csv", "dataset.json")]
    options = ["--from-s", "484200", "--until-s", "499800", "--out", str(tmp_path / "source.yaml")]
    assert e80sim("trace", ["from-servegen", *paths, *options]).exit_code == 0
    source = yaml.safe_load((tmp_path / "source.yaml").read_text())
    assert len(source["arrivals"]["rate"]["segments"]) == 26
    assert source["arrivals"]["cv"] == pytest.approx(0.86, abs=0.03)
