"""One hypothesis profile for all: no deadlines, as machines are noisy; under CI always the same examples."""

import os

from hypothesis import settings

settings.register_profile("e80sim", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("e80sim")
