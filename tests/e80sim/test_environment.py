"""What is preferred where the user says nothing: this process has it, and none of the user's programs."""

import os
from pathlib import Path

import pytest

from api_shim.edge.plan import EdgePlan
from e80sim import environment
from e80sim.environment import prefer, users_own
from sim.__main__ import UNLESS_STATED, main


@pytest.fixture(autouse=True)
def unstated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_PREFERRED", {})
    for name in UNLESS_STATED:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "put back afterwards")
        del os.environ[name]


def test_a_preference_is_here_and_not_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATED", "4")
    prefer({"STATED": "1", "UNSTATED": "1"})
    assert (os.environ["STATED"], os.environ["UNSTATED"]) == ("4", "1")
    assert users_own()["STATED"] == "4"
    assert "UNSTATED" not in users_own()
    monkeypatch.setenv("UNSTATED", "2")  # said in the meantime
    assert users_own()["UNSTATED"] == "2"


def test_what_a_command_prefers_is_not_given_to_the_users_programs(tmp_path: Path) -> None:
    assert main(["schema"]) == 0
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    app = EdgePlan("app", "app", "main:app", tmp_path)
    for given in (users_own(), app.variables()):
        assert not set(given) & set(UNLESS_STATED)
