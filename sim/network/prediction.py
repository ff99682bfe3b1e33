"""The round trip between two places that nobody measured, from measured pairs nearby, with the error of that.

Measured pairs are near those two places if their ends are. Each of them, moved by the slope of round trips
to the distance in question, is a guess; the prediction is their mean, weighted by nearness. The nearest pair
alone errs by a tenth more, and jumps where another one becomes the nearest.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.network.catalogue import ErrorClass, RegionPrediction
from sim.network.globe import Region, distance_km, distances_km


class Prediction(NamedTuple):
    """`error_ms`: mean absolute error of pairs of its class. 9 of 10 of them lie in `low_ms` to `high_ms`."""

    rtt_ms: float
    low_ms: float
    high_ms: float
    error_ms: float
    method: Literal["nearby_pairs", "distance"]
    source: str


class MeasuredPairs:
    """What is measured, as arrays: of each pair the numbers of its ends, its round trip and its length."""

    def __init__(self, regions: Mapping[str, Region], rtts: Mapping[tuple[str, str], float]) -> None:
        self.names: Sequence[str] = list(regions)
        number = {name: i for i, name in enumerate(self.names)}
        ends = np.array([(number[a], number[b]) for a, b in rtts], dtype=np.intp).reshape(-1, 2)
        self._positions = np.array([regions[name].position for name in self.names])
        self._first, self._second = ends[:, 0], ends[:, 1]
        self._rtts = np.array(list(rtts.values()))
        self._lengths_km = _lengths_km(self._positions, self._first, self._second)

    def predict(self, a: Region, b: Region, known: RegionPrediction) -> Prediction:
        """Of `a` to `b`, the same as of `b` to `a`. Never faster than light in fibre."""
        facts, apart_km = known.values, distance_km(a, b)
        least_ms = facts["fibre_ms_per_km"].value * apart_km
        away_km, crossed = self._away_km(a, b)
        nearest = int(np.argmin(away_km))
        if away_km[nearest] > apart_km and apart_km < facts["short_km"].value:
            rtt_ms = facts["short_offset_ms"].value + facts["short_ms_per_km"].value * apart_km
            source = f"{apart_km:,.0f} km and no measured pair nearby"
            return _banded(rtt_ms, least_ms, known.error_by_distance(apart_km), "distance", source)
        guesses_ms = self._rtts + facts["ms_per_km"].value * (apart_km - self._lengths_km)
        weights = np.exp((away_km[nearest] - away_km) / facts["near_km"].value)
        rtt_ms = float(weights @ guesses_ms / weights.sum())
        error = known.error(float(away_km[nearest]), apart_km)
        source = f"measured pairs nearby, first {self._named(nearest, crossed=bool(crossed[nearest]))}"
        return _banded(rtt_ms, least_ms, error, "nearby_pairs", source)

    def _away_km(self, a: Region, b: Region) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """How far each measured pair is from a and b, ends added up, and whether its second is near a."""
        from_a = distances_km(a.position, self._positions)
        from_b = distances_km(b.position, self._positions)
        straight = from_a[self._first] + from_b[self._second]
        crossed = from_a[self._second] + from_b[self._first]
        return np.minimum(straight, crossed), crossed < straight

    def _named(self, pair: int, *, crossed: bool) -> str:
        ends = self.names[int(self._first[pair])], self.names[int(self._second[pair])]
        return " to ".join(reversed(ends) if crossed else ends)


def _banded(
    rtt_ms: float,
    least_ms: float,
    error: ErrorClass,
    method: Literal["nearby_pairs", "distance"],
    source: str,
) -> Prediction:
    rtt_ms = max(rtt_ms, least_ms)
    low_ms, high_ms = max(rtt_ms + error.low_ms, least_ms), rtt_ms + error.high_ms
    return Prediction(
        round(rtt_ms, 1), round(low_ms, 1), round(high_ms, 1), error.mean_ms, method=method, source=source
    )


def _lengths_km(
    positions: NDArray[np.float64], first: NDArray[np.intp], second: NDArray[np.intp]
) -> NDArray[np.float64]:
    table = np.array([distances_km((float(row[0]), float(row[1])), positions) for row in positions])
    lengths: NDArray[np.float64] = table[first, second]
    return lengths
