"""Points on the globe: the regions of clouds, and coordinates that stand for a place of one's own."""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from e80sim.mistakes import UserError

EARTH_RADIUS_KM = 6371.0

Position = tuple[float, float]
"""Latitude and longitude in degrees, north and east positive."""

BOUNDS = {"lat": 90.0, "lon": 180.0}
_POINT = re.compile(r"@(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)")


class Region(NamedTuple):
    name: str
    """Cloud and code, such as `aws:us-east-1`; of coordinates `@52.52,13.4`."""
    city: str
    latitude_deg: float
    longitude_deg: float

    @property
    def cloud(self) -> str:
        """Empty for coordinates."""
        return self.name.partition(":")[0] if ":" in self.name else ""

    @property
    def position(self) -> Position:
        return self.latitude_deg, self.longitude_deg


def is_point(name: str) -> bool:
    return name.startswith("@")


def point_name(lat: float, lon: float) -> str:
    """`@52.52,13.4`: coordinates where the name of a region may stand. Raises UserError off the globe."""
    for axis, value in {"lat": lat, "lon": lon}.items():
        most = BOUNDS[axis]
        if not -most <= value <= most:
            raise UserError(f"{axis} is {value:g}; it must be {-most:g} to {most:g} degrees")
    return f"@{round(lat, 4) + 0:.10g},{round(lon, 4) + 0:.10g}"


def point(name: str) -> Region:
    """The place that `@LAT,LON` means. Raises UserError."""
    found = _POINT.fullmatch(name)
    if found is None:
        raise UserError(f"{name!r} is no place: coordinates are written as '@52.52,13.4', latitude first")
    lat, lon = float(found[1]), float(found[2])
    north, east = "N" if lat >= 0 else "S", "E" if lon >= 0 else "W"
    return Region(point_name(lat, lon), f"{abs(lat):g} {north}, {abs(lon):g} {east}", lat, lon)


def distance_km(a: Region, b: Region) -> float:
    """Along the great circle."""
    return float(distances_km(a.position, np.array([b.position]))[0])


def distances_km(origin: Position, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """From `origin` to each row of `positions`, (n, 2)."""
    latitude, longitude = np.radians(origin)
    latitudes, longitudes = np.radians(positions).T
    haversine = (
        np.sin((latitudes - latitude) / 2) ** 2
        + np.cos(latitude) * np.cos(latitudes) * np.sin((longitudes - longitude) / 2) ** 2
    )
    distances: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return distances
