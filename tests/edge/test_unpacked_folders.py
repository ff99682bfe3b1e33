"""Folders of what is deployed, which a server that is killed leaves behind."""

import os
import tempfile
from pathlib import Path

import pytest

from api_shim.edge.deployed import locked_folder, remove_forsaken


def test_the_next_server_removes_what_a_killed_one_left_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (forsaken, its_lock), (held, lock) = locked_folder(), locked_folder()
    (forsaken / "dep_1").mkdir()
    (forsaken / "dep_1" / "main.py").touch()
    (linked := tmp_path / "e80sim-deployed-link").symlink_to(tmp_path / "home")
    (tmp_path / "home").mkdir()
    os.close(its_lock)  # as the kernel does for a process that is killed
    remove_forsaken()
    assert {path.name for path in tmp_path.iterdir()} == {held.name, linked.name, "home"}
    os.close(lock)
