"""Derives `sim/data/region*.csv` and `sim/data/metros.csv` from raw tables of round-trip times.

Run it as `E80SIM_DATA=/path/to/data python docs/data/build_region_table.py` after a raw table has changed.
The raw tables are not part of this repository; ours hold one rounded figure per unordered pair.
"""

import csv
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

TARGET = Path(__file__).resolve().parents[2] / "sim" / "data"

RTT_HEADER = """\
# Round-trip time between cloud regions, ms: one figure per unordered pair, the mean of both directions.
# confidence: measured
# aws to aws: medians over one year to October 2025, TCP connect from a Lambda function to the regional
#   endpoint, so 2 to 3 ms of endpoint and stack time are inside. Source: cloudping.co (mda590/cloudping.co),
#   as kept in oaustegard/oaustegard.github.io@22f8adc2 web-utilities/aws-ping-p50-1y.json
# gcp to gcp, aws to gcp: ping between small VMs, February 2022. Source:
#   doitintl/intercloud-throughput@4046e3d6 results_202202/results.csv (Apache-2.0)
"""
REGIONS_HEADER = """\
# Where the regions are: the city, or the middle of the area that the provider names. confidence: published
# Source: oaustegard/oaustegard.github.io@a6d652c8 web-utilities/aws-ping.html (corrected: ca-central-1,
#   us-west-1, us-west-2) and GoogleCloudPlatform/region-picker@565d8fa9 data/regions.json (corrected:
#   africa-south1), both Apache-2.0
"""
METROS_HEADER = """\
# AWS and GCP regions that go by the name of one metro area. The round-trip time is in region_rtt.csv; where
# it is above 5 ms the two are not next to each other, whatever the name says, and `adjacent` is no.
# confidence: measured
# Source: doitintl/intercloud-throughput@4046e3d6 results_202202/results.csv (Apache-2.0)
"""
ADJACENT_MS = 5.0

Pair = tuple[str, str]


def build(data: Path) -> dict[str, str]:
    """File name -> text of each table, from the raw tables under `data`/network."""
    raw = data / "network"
    rtts = round_trips(raw)
    return {
        "region_rtt.csv": RTT_HEADER
        + _csv(["a", "b", "rtt_ms"], [(a, b, rtt) for (a, b), rtt in rtts.items()]),
        "regions.csv": REGIONS_HEADER
        + _csv(["region", "city", "latitude_deg", "longitude_deg"], sorted(_regions(raw))),
        "metros.csv": METROS_HEADER + _csv(["metro", "aws", "gcp", "adjacent"], sorted(_metros(raw, rtts))),
    }


def round_trips(raw: Path) -> dict[Pair, float]:
    """Sorted by pair; both names of a pair are sorted too."""
    directed: dict[Pair, list[float]] = defaultdict(list)
    for row in _rows(raw / "aws_rtt_ms.csv"):
        _add(directed, f"aws:{row['from_region']}", f"aws:{row['to_region']}", row)
    for name in ("gcp_rtt_ms.csv", "aws_gcp_cross_cloud_rtt_ms.csv"):
        for row in _rows(raw / name):
            _add(
                directed,
                f"{row['from_cloud']}:{row['from_region']}",
                f"{row['to_cloud']}:{row['to_region']}",
                row,
            )
    return {pair: round(fmean(directed[pair]), 1) for pair in sorted(directed)}


def _add(directed: dict[Pair, list[float]], a: str, b: str, row: dict[str, str]) -> None:
    if a != b:  # a region to itself tells about the method, not about a path
        directed[min(a, b), max(a, b)].append(float(row["rtt_ms"]))


def _regions(raw: Path) -> list[tuple[str, str, float, float]]:
    """Coordinates to 0.01 degrees, about a kilometre."""
    return [
        (
            f"{row['cloud']}:{row['region']}",
            row["city"],
            round(float(row["latitude_deg"]), 2),
            round(float(row["longitude_deg"]), 2),
        )
        for row in _rows(raw / "region_coordinates.csv")
    ]


def _metros(raw: Path, rtts: dict[Pair, float]) -> list[tuple[str, str, str, str]]:
    found = []
    for row in _rows(raw / "same_metro_aws_gcp_rtt_ms.csv"):
        aws, gcp = f"aws:{row['aws_region']}", f"gcp:{row['gcp_region']}"
        metro = row["metro"].split(" (")[0]
        found.append((metro, aws, gcp, "yes" if rtts[aws, gcp] <= ADJACENT_MS else "no"))
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _csv(columns: list[str], rows: Sequence[tuple[object, ...]]) -> str:
    lines = [columns, *([f'"{cell}"' if "," in str(cell) else str(cell) for cell in row] for row in rows)]
    return "".join(",".join(line) + "\n" for line in lines)


def main() -> None:
    data = os.environ.get("E80SIM_DATA")
    if data is None:
        sys.exit("set E80SIM_DATA to the folder that holds network/aws_rtt_ms.csv and the other raw tables")
    for name, text in build(Path(data)).items():
        (TARGET / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{TARGET / name}: {len(text):,} bytes\n")


if __name__ == "__main__":
    main()
