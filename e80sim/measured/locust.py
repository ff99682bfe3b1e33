"""locust's PREFIX_stats.csv: no requests, but for each name their number, their mean and their percentiles.

A response time is that of the whole answer, in ms; locust rounds those above 100 ms to two digits for its
percentiles. Requests that failed are among them. Origin: locust 2.47, stats.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e80sim.measured.cells import Cells
from e80sim.measured.files import ReadFile, read_file

NAMES = frozenset({"Type", "Name", "Request Count"})
LOCUST = "locust_csv"
ALL = "Aggregated"
NEEDED = ("Failure Count", "Average Response Time", "Requests/s")


@dataclass(frozen=True, slots=True)
class LocustStats:
    """Of all requests of the file together."""

    name: str
    """Of the file."""
    requests: int
    failed: int
    mean_ms: float
    per_s: float
    quantiles_ms: Mapping[float, float]
    """By per cent."""
    notes: tuple[str, ...]


def tells(file: ReadFile) -> bool:
    return file.is_csv and file.names >= NAMES


def read_stats(path: Path) -> LocustStats | None:
    """None for another kind of file. Raises MeasuredError."""
    file = read_file(path)
    if not tells(file):
        return None
    missing = [name for name in NEEDED if name not in file.names]
    if missing:
        raise file.error(f"locust's statistics without the columns {', '.join(missing)}")
    rows = [cells for cells in file.objects if cells.get("Name") == ALL]
    named = [str(cells.get("Name")) for cells in file.objects if cells.get("Name") != ALL]
    if len(rows) != 1:
        raise file.error(f"locust's statistics have one row named {ALL}, and here are {len(rows)}")
    return _stats(path, rows[0], file.header, named)


def _stats(path: Path, cells: Cells, header: tuple[str, ...], named: list[str]) -> LocustStats:
    requests = cells.tokens("Request Count")  # a whole number, like one
    if not requests:
        raise cells.error("Request Count is 0: nothing was measured")
    percents = [column for column in header if column.endswith("%")]
    notes = ["locust's times are of whole answers, failed ones included, its percentiles of two digits."]
    if len(named) > 1:
        notes.append(f"All of its {len(named)} names together: {', '.join(named)[:200]}.")
    return LocustStats(
        path.name,
        requests,
        cells.tokens("Failure Count"),
        cells.time("Average Response Time"),
        cells.time("Requests/s"),
        {
            float(column[:-1]): cells.time(column)
            for column in percents
            if cells.get(column) not in {None, "N/A"}
        },
        tuple(notes),
    )
