import os

import pytest

from e80sim.build import COMPILED, ROOT, find


@pytest.fixture(scope="module")
def environments() -> dict[str, dict[str, str]]:
    """Of processes that run each build; skipped where nothing is compiled."""
    usable = find("", ROOT, COMPILED)
    if usable.library is None:
        if os.environ.get("CI"):
            pytest.fail(str(usable))
        pytest.skip(str(usable))
    compiled = {name: value for name, value in os.environ.items() if name != "E80SIM_PURE"}
    return {"pure": compiled | {"E80SIM_PURE": "1"}, "compiled": compiled}
