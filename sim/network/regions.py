"""Round-trip times between cloud regions: measured where somebody did, else predicted and marked so."""

import csv
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache, cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from e80sim.choices import Confidence
from e80sim.mistakes import UserError
from sim.network.catalogue import DATA, network_facts

Method = Literal["measured", "same_metro", "nearest_pair", "distance"]
EARTH_RADIUS_KM = 6371.0


class Region(NamedTuple):
    name: str
    """Cloud and code, such as `aws:us-east-1`."""
    city: str
    latitude_deg: float
    longitude_deg: float

    @property
    def cloud(self) -> str:
        return self.name.partition(":")[0]


class RttEstimate(NamedTuple):
    """`error_ms` is the mean absolute error of the method, None for a measured pair."""

    rtt_ms: float
    method: Method
    error_ms: float | None
    confidence: Confidence
    source: str


class RegionTable:
    """`rtts` holds each unordered pair once, its names sorted. `metros`: region -> name, neighbours only."""

    def __init__(
        self,
        regions: Mapping[str, Region],
        rtts: Mapping[tuple[str, str], float],
        metros: Mapping[str, str],
    ) -> None:
        self.regions = regions
        self.rtts = rtts
        self.metros = metros

    def region(self, name: str) -> Region:
        found = self.regions.get(name)
        if found is None:
            raise UserError(f"there is no region {name!r}; {_hint(name, self.regions)}")
        return found

    def rtt_between(self, a: str, b: str) -> RttEstimate:
        """Measured, else of one metro, else from the nearest measured pair, else from a short distance."""
        start, end = self.region(a), self.region(b)
        if a == b:
            raise UserError(f"{a} to itself is a hop inside a region, not a pair of regions")
        measured = self.rtts.get(_pair(a, b))
        if measured is not None:
            return RttEstimate(measured, "measured", None, "measured", "region_rtt.csv")
        if self.same_metro(a, b):
            rtt = network_facts().hops["metro_xcloud"].values["rtt_floor_ms"]
            error_ms = network_facts().region_prediction["same_metro_error_ms"].value
            return RttEstimate(rtt.value, "same_metro", error_ms, rtt.confidence, rtt.source)
        return self._predicted(start, end)

    def same_metro(self, a: str, b: str) -> bool:
        """Next to each other, in two clouds. Two regions of one cloud are apart by design."""
        start, end = self.region(a), self.region(b)
        if start.cloud == end.cloud:
            return False
        if a in self.metros and self.metros[a] == self.metros.get(b):
            return True
        near_km = network_facts().region_prediction["same_metro_km"].value
        return _pair(a, b) not in self.rtts and distance_km(start, end) <= near_km

    def neighbour_rtt_ms(self, region: str) -> float | None:
        """Measured round trip to the other cloud's region in the same metro, None where there is none."""
        metro = self.metros.get(region)
        for other in self.metros:
            if other != region and self.metros[other] == metro:
                return self.rtts.get(_pair(region, other))
        return None

    def _predicted(self, a: Region, b: Region) -> RttEstimate:
        facts = network_facts().region_prediction
        apart_km = distance_km(a, b)
        n, m, replaced_km = self._nearest_pair(a, b)
        if replaced_km > apart_km and apart_km < facts["short_km"].value:
            rtt_ms = facts["short_offset_ms"].value + facts["short_ms_per_km"].value * apart_km
            source = f"{apart_km:,.0f} km and no measured pair nearby"
            return RttEstimate(
                round(rtt_ms, 1), "distance", facts["distance_error_ms"].value, "derived", source
            )
        longer_km = apart_km - distance_km(n, m)
        rtt_ms = self.rtts[_pair(n.name, m.name)] + facts["ms_per_km"].value * longer_km
        rtt_ms = max(rtt_ms, facts["fibre_ms_per_km"].value * apart_km)
        source = f"{n.name} to {m.name}, {longer_km:+,.0f} km"
        return RttEstimate(round(rtt_ms, 1), "nearest_pair", _error_ms(replaced_km), "derived", source)

    def _nearest_pair(self, a: Region, b: Region) -> tuple[Region, Region, float]:
        """The measured pair whose ends lie nearest to a and b, in that order, and how far away in all."""
        names, first, second, positions = self._geometry
        from_a = _distances_km(_position(a), positions)
        from_b = _distances_km(_position(b), positions)
        straight = from_a[first] + from_b[second]
        crossed = from_a[second] + from_b[first]
        best = int(np.argmin(np.minimum(straight, crossed)))
        ends = (int(first[best]), int(second[best]))
        if crossed[best] < straight[best]:
            ends = ends[::-1]
        replaced_km = float(min(straight[best], crossed[best]))
        return self.regions[names[ends[0]]], self.regions[names[ends[1]]], replaced_km

    @cached_property
    def _geometry(
        self,
    ) -> tuple[list[str], NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        names = list(self.regions)
        number = {name: i for i, name in enumerate(names)}
        ends = np.array([(number[a], number[b]) for a, b in self.rtts], dtype=np.intp)
        positions = np.array([_position(self.regions[name]) for name in names])
        return names, ends[:, 0], ends[:, 1], positions


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)


def _hint(name: str, known: Mapping[str, Region]) -> str:
    """The nearest spellings; a code without its cloud counts as near."""
    same_code = [region for region in known if region.rpartition(":")[2] == name.rpartition(":")[2]]
    close = dict.fromkeys([*get_close_matches(name, known, n=2, cutoff=0.8), *same_code])
    if close:
        return f"did you mean {' or '.join(repr(region) for region in close)}?"
    return "regions are written as 'aws:us-east-1' or 'gcp:us-east4'"


def _error_ms(replaced_km: float) -> float:
    facts = network_facts().region_prediction
    for limit_km in (700, 1500, 3000):
        if replaced_km <= limit_km:
            return facts[f"error_within_{limit_km}_km_ms"].value
    return facts["error_beyond_ms"].value


def distance_km(a: Region, b: Region) -> float:
    """Along the great circle."""
    return float(_distances_km(_position(a), np.array([_position(b)]))[0])


def _position(region: Region) -> tuple[float, float]:
    return region.latitude_deg, region.longitude_deg


def _distances_km(origin: tuple[float, float], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    latitude, longitude = np.radians(origin)
    latitudes, longitudes = np.radians(positions).T
    haversine = (
        np.sin((latitudes - latitude) / 2) ** 2
        + np.cos(latitude) * np.cos(latitudes) * np.sin((longitudes - longitude) / 2) ** 2
    )
    distances: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(haversine))
    return distances


@cache
def region_table() -> RegionTable:
    """The table that comes with the product."""
    return RegionTable(
        regions={
            row["region"]: Region(
                row["region"], row["city"], float(row["latitude_deg"]), float(row["longitude_deg"])
            )
            for row in _rows("regions.csv")
        },
        rtts={(row["a"], row["b"]): float(row["rtt_ms"]) for row in _rows("region_rtt.csv")},
        metros={
            row[cloud]: row["metro"]
            for row in _rows("metros.csv")
            if row["adjacent"] == "yes"
            for cloud in ("aws", "gcp")
        },
    )


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(line for line in file if not line.startswith("#"))


def rtt_between(a: str, b: str) -> RttEstimate:
    return region_table().rtt_between(a, b)
