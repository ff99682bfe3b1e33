import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reports import card as card_file
from reports.run_directory import Run, write
from reports.summary import summarise
from tests.support.cli import e80sim
from tests.support.synthetic import synthetic_run

DRAWN = b"\x89PNG of a browser"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    tables, manifest = synthetic_run(400, variants=2, replications=2)
    write(tmp_path / "run", Run(tables, manifest, "name: synthetic\n", summarise(tables, manifest)))
    return tmp_path / "run"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was started in place of a browser, which here draws at once."""
    started: list[list[str]] = []

    def draw(command: list[str], **_: Any) -> None:
        started.append(command)
        (picture,) = (one.partition("=")[2] for one in command if one.startswith("--screenshot="))
        Path(picture).write_bytes(DRAWN)

    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/chromium" if name == "chromium" else None)
    monkeypatch.setattr(subprocess, "run", draw)
    return started


def test_a_card_is_drawn_by_the_systems_browser_and_lies_where_it_should(
    run: Path, tmp_path: Path, commands: list[list[str]]
) -> None:
    done = e80sim("report", [str(run), "--card", str(tmp_path / "card.png")])
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "card.png"))
    assert (tmp_path / "card.png").read_bytes() == DRAWN
    (command,) = commands
    assert command[0] == "/usr/bin/chromium"
    assert "--window-size=1200,630" in command
    assert not (run / "report.html").exists()


def test_without_a_browser_one_sentence_says_what_to_install(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    done = e80sim("report", [str(run), "--card", str(tmp_path / "card.png")])
    assert done.exit_code == 2
    assert done.stderr.endswith("which is not there: install chromium or google-chrome\n")
    assert not (tmp_path / "card.png").exists()


@pytest.mark.usefixtures("commands")
def test_a_browser_that_never_ends_or_fails_is_told_in_one_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, card_file.PATIENCE_S)

    def fails(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(1, command[:1])

    for instead, told in ((late, "took more than 60 s"), (fails, "could not draw the card")):
        monkeypatch.setattr(subprocess, "run", instead)
        done = e80sim("report", [str(run), "--card", str(tmp_path / "card.png")])
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert told in done.stderr


@pytest.mark.parametrize("other", [["--check"], ["--out", "copy.html"]])
def test_a_card_goes_with_nothing_else(run: Path, other: list[str]) -> None:
    done = e80sim("report", [str(run), "--card", "card.png", *other])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "leave --check and --out out" in done.stderr
