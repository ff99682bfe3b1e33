"""Gaps with a stated spread, as a long-running source has them at a moment nobody chose."""

from numpy.random import Generator

from traffic.blocks import DrawGaps
from traffic.units import FloatArray


def gamma_gaps(rng: Generator, mean_ps: float, cv: float) -> DrawGaps:
    """Gamma gaps with coefficient of variation `cv`; 1 is Poisson, above it bursts, below it more even.

    The first is what remains of a gap under way: a uniform share of one that was met in proportion to its
    length, which for gamma gaps is a gamma variate of a shape greater by one. Were it a whole gap, each run
    would open with a burst of about (cv**2 - 1) / 2 requests too many, 86 at a `cv` of 13.
    """
    shape, scale_ps = cv**-2, mean_ps * cv**2
    remaining_ps: float | None = rng.random() * rng.gamma(shape + 1, scale_ps)

    def draw(n: int) -> FloatArray:
        nonlocal remaining_ps
        gaps_ps = rng.gamma(shape, scale_ps, n)
        if remaining_ps is not None:
            gaps_ps[0], remaining_ps = remaining_ps, None
        return gaps_ps

    return draw
