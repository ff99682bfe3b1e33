"""Prints what the benchmarks measured at the end of the run.

With `--once` they are timed a single time, and the rest of what they do is the same: `make bench-counts`.
"""

from typing import Any

import pytest

from tests.support.speeds import Speeds

LINES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--once", action="store_true", help="time everything once: counts need no more")


@pytest.fixture(scope="session")
def speeds(request: pytest.FixtureRequest) -> Speeds:
    measured = Speeds(once=request.config.getoption("once"))
    measured.note("hold loop, heap of 10 tuples", f"{measured.hold:10,.0f} holds/CPU-s")
    request.config.stash[LINES] = measured.lines
    return measured


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash.get(LINES, [])
    if lines:
        terminalreporter.section("speeds")
        for line in lines:
            terminalreporter.write_line(line)
