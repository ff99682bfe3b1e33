"""Our own columns, as CSV or as JSON line by line: the names that `e80sim validate` documents.

Sizes and arrivals are needed, and of ttft, tpot and e2e at least one, each with its unit behind it.
"""

from collections.abc import Container

from e80sim.measured.cells import Cells
from e80sim.measured.files import ReadFile
from e80sim.measured.rows import MeasuredRequest, MeasuredRequests, in_order

MS_PER_UNIT = {"ms": 1.0, "s": 1e3, "us": 1e-3}
COLUMNS = {
    "prompt": ("input_toks", "prompt_tokens", "input_tokens", "isl"),
    "output": ("output_toks", "output_tokens", "osl"),
    "arrival": ("arrival_s", "arrival_ms"),
}
"""What is needed, and the names under which files have it."""
METRICS = ("ttft", "tpot", "e2e")
CACHED, ERROR = "cached_tokens", "error"
CACHED_NAMES = ("cached_toks", CACHED)


def tells(file: ReadFile) -> bool:
    return tells_sizes(file) and one_of(file, COLUMNS["arrival"]) is not None


def tells_sizes(file: ReadFile) -> bool:
    return all(one_of(file, COLUMNS[what]) for what in ("prompt", "output"))


def read(file: ReadFile, *, arrivals: bool = True) -> MeasuredRequests:
    """Without `arrivals` the file may leave them out: all requests are there from the start."""
    prompt, output = (named(file, what, COLUMNS[what]) for what in ("prompt", "output"))
    arrival = one_of(file, COLUMNS["arrival"])
    if arrivals:
        arrival = named(file, "arrival", COLUMNS["arrival"])
    cached = one_of(file, CACHED_NAMES)
    metrics = measured_metrics(file)
    rows = []
    for cells in file.objects:
        error = cells.text(ERROR)
        times = {metric: ms(cells, column) for metric, column in metrics.items()}
        rows.append(
            MeasuredRequest(
                0.0 if arrival is None else cells.time(arrival) * MS_PER_UNIT[_unit(arrival)] / 1e3,
                cells.tokens(prompt, least=1 if error is None else 0),
                cells.tokens(output, least=1 if error is None else 0),
                times.get("ttft"),
                times.get("tpot"),
                times.get("e2e"),
                _cached(cells, cached, prompt),
                error=error,
            )
        )
    used = {prompt, output, arrival, cached, ERROR, *metrics.values()}
    return in_order(file.path, "columns", rows, unused(file, used))


def _cached(cells: Cells, column: str | None, prompt: str) -> int | None:
    """The last token of a prompt is always computed: its logits start the answer."""
    if column is None or cells.get(column) is None:
        return None
    cached, tokens = cells.tokens(column), cells.tokens(prompt)
    if cached and cached >= tokens:
        raise cells.error(f"{column} is {cached}, expected less than the {tokens} tokens of the prompt")
    return cached


def unused(file: ReadFile, used: Container[str | None]) -> list[str]:
    """A note that names the columns, or keys, that nobody reads."""
    others = [name for name in file.header or sorted(file.names) if name not in used]
    return [f"Columns not used: {', '.join(others)}."] if others else []


def one_of(file: ReadFile, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in file.names), None)


def named(file: ReadFile, what: str, names: tuple[str, ...]) -> str:
    """The column for that under one of these names; MeasuredError where there is none."""
    found = one_of(file, names)
    if found is None:
        header = ",".join(file.header or sorted(file.names))
        raise file.error(
            f"no column for the {what}: name one {' or '.join(names)}; the header is {header[:200]!r}"
        )
    return found


def measured_metrics(file: ReadFile) -> dict[str, str]:
    columns = {
        metric: name
        for unit in MS_PER_UNIT
        for metric in METRICS
        if (name := f"{metric}_{unit}") in file.names
    }
    if not columns:
        raise file.error("nothing measured to compare with: add ttft_ms, tpot_ms or e2e_ms")
    return columns


def ms(cells: Cells, column: str) -> float | None:
    time = cells.optional_time(column)
    return None if time is None else time * MS_PER_UNIT[_unit(column)]


def _unit(column: str) -> str:
    return column.rpartition("_")[2]
