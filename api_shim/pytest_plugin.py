"""A pytest plugin: the fixture `virtual_platform` gives the platform of any scenario, in virtual time."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from api_shim.testing import VirtualPlatform


@pytest.fixture
def virtual_platform() -> "Iterator[Callable[..., VirtualPlatform]]":
    """Call it with a scenario (and what `VirtualPlatform` takes); all platforms close with the test."""
    from api_shim.testing import VirtualPlatform  # noqa: PLC0415 -- heavy, and most tests do not ask for it

    platforms: list[VirtualPlatform] = []

    def make(*args: Any, **kwargs: Any) -> VirtualPlatform:  # noqa: ANN401 -- passed on
        platforms.append(VirtualPlatform(*args, **kwargs))
        return platforms[-1]

    yield make
    for platform in platforms:
        platform.close()
