"""`e80sim trace`."""

import json
from pathlib import Path

import pytest

from tests.support.cli import e80sim
from traffic.traces import read_recording, read_trace, writable

ROWS = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,100,10\n1.0,200,20\n4.0,300,30\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "three.csv"
    path.write_text(ROWS)
    return str(path)


def test_describe_prints_a_page(file: str) -> None:
    result = e80sim("trace", ["describe", file])
    assert result.exit_code == 0
    assert "three.csv: 3 requests in 4.0 s" in result.stdout
    assert "mean rate                      0.5  requests per second" in result.stdout
    assert "prompt        200      100      110      150      200" in result.stdout


def test_describe_prints_json_for_scripts(file: str) -> None:
    about = json.loads(e80sim("trace", ["describe", file, "--json", "--limit-rows", "2"]).stdout)
    assert (about["rows"], about["mean_rate_per_s"], about["cv_of_gaps"]) == (2, 1, 0)


@pytest.mark.parametrize("name", writable())
def test_convert_goes_there_and_back_through_every_format(file: str, tmp_path: Path, name: str) -> None:
    there, back = str(tmp_path / "there"), str(tmp_path / "back.csv")
    assert e80sim("trace", ["convert", file, there, "--to", name]).exit_code == 0
    result = e80sim("trace", ["convert", there, back, "--to", "vidur_csv"])
    assert result.stdout == f"{back}: 3 requests\n"
    assert Path(back).read_text() == ROWS


DAG = """\
{"session_id": "a", "turns": [{"messages": [{"role": "user", "content": "plan"}],
 "max_tokens": 4, "spawns": ["b"]},
 {"messages": [{"role": "user", "content": "sum"}], "max_tokens": 4, "delay": 500}]}
{"session_id": "b", "turns": [{"messages": [{"role": "user", "content": "help"}], "max_tokens": 4}]}
""".replace(",\n", ",")


def test_sessions_are_described_and_written_as_the_graph_that_they_are(tmp_path: Path) -> None:
    file, out = tmp_path / "dag.jsonl", tmp_path / "out.jsonl"
    file.write_text(DAG)
    told = e80sim("trace", ["describe", str(file)]).stdout
    assert "1 session of 3 turns" in told
    assert "Turns that wait for several answers: 1." in told
    assert "Token counts are those of the texts" in told
    about = json.loads(e80sim("trace", ["describe", str(file), "--json"]).stdout)
    assert about["sessions"]["turns_in_a_row"]["max"] == 3
    result = e80sim("trace", ["convert", str(file), str(out), "--to", "sessions_jsonl"])
    assert result.stdout == f"{out}: 1 session of 3 turns\n"
    assert read_recording(out).sessions == read_recording(file).sessions
    refused = e80sim("trace", ["convert", str(file), str(out), "--to", "sessions_jsonl", "--speed", "2"])
    assert refused.stderr.strip().endswith("keeps sessions as they are: leave --speed and --spread out")


def test_sessions_with_stamps_are_described_as_requests_too(tmp_path: Path) -> None:
    file = tmp_path / "sessions.jsonl"
    row = '"session_id": "a", "input_length": 100, "output_length": 10'
    file.write_text(f'{{{row}, "timestamp": 0}}\n{{{row}, "delay": 2000}}\n')
    told = e80sim("trace", ["describe", str(file)]).stdout
    assert "sessions.jsonl: 2 requests in 2.0 s" in told
    assert "1 session of 2 turns" in told


def test_convert_takes_the_first_rows_at_another_speed(file: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    e80sim("trace", ["convert", file, str(out), "--limit-rows", "2", "--speed", "3"])
    assert read_trace(out).arrival_ps.tolist() == [0, 333_333_333_333]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["describe", "none.csv"], "cannot read the trace none.csv: No such file or directory"),
        (
            ["describe", "FILE", "--format", "csv"],
            "--format csv: there is no such format; there are auto, azure_csv,",
        ),
        (["describe", "FILE", "--format", "azure_csv"], "line 1: the header is 'arrived_at"),
        (
            ["convert", "FILE", "x", "--to", "parquet"],
            "--to parquet: there is no such format; there are azure_csv,",
        ),
        (["convert", "FILE", "x", "--speed", "0"], "--speed 0: a speed is a number above 0"),
        (["convert", "FILE", "FILE"], "exists already: choose a file that does not"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(file: str, arguments: list[str], sentence: str) -> None:
    result = e80sim("trace", [*(file if word == "FILE" else word for word in arguments)])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("e80sim: ")
    assert sentence in result.stderr
