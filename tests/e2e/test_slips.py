"""What people get wrong, command by command: one sentence on stderr, exit status 2, and nothing else."""

import shlex
from pathlib import Path

import pytest

from tests.support.cli import e80sim

FILES = ("none", "dir", "bin.yaml", "empty.yaml", "bad.csv")
"""What is not there, a folder, no text, nothing, and something else."""
READERS = (
    "run FILE",
    "check FILE",
    "serve FILE --port 0",
    "load FILE",
    "validate FILE --hardware h100",
    "validate recorded.csv --scenario FILE",
    "calibrate FILE",
    "trace describe FILE",
    "trace convert FILE out.csv",
    "path edge --scenario FILE",
    "report FILE",
    "replay FILE",
    "compare FILE FILE",
    "catalog ./FILE",
)
SLIPS = (
    "run my.yaml --set models.llama.hardware.preset=h1000",
    "run my.yaml --horizon nan",
    "run my.yaml --seed -1",
    "run my.yaml --replications 1e3",
    "run my.yaml --out my.yaml/run",
    "run my.yaml --out dir",
    "run my.yaml --uncertainty 2",
    "run my.yaml more",
    "check my.yaml --set run.horizon_s=60s",
    "check my.yaml --set 'name=['",
    "check my.yaml --set nodes",
    "serve --port 65536",
    "serve --port -1",
    "serve --host ''",
    "serve --host 300.1.1.1",
    "serve --listen moon:1",
    "serve --speed 0",
    "serve --speed nan",
    "serve --speed inf",
    "serve --content replay:dir",
    "serve --variant x",
    "serve --record dir",
    "load --users 0",
    "load --users 1 --rate 2",
    "load --rate inf",
    "load --duration inf",
    "load --duration nan",
    "load --speed inf",
    "load --out dir",
    "load --variant x",
    "report",
    "report dir",
    "compare dir",
    "calibrate bad.csv --column x",
    "calibrate bad.csv --out dir/entry.txt",
    "validate recorded.csv",
    "validate recorded.csv --hardware h1000",
    "validate recorded.csv --hardware h100 --host-ms -1",
    "trace describe trace.csv --limit-rows 0",
    "trace describe trace.csv --format csv",
    "trace convert trace.csv trace.csv",
    "trace convert trace.csv none/out.csv",
    "trace convert trace.csv out.csv --speed inf",
    "path",
    "path moon",
    "path edge --prompt-tokens 0",
    "path edge --site moon",
    "catalog h1000",
    "catalog ''",
    "init",
    "init My_App",
    "init my",
    "--vesion",
    "''",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    e80sim("init", ["my"])
    Path("dir").mkdir()
    Path("bin.yaml").write_bytes(bytes(range(128, 256)))
    Path("empty.yaml").touch()
    Path("bad.csv").write_text("a,b\n")
    Path("trace.csv").write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0,10,10\n")
    Path("recorded.csv").write_text("input_toks,output_toks,arrival_s,e2e_ms\n10,10,0,5\n")
    return tmp_path


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("command", READERS)
def test_a_file_that_cannot_be_used_is_told_with_its_name(command: str, file: str) -> None:
    assert file in told(command.replace("FILE", file))


@pytest.mark.parametrize("command", SLIPS)
def test_a_slip_is_told_in_one_sentence(command: str) -> None:
    told(command)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            "serve --host ''",
            "--host is empty: give an address, such as 127.0.0.1, or 0.0.0.0 for all of this m",
        ),
        ("serve --host 300.1.1.1", "cannot listen on 300.1.1.1 port 8080: "),
        (
            "serve --port 65536",
            "invalid value for '--port': it must be less than or equal to 65535; see e80sim s",
        ),
        ("serve --variant x", "there is no variant `x`; there are `documented`, `unlimited`"),
        ("load --speed inf", "invalid value for '--speed': it must be less than or equal to 1000000"),
    ],
)
def test_the_sentence_says_what_would_be_right(command: str, sentence: str) -> None:
    assert told(command).startswith(sentence)


def told(command: str) -> str:
    before = sorted(Path().rglob("*"))
    name, *arguments = shlex.split(command)
    done = e80sim(name, arguments)
    assert (done.exit_code, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("e80sim: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert sorted(Path().rglob("*")) == before
    return done.stderr.removeprefix("e80sim: ")
