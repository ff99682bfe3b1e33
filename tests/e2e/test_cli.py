"""`e80sim` as a script sees it: exit codes, what goes to which stream, and what is left on the disk."""

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.run_directory import read
from sim.__main__ import main

TINY = """\
name: tiny
models:
  llama:
    id: llama
    llm: llama3.1-8b
    hardware: {preset: hc1}
    context_tokens: 6000
network:
  places:
    here: {kind: edge}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 20}
    lengths: {prompt: {kind: fixed, tokens: 50}, output: {kind: geometric, mean: 20}}
run: {horizon_s: 5, replications: 2}
variants:
  one: {}
  two: {set: {models.llama.nodes: 2}}
"""
FILES = {
    "gaps.parquet",
    "manifest.json",
    "nodes.parquet",
    "requests.parquet",
    "scenario.yaml",
    "summary.json",
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With a scenario in it. A run takes signals over, which pytest wants back."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY, encoding="utf-8")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run(*options: str) -> int:
    return main(["run", "tiny.yaml", "--jobs", "1", "--no-report", *options])


def names_in(folder: str) -> set[str]:
    return {file.name for file in Path(folder).iterdir()}


def test_a_run_prints_a_table_and_the_path_of_what_it_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    out, err = capsys.readouterr()
    *table, path = out.splitlines()
    assert any("chat" in line for line in table)
    assert Path(path).parent == Path("runs/tiny")
    assert names_in(path) >= FILES
    about, done = err.splitlines()
    assert about == "e80sim: tiny: about 400 requests in 20 simulated seconds, 126 MB of memory"
    assert done.startswith("tiny: 2 replications in ")
    assert not read(Path(path)).manifest["interrupted"]


def test_a_run_to_which_nobody_came_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = ["--set", "traffic.chat.arrivals.rate_per_s=0.0001"]
    app = ["--set", "apps={helper: {place: here, model: llama, calls: 2}}"]
    for_app = ["--set", "traffic.chat.model=", "--set", "traffic.chat.app=helper"]
    assert run(*nobody) == 0
    assert "No request was offered" in capsys.readouterr().out
    assert run(*nobody, *app, *for_app) == 0
    assert "No request was offered" in capsys.readouterr().out


def test_two_runs_at_the_same_second_leave_two_directories() -> None:
    assert (run("--quiet"), run("--quiet")) == (0, 0)
    assert len(names_in("runs/tiny")) == 2


def test_the_report_is_one_file_whose_path_comes_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.yaml", "--jobs", "1", "--out", "here", "--quiet"]) == 0
    assert capsys.readouterr() == ("here/report.html\n", "")
    assert names_in("here") >= FILES | {"report.html"}


def test_json_prints_the_summary_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", "--quiet", "--out", "here") == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(Path("here/summary.json").read_text(encoding="utf-8"))
    assert len(out.splitlines()) == 1
    assert err == ""


def test_json_leaves_progress_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json") == 0
    out, err = capsys.readouterr()
    assert set(json.loads(out)["variants"]) == {"one", "two"}
    assert err


def test_options_stand_over_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["--seed", "7", "--replications", "3", "--horizon", "2.5", "--set", "models.llama.nodes=4"]
    assert run("--json", "--out", "here", *overrides) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["seed"], summary["replications"], summary["horizon_s"]) == (7, 3, 2.5)
    nodes = {name: variant["nodes"][0]["nodes"] for name, variant in summary["variants"].items()}
    assert nodes == {"one": 4, "two": 2}
    resolved = Path("here/scenario.yaml")
    assert main(["run", str(resolved), "--jobs", "1", "--no-report", "--quiet", "--out", "again"]) == 0
    for name in ("requests.parquet", "nodes.parquet", "summary.json", "scenario.yaml"):
        assert Path("again", name).read_bytes() == Path("here", name).read_bytes(), name


def test_seeds_differ_and_engines_do_not() -> None:
    for name, options in {"a": [], "b": ["--seed", "2"], "c": ["--engine", "step"]}.items():
        assert run("--quiet", "--out", name, *options) == 0
    records = {name: Path(name, "requests.parquet").read_bytes() for name in "abc"}
    assert records["a"] != records["b"]
    assert records["a"] == records["c"]


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """One sentence, and nothing on stdout or on the disk."""
    before = sorted(Path().rglob("*"))
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sorted(Path().rglob("*")) == before
    assert err.startswith("e80sim: ")
    assert err.count("\n") == 1
    return err.removeprefix("e80sim: ").rstrip("\n")


def test_an_output_directory_that_exists_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/letter").write_text("dear", encoding="utf-8")
    said = fails(capsys, "run", "tiny.yaml", "--out", "mine")
    assert said == "--out mine exists already: choose a directory that does not"


def test_a_mistake_in_the_scenario_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(TINY.replace("preset", "pre"), encoding="utf-8")
    for command in ("run", "check"):
        assert fails(capsys, command, "bad.yaml").startswith("bad.yaml:6: `models.llama.hardware`")
    assert fails(capsys, "run", "none.yaml") == "none.yaml: there is no such file"


