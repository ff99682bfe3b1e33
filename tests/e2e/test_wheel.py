"""A first minute without a checkout: the built wheel, in an environment of its own and another folder."""

import json
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

pytestmark = pytest.mark.realtime
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
MODELS = ["8080/taalas/llama3.1-8b-instruct", "8080/llm_server/gpt-oss-20b"]
PATIENCE_S = 120
MADE_HERE = {"__pycache__", "compiled"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since setuptools leaves its work beside the sources."""
    sources, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "setup.py"):
        shutil.copy(ROOT / name, sources)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns(*MADE_HERE))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(sources))
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its commands. What the program depends on comes from the packages of this environment."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    pip("--python", str(home / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel))
    (own,) = home.glob("lib/python3*/site-packages")
    (own / "zz-dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin"


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr


def e80sim(installed: Path, folder: Path, *arguments: str) -> str:
    command = [str(installed / "e80sim"), *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_every_package_is_in_the_wheel(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and MADE_HERE.isdisjoint(path.relative_to(ROOT).parts)
    }
    assert packed == files
    assert {
        "traffic/locustfile.py",
        "sim/data/scenarios/live.yaml",
        "api_shim/dashboard/templates/base.html",
    } <= packed


def test_the_program_that_is_tried_is_the_installed_one(installed: Path, tmp_path: Path) -> None:
    command = [
        str(installed / "python"),
        "-c",
        "import sim, api_shim; print(sim.__file__, api_shim.__file__)",
    ]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert all(Path(file).is_relative_to(installed.parent) for file in found), found


def test_a_first_scenario_is_written_and_run(installed: Path, tmp_path: Path) -> None:
    e80sim(installed, tmp_path, "init", "my-app")
    said = e80sim(installed, tmp_path, "run", "my-app.yaml", "--replications", "1", "--horizon", "10")
    assert (tmp_path / said.splitlines()[-1]).name == "report.html"
    assert (tmp_path / said.splitlines()[-1]).exists()


def test_serve_without_a_scenario_answers_as_the_documented_platform(installed: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [installed / "e80sim", "serve", "--port", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        try:
            assert "documented platform" in server.stderr.readline()
            url = server.stderr.readline().split()[1]
            threading.Thread(target=server.stderr.read, daemon=True).start()
            with httpx.Client(headers={"authorization": "Bearer sk-me"}, timeout=PATIENCE_S) as client:
                assert [one["id"] for one in client.get(f"{url}/models").json()["data"]] == MODELS
                for model in MODELS:
                    body = {
                        "model": model,
                        "messages": [{"role": "user", "content": "Why?"}],
                        "max_tokens": 5,
                    }
                    answer = client.post(f"{url}/chat/completions", json=body)
                    assert answer.status_code == 200, answer.text
                    assert answer.headers["x-ratelimit-limit-requests"] == "250"
        finally:
            server.terminate()
        assert server.wait(PATIENCE_S) == 0


def test_load_without_a_scenario_reports_what_the_client_saw(installed: Path, tmp_path: Path) -> None:
    said = e80sim(installed, tmp_path, "load", "--duration", "4", "--speed", "2", "--out", "run")
    assert "run/report.html" in said
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["live"]["speed"] == 2.0
    assert (tmp_path / "run" / "client.jsonl").stat().st_size > 0
