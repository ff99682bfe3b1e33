from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.live import MakeWire, Wire, make_wire


@pytest.fixture
def make() -> Iterator[MakeWire]:
    """Wires that are closed with the test."""
    wires: list[Wire] = []

    def made(*args: Any, **kwargs: Any) -> Wire:
        wires.append(make_wire(*args, **kwargs))
        return wires[-1]

    yield made
    for wire in wires:
        wire.platform.close()


@pytest.fixture
def wire(make: MakeWire) -> Wire:
    return make()