def test_a_mistake_in_an_option_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    said = fails(capsys, "run", "tiny.yaml", "--set", "models.lama.nodes=4")
    assert said == "--set models.lama.nodes=4: there is no model `lama`; did you mean `llama`?"
    said = fails(capsys, "run", "tiny.yaml", "--replications", "0")
    assert said == "--replications 0: `run.replications` is 0: it must be 1 or more"
    said = fails(capsys, "run", "tiny.yaml", "--horizon", "-3")
    assert said == "--horizon -3.0: `run.horizon_s` is -3: it must be 0.001 or more"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("run", "missing argument 'SCENARIO'; see e80sim run --help"),
        (
            "run tiny.yaml --sed 4",
            "no such option: --sed (Possible options: --seed, --set); see e80sim run --help",
        ),
        (
            "run tiny.yaml --engine steam",
            "invalid value for '--engine': 'steam' is not one of 'fast', 'step'; see",
        ),
        (
            "run tiny.yaml --jobs 0",
            "invalid value for '--jobs': it must be greater than or equal to 1; see e80sim run --help",
        ),
        ("trace", "missing command; see e80sim trace --help"),
        ("trace look x.csv", "no such command 'look'; see e80sim trace --help"),
        ("fly", "there is no command 'fly'; there are init, run, sweep, plan, check,"),
        ("chekc", "there is no command 'chekc'; did you mean `check`?"),
    ],
)
def test_a_command_that_is_wrong_itself_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: str, sentence: str
) -> None:
    assert fails(capsys, *arguments.split()).startswith(sentence)


@pytest.mark.parametrize(("command", "extra"), [("serve", "shim"), ("load", "load")])
def test_a_package_that_a_plain_installation_leaves_out_is_named_with_what_brings_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, extra: str
) -> None:
    missing = {"serve": "uvicorn", "load": "locust"}[command]
    monkeypatch.setitem(sys.modules, missing, None)
    for name in [name for name in sys.modules if name.startswith("api_shim.server")]:
        monkeypatch.delitem(sys.modules, name)
    said = fails(capsys, command)
    assert said == f"{command} needs {missing}, which is not installed: pip install 'e80sim[{extra}]'"


def test_the_version_names_the_program_and_its_python(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(r"e80sim \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+, (compiled|pure: .+)\)\n", said)


def test_without_a_command_the_menu_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"]):
        assert main(arguments) == 0
        assert "  run            simulate a scenario" in capsys.readouterr().out


def test_help_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    assert "--replications" in capsys.readouterr().out


def test_a_dry_run_says_where_it_would_write_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--out", "deep/down/out", "--dry-run") == 0
    out, err = capsys.readouterr()
    assert out == (
        "tiny: about 400 requests in 20 simulated seconds, 126 MB of memory; deep/down/out can be written\n"
    )
    assert err == ""
    assert not Path("deep").exists()


def test_what_cannot_fit_is_refused_by_check_and_run_alike(capsys: pytest.CaptureFixture[str]) -> None:
    too_much = ["--set", "traffic.chat.arrivals.rate_per_s=1e9"]
    assert run(*too_much) == main(["check", "tiny.yaml", *too_much]) == 2
    one, other = capsys.readouterr().err.splitlines()
    assert one == other
    assert "about 20,000,000,000 requests are more than the 1,000,000,000 that one run may have" in one
    assert not Path("runs").exists()


def test_a_name_too_long_for_the_disk_is_told_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--out", "x" * 250) == 2
    assert capsys.readouterr().err == f"e80sim: {'x' * 250} cannot be made: File name too long\n"


def test_check_says_what_a_run_would_take_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "tiny.yaml", "--set", "run.horizon_s=30"]) == 0
    out, err = capsys.readouterr()
    ok, about, ladder, first, *_ = out.splitlines()
    assert ok == "tiny.yaml: ok. tiny: 2 variants (one, two), 2 replications of 30 s."
    assert about.startswith("tiny: about 2,400 requests in 120 simulated seconds, ")
    assert ladder.startswith("Limits of ")
    assert first.startswith("  -> ")
    assert err == ""
    assert not Path("runs").exists()


def test_the_schema_names_what_a_scenario_must_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {"name", "models", "network", "traffic", "run"} <= set(schema["required"])
    assert schema["additionalProperties"] is False


def test_a_validator_with_the_schema_accepts_a_scenario_and_finds_a_slip(
    capsys: pytest.CaptureFixture[str],
) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="no JSON schema validator is installed")
    import yaml

    main(["schema"])
    validator = jsonschema.Draft202012Validator(json.loads(capsys.readouterr().out))
    scenario = yaml.safe_load(TINY)
    assert list(validator.iter_errors(scenario)) == []
    scenario["models"]["llama"]["nodes"] = 0
    assert len(list(validator.iter_errors(scenario))) == 1


def test_a_directory_that_cannot_be_made_is_refused_before_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = fails(capsys, "run", "tiny.yaml", "--out", "tiny.yaml/run")
    assert said == f"tiny.yaml/run cannot be made: {tmp_path}/tiny.yaml is not a directory"


def test_the_report_command_rebuilds_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--quiet", "--out", "here") == 0
    assert main(["report", "here"]) == 0
    assert (Path("here/report.html")).stat().st_size > 100_000
    capsys.readouterr()
    assert main(["report", "elsewhere"]) == 2
    assert capsys.readouterr().out == ""
