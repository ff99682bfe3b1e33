"""How many observations a quantile wants."""

import math


def requests_needed(probability: float) -> int:
    """Ten observations beyond it, on its thinner side."""
    return math.ceil(10 / min(probability, 1 - probability) - 1e-6)
