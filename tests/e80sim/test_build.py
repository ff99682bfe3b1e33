"""Which build runs. The folder stands for a checkout whose hot path is two modules."""

import json
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from e80sim.build import Build, digests, find

MODULES = ["sim.node.one", "traffic.two"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in zip(("sim/node/one.py", "traffic/two.py"), ("ONE = 1\n", "TWO = 2\n"), strict=True):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    compile_for(tmp_path, EXTENSION_SUFFIXES[0])
    return tmp_path


def compile_for(root: Path, suffix: str) -> None:
    folder, library = root / "compiled", f"group__mypyc{suffix}"
    folder.mkdir(exist_ok=True)
    (folder / library).touch()
    made = {"library": library, "sources": digests(root, MODULES)}
    (folder / "sources.json").write_text(json.dumps(made))


def found(root: Path, environment: str = "") -> Build:
    return find(environment, root, root / "compiled")


def test_what_was_compiled_of_these_sources_is_taken(root: Path) -> None:
    build = found(root)
    assert str(build) == "compiled"
    assert build.library is not None
    assert build.library.parent == root / "compiled"
    assert build.modules == set(MODULES)


@pytest.mark.parametrize("name", ["sim/node/one.py", "traffic/two.py"])
def test_an_edited_source_is_what_runs_and_with_it_all_others(root: Path, name: str) -> None:
    (root / name).write_text("ONE = 3\n")
    build = found(root)
    assert build.library is None
    assert not build.modules
    assert str(build) == f"pure: {name.removesuffix('.py').replace('/', '.')} was edited after compiling"


def test_a_source_that_is_gone_was_edited(root: Path) -> None:
    (root / "traffic/two.py").unlink()
    assert "traffic.two" in str(found(root))


def test_an_environment_variable_keeps_a_process_pure(root: Path) -> None:
    assert str(found(root, "1")) == "pure: E80SIM_PURE is set"


def test_where_nothing_was_compiled_the_sources_run(root: Path) -> None:
    (root / "compiled" / "sources.json").unlink()
    assert str(found(root)) == "pure: nothing is compiled here"


def test_a_library_for_another_python_is_left_alone(root: Path) -> None:
    compile_for(root, ".cpython-27-x86_64-linux-gnu.so")
    assert str(found(root)) == "pure: what is compiled here is for another Python"
