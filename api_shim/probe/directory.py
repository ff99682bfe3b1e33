"""What a probe leaves. The report comes last, so that it cannot lose what was paid for."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from api_shim.probe.record import ProbedRequest, RoundTrip
from e80sim.mistakes import UserError
from hwmodels.calibrate.endpoint.seen import PROBE, REQUESTS, TRIPS

REPORT = "report.html"
Page = Callable[[Path, Mapping[str, Any], Sequence[ProbedRequest], Sequence[RoundTrip]], str]


def write(
    directory: Path,
    about: Mapping[str, Any],
    chats: Sequence[ProbedRequest],
    trips: Sequence[RoundTrip],
    page: Page | None = None,
) -> None:
    """`page` makes the report of the directory with the other files. UserError where it cannot be written."""
    aside = directory.with_name(f".{directory.name}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        (aside / PROBE).write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        _lines(aside / REQUESTS, chats)
        _lines(aside / TRIPS, trips)
        aside.rename(directory)
        if page is not None:
            (directory / REPORT).write_text(page(directory, about, chats, trips), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {directory}: {error.strerror}") from None


def _lines(path: Path, rows: Iterable[ProbedRequest | RoundTrip]) -> None:
    ordered = sorted(rows, key=lambda row: row.number)
    path.write_text("".join(f"{row.as_line()}\n" for row in ordered), encoding="utf-8")
