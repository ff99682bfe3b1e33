"""One hypothesis profile for all: no deadlines, as machines are noisy; under CI always the same examples.

A law that wants more examples than fifty says so.

Some simulations happen twice: `tests/support/repeated.py`.
"""

import os

from hypothesis import Phase, settings

from e80sim.build import build
from tests.support.repeated import repeat_some

settings.register_profile("e80sim", max_examples=50, deadline=None, derandomize="CI" in os.environ)
# A mutant is killed by any example; the simplest one is only sought for people to read.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("e80sim")

repeat_some()


def pytest_report_header() -> str:
    return f"e80sim: {build()}"
