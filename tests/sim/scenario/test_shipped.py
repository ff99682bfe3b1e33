"""The scenarios in the package: what is documented, and what `e80sim init` writes."""

import shlex
from pathlib import Path

import pytest

from api_shim.testing import VirtualPlatform
from sim.scenario.load import load
from sim.scenario.shipped import DOCUMENTED_PLATFORM, FIRST
from tests.support.cli import e80sim


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_platform_that_is_served_without_a_scenario_is_the_documented_one() -> None:
    models = load(DOCUMENTED_PLATFORM).variant(None).models.values()
    served = {model.id: (model.context_tokens, model.hardware.kind) for model in models}
    assert served == {
        "8080/taalas/llama3.1-8b-instruct": (25_000, "hardwired_asic"),
        "8080/llm_server/gpt-oss-20b": (64_000, "gpu_iteration"),
    }
    for model in models:
        assert model.limits is not None
        assert (model.limits.requests_per_minute, model.limits.tokens_per_minute) == (250, 100_000)
        assert model.limits.scope == "project"


def test_its_own_traffic_stays_below_the_limits_of_each_project() -> None:
    traffic = load(DOCUMENTED_PLATFORM).variant(None).traffic.values()
    assert len({(source.tenant, source.model) for source in traffic}) == len(traffic) == 4
    for source in traffic:
        rate_per_s = source.arrivals.mean_rate_per_s
        assert rate_per_s is not None
        assert 60 * rate_per_s < 0.6 * 250  # and 400 tokens each, so less than half of 100k


@pytest.mark.parametrize("kind", FIRST)
def test_a_first_scenario_of_each_kind_checks_runs_and_serves(kind: str, folder: Path) -> None:
    written = e80sim("init", ["my-first", "--kind", kind])
    assert written.exit_code == 0
    assert "\nname: my-first\n" in (folder / "my-first.yaml").read_text()
    assert sorted(path.name for path in folder.iterdir()) == [
        *(["my-first.csv"] if kind == "trace" else []),
        "my-first.yaml",
    ]
    advice = [shlex.split(line, comments=True) for line in written.stdout.splitlines() if "  e80sim" in line]
    assert advice == [["e80sim", name, "my-first.yaml"] for name in ("check", "run", "serve", "load")]

    assert e80sim("check", ["my-first.yaml"]).exit_code == 0
    short = ["--horizon", "15", "--set", "run.warm_up_s=0", "--replications", "1", "--jobs", "1"]
    ran = e80sim("run", ["my-first.yaml", *short, "--out", "run", "--no-report"])
    assert ran.exit_code == 0, ran.stderr
    assert "requests measured" in ran.stdout
    with VirtualPlatform("my-first.yaml") as platform:
        for model in load(Path("my-first.yaml")).base.models.values():
            asked = platform.client().chat.completions.create(
                model=model.id, messages=[{"role": "user", "content": "Why?"}], max_tokens=40
            )
            assert platform.run(asked).choices[0].message.content


def test_a_first_scenario_explains_itself(folder: Path) -> None:
    e80sim("init", ["my-app"])
    assert (folder / "my-app.yaml").read_text().count(" # ") >= 8


def test_nothing_is_overwritten(folder: Path) -> None:
    for existing in ("mine.yaml", "mine.csv"):
        (folder / existing).write_text("dear")
        told = e80sim("init", ["mine", "--kind", "trace"])
        assert (told.exit_code, told.stdout) == (2, "")
        assert told.stderr == f"e80sim: {existing} exists already: choose another name\n"
        assert [path.name for path in folder.iterdir()] == [existing]
        assert (folder / existing).read_text() == "dear"
        (folder / existing).unlink()


@pytest.mark.parametrize("name", ["My_App", "../x", "", "x\n", "-x"])
def test_a_name_that_no_scenario_can_have_is_told(name: str, folder: Path) -> None:
    told = e80sim("init", ["--", name])
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
    assert list(folder.iterdir()) == []


def test_a_name_may_be_given_as_its_file(folder: Path) -> None:
    assert e80sim("init", ["my-app.yaml"]).exit_code == 0
    assert (folder / "my-app.yaml").exists()
