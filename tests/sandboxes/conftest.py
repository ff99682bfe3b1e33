import os
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import pytest

from api_shim.sandboxes.backend import NoIsolationError, Wish
from api_shim.sandboxes.bubblewrap import Bubblewrap
from api_shim.sandboxes.keeper import Keeper
from api_shim.sandboxes.limits import SandboxLimits
from api_shim.sandboxes.sandbox import Outcome, Program, Sandbox

T = TypeVar("T")
PATIENCE_S = 60.0


class Box:
    """A sandbox, asked from outside its loop."""

    def __init__(self, keeper: Keeper, sandbox: Sandbox) -> None:
        self.keeper = keeper
        self.sandbox = sandbox

    def python(self, code: str, **options: Any) -> Outcome:
        return self.run(Program(code=code), **options)

    def shell(self, line: str, **options: Any) -> Outcome:
        return self.run(Program(("/bin/sh", "-c", line)), **options)

    def run(self, program: Program, **options: Any) -> Outcome:
        return self.wait(self.keeper.submit(self.sandbox.run(program, **options)))

    def put(self, path: str, content: bytes) -> None:
        self.wait(self.keeper.submit(self.sandbox.put(path, content)))

    def get(self, path: str, most_bytes: int = 2**20) -> bytes:
        return self.wait(self.keeper.submit(self.sandbox.get(path, most_bytes)))

    def stop(self) -> None:
        self.wait(self.keeper.submit(self.sandbox.stop()))

    def until_over(self) -> str:
        self.wait(self.keeper.submit(self.sandbox.over.wait()))
        assert self.sandbox.ended_by is not None
        return self.sandbox.ended_by

    def wait(self, future: Future[T]) -> T:
        return future.result(PATIENCE_S)


class Boxes:
    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._made = 0

    def __call__(self, **limits: Any) -> Box:
        self._made += 1
        wish = Wish(f"box-{self._made}", SandboxLimits(**limits))
        return Box(self.keeper, self.keeper.submit(self.keeper.create(wish)).result(PATIENCE_S))


def require_isolation() -> None:
    """Skips where nothing can be isolated; under CI that is a failure."""
    keeper = Keeper(Bubblewrap())
    try:
        keeper.submit(keeper.backend.probe()).result(PATIENCE_S)
    except NoIsolationError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    finally:
        keeper.close()


@pytest.fixture(scope="session")
def isolation() -> None:
    require_isolation()


@pytest.fixture(scope="module")
def boxes(isolation: None) -> Iterator[Boxes]:
    assert isolation is None
    keeper = Keeper(Bubblewrap())
    yield Boxes(keeper)
    keeper.close()


@pytest.fixture
def box(boxes: Boxes) -> Iterator[Box]:
    made = boxes()
    yield made
    made.stop()


def processes_named(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if mark.encode() in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
            except OSError:
                continue
    return found
