"""What a run has written before it is whole: `DIR.running`, beside the directory DIR that it makes.

It is there while a run with long tables goes on, and afterwards only where that was killed: a folder for each
variant and replication, in it the parts of its tables, in the order in which things ended.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from reports.record import PS_PER_S
from reports.words import in_seconds, plural

SUFFIX = ".running"
REQUESTS = "requests*.parquet"


def rows_folder(directory: Path) -> Path:
    """Of the run that makes `directory`."""
    return directory.with_name(f"{directory.name}{SUFFIX}")


def has_rows(folder: Path) -> bool:
    return any(folder.glob(f"*/{REQUESTS}"))


def told(folder: Path) -> str:
    """What is there of each replication."""
    return "; ".join(_told(one) for one in sorted(folder.iterdir()) if one.is_dir()) or "no rows yet"


def _told(place: Path) -> str:
    variant, _, replication = place.name.rpartition(".")
    found = list(_metadata(place))
    rows = sum(one.num_rows for one in found)
    until_s = max((_latest_ps(one) for one in found), default=0) / PS_PER_S
    about = f"{unquote(variant)}, replication {replication}"
    return f"{plural(rows, 'request')} of {about}, until {in_seconds(until_s)}"


def _metadata(place: Path) -> Iterator[Any]:
    for file in sorted(place.glob(REQUESTS)):
        try:
            yield pq.read_metadata(file)
        except (OSError, pa.ArrowException):  # a killed machine may leave one that is not whole
            continue


def _latest_ps(metadata: Any) -> int:  # noqa: ANN401 -- pyarrow's own
    column = metadata.schema.names.index("sent_ps")
    groups = (metadata.row_group(number).column(column) for number in range(metadata.num_row_groups))
    return max(
        (one.statistics.max for one in groups if one.statistics and one.statistics.has_min_max), default=0
    )
