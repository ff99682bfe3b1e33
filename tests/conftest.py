"""One hypothesis profile for all: no deadlines, as machines are noisy; under CI always the same examples.

Some simulations happen twice: `tests/support/repeated.py`.
"""

import os

from hypothesis import settings

from tests.support.repeated import repeat_some

settings.register_profile("e80sim", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("e80sim")

repeat_some()
