"""One hypothesis profile for all: no deadlines, since machines are noisy; under CI the same examples every time."""

import os

from hypothesis import settings

settings.register_profile("e80sim", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("e80sim")
