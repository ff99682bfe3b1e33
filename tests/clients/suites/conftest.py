"""What the suites share. They run where there is a client and pytest, and nothing of this project."""

from collections.abc import Callable

import pytest

REQUESTS = 12
"""Twice as many as the limited model takes at once: on a slow machine some time passes meanwhile."""


@pytest.fixture
def anyio_backend() -> str:
    """Every client brings anyio, whose plugin runs async tests."""
    return "asyncio"


@pytest.fixture
def ask_too_often() -> Callable[[Callable[[], object]], None]:
    def asking(ask: Callable[[], object]) -> None:
        for _ in range(REQUESTS):
            ask()

    return asking
