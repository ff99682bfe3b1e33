"""Prints what the benchmarks measured at the end of the run."""

from typing import Any

import pytest

from tests.support.speeds import Speeds

LINES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def speeds(request: pytest.FixtureRequest) -> Speeds:
    measured = Speeds()
    measured.note("hold loop, heap of 10 tuples", f"{measured.hold:10,.0f} holds/CPU-s")
    request.config.stash[LINES] = measured.lines
    return measured


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash.get(LINES, [])
    if lines:
        terminalreporter.section("speeds")
        for line in lines:
            terminalreporter.write_line(line)
