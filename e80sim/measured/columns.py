"""Our own columns, as CSV or as JSON line by line: the names that `e80sim validate` documents.

Sizes and arrivals are needed, and of ttft, tpot and e2e at least one, each with its unit behind it.
"""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from e80sim.measured.cells import Cells
from e80sim.measured.files import ReadFile
from e80sim.measured.rows import MeasuredRequest, MeasuredRequests, in_order

MS_PER_UNIT = {"ms": 1.0, "s": 1e3, "us": 1e-3}
COLUMNS = {
    "prompt": ("input_toks", "prompt_tokens", "input_tokens"),
    "output": ("output_toks", "output_tokens"),
    "arrival": ("arrival_s", "arrival_ms"),
}
"""What is needed, and the names under which files have it."""
METRICS = ("ttft", "tpot", "e2e")
CACHED, ERROR = "cached_tokens", "error"
WRITTEN = ("arrival_s", "input_tokens", "output_tokens", CACHED, "ttft_ms", "tpot_ms", "e2e_ms", ERROR)


def tells(file: ReadFile) -> bool:
    return all(file.names & set(names) for names in COLUMNS.values())


def read(file: ReadFile) -> MeasuredRequests:
    prompt, output, arrival = (_named(file, what, names) for what, names in COLUMNS.items())
    metrics = _metrics(file)
    rows = []
    for cells in file.objects:
        error = cells.text(ERROR)
        times = {metric: _ms(cells, column) for metric, column in metrics.items()}
        rows.append(
            MeasuredRequest(
                cells.time(arrival) * MS_PER_UNIT[_unit(arrival)] / 1e3,
                cells.tokens(prompt, least=1 if error is None else 0),
                cells.tokens(output, least=1 if error is None else 0),
                times.get("ttft"),
                times.get("tpot"),
                times.get("e2e"),
                cells.tokens(CACHED) if cells.get(CACHED) is not None else None,
                error=error,
            )
        )
    return in_order(file.path, "columns", rows)


def write(requests: MeasuredRequests) -> Iterator[str]:
    """Lines of CSV, without their ends."""
    yield ",".join(WRITTEN)
    for row in requests.rows:
        yield _csv_line(
            [
                row.arrival_s,
                row.input_tokens,
                row.output_tokens,
                row.cached_tokens,
                row.ttft_ms,
                row.tpot_ms,
                row.e2e_ms,
                row.error,
            ]
        )


def _csv_line(values: Sequence[object]) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(["" if value is None else value for value in values])
    return line.getvalue()


def _named(file: ReadFile, what: str, names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in file.names), None)
    if found is None:
        header = ",".join(file.header or sorted(file.names))
        raise file.error(
            f"no column for the {what}: name one {' or '.join(names)}; the header is {header[:200]!r}"
        )
    return found


def _metrics(file: ReadFile) -> dict[str, str]:
    columns = {
        metric: name
        for unit in MS_PER_UNIT
        for metric in METRICS
        if (name := f"{metric}_{unit}") in file.names
    }
    if not columns:
        raise file.error("nothing measured to compare with: add ttft_ms, tpot_ms or e2e_ms")
    return columns


def _ms(cells: Cells, column: str) -> float | None:
    time = cells.optional_time(column)
    return None if time is None else time * MS_PER_UNIT[_unit(column)]


def _unit(column: str) -> str:
    return column.rpartition("_")[2]
