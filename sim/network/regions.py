"""Round-trip times between cloud regions: measured where somebody did, else predicted and marked so."""

import csv
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache, cached_property
from typing import Literal, NamedTuple

from e80sim.choices import Confidence
from e80sim.mistakes import UserError
from sim.network.catalogue import DATA, network_facts, pair_name
from sim.network.globe import Region, distance_km, is_point, point
from sim.network.prediction import MeasuredPairs

REGION_COLUMNS = "region,city,latitude_deg,longitude_deg"

Method = Literal["measured", "same_metro", "nearby_pairs", "distance", "stated"]


class RttEstimate(NamedTuple):
    """`error_ms` is the mean absolute error of the method; it and the band are None for a measured pair."""

    rtt_ms: float
    method: Method
    error_ms: float | None
    confidence: Confidence
    source: str
    low_ms: float | None = None
    high_ms: float | None = None
    """9 of 10 pairs that were withheld and predicted like this one lie from `low_ms` to here."""

    @property
    def band(self) -> str:
        """For people; empty where nothing was predicted."""
        if self.low_ms is None or self.high_ms is None:
            return ""
        return f"{self.low_ms:g} to {self.high_ms:g} ms in 9 of 10 such cases"

    @property
    def says(self) -> str:
        """Method, source and error in one line."""
        error = "" if self.error_ms is None else f", mean absolute error {self.error_ms:g} ms, {self.band}"
        return self.source if self.method == "stated" else f"{self.method}: {self.source}{error}"


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
        """A region by name, or the place that coordinates such as `@52.52,13.4` mean."""
        if is_point(name):
            return point(name)
        found = self.regions.get(name)
        if found is None:
            raise UserError(f"there is no region {name!r}; {_hint(name, self.regions)}")
        return found

    def rtt_between(self, a: str, b: str) -> RttEstimate:
        """Measured, else of one metro, else from the nearest measured pair, else from a short distance."""
        start, end = self.region(a), self.region(b)
        if a == b:
            raise UserError(f"{a} to itself is a hop inside a region, not a pair of regions")
        pair = _pair(a, b)
        measured = self.rtts.get(pair)
        if measured is not None:
            return RttEstimate(measured, "measured", None, "measured", _table_of(pair))
        if self.same_metro(a, b):
            rtt = network_facts().hops["metro_xcloud"].values["rtt_floor_ms"]
            error_ms = network_facts().region_prediction.values["same_metro_error_ms"].value
            return RttEstimate(
                rtt.value, "same_metro", error_ms, rtt.confidence, rtt.source, rtt.low, rtt.high
            )
        found = self._pairs.predict(start, end, network_facts().region_prediction)
        return RttEstimate(
            found.rtt_ms, found.method, found.error_ms, "derived", found.source, found.low_ms, found.high_ms
        )

    def same_metro(self, a: str, b: str) -> bool:
        """Next to each other, but not two regions of one cloud, which are apart by design."""
        start, end = self.region(a), self.region(b)
        if start.cloud == end.cloud and start.cloud:
            return False
        if a in self.metros and self.metros[a] == self.metros.get(b):
            return True
        near_km = network_facts().region_prediction.values["same_metro_km"].value
        return _pair(a, b) not in self.rtts and distance_km(start, end) <= near_km

    def measured_rtt_ms(self, a: str, b: str) -> float | None:
        return self.rtts.get(_pair(a, b))

    def neighbour_rtt_ms(self, region: str) -> float | None:
        """Measured round trip to the other cloud's region in the same metro, None where there is none."""
        metro = self.metros.get(region)
        for other in self.metros:
            if other != region and self.metros[other] == metro:
                return self.rtts.get(_pair(region, other))
        return None

    @cached_property
    def _pairs(self) -> MeasuredPairs:
        return MeasuredPairs(self.regions, self.rtts)


def _table_of(pair: tuple[str, str]) -> str:
    return (
        "azure_rtt.csv" if pair[0].startswith("azure:") and pair[1].startswith("azure:") else "region_rtt.csv"
    )


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)


def _hint(name: str, known: Mapping[str, Region]) -> str:
    """The nearest spellings; a code without its cloud counts as near."""
    same_code = [region for region in known if region.rpartition(":")[2] == name.rpartition(":")[2]]
    close = dict.fromkeys([*get_close_matches(name, known, n=2, cutoff=0.8), *same_code])
    if close:
        return f"did you mean {' or '.join(repr(region) for region in close)}?"
    return "regions are written as 'aws:us-east-1' or 'azure:eastus', coordinates as '@52.52,13.4'"


@cache
def region_table() -> RegionTable:
    """The table that comes with the product."""
    return RegionTable(
        regions={
            name: Region(name, city, float(latitude_deg), float(longitude_deg))
            for file in ("regions.csv", "more_regions.csv")
            for name, city, latitude_deg, longitude_deg in _rows(
                file, "region,city,latitude_deg,longitude_deg"
            )
        },
        rtts={
            (a, b): float(rtt_ms)
            for file in ("region_rtt.csv", "azure_rtt.csv")
            for a, b, rtt_ms in _rows(file, "a,b,rtt_ms")
        },
        metros={
            region: metro
            for metro, aws, gcp, adjacent in _rows("metros.csv", "metro,aws,gcp,adjacent")
            if adjacent == "yes"
            for region in (aws, gcp)
        },
    )


def _rows(name: str, columns: str) -> Iterator[list[str]]:
    """Below the header, which is `columns`: a dictionary for each of thousands of rows takes 20 ms."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        header = next(lines).strip()
        assert header == columns, (name, header)
        yield from csv.reader(lines)


def require_pair(pair: tuple[str, str]) -> None:
    """Raises UserError unless these are two places between which a scenario may state the round trip."""
    a, b = (region_table().region(name).name for name in pair)
    if a == b:
        raise UserError(f"{a} to itself is no pair of places")
    if (min(a, b), max(a, b)) != pair:
        raise UserError(f"that pair of places is written {pair_name(a, b)}")


def rtt_between(a: str, b: str) -> RttEstimate:
    return region_table().rtt_between(a, b)
