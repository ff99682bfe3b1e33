"""Vidur's processed traces: one CSV row per request, stamped in seconds from the start.

Columns and origin: github.com/microsoft/vidur, data/processed_traces. Further columns are not read.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from traffic.traces.csv_lines import columns_of, csv_lines
from traffic.traces.fields import BadValueError, seconds_ps, tokens
from traffic.traces.trace import Trace, TraceError, TraceRows
from traffic.units import PS_PER_S

COLUMNS = ("arrived_at", "num_prefill_tokens", "num_decode_tokens")


def has_vidur_header(first_line: str) -> bool:
    return set(COLUMNS) <= set(columns_of(first_line))


def read_vidur_csv(path: Path, limit_rows: int | None = None) -> Trace:
    lines = csv_lines(path)
    header = ",".join(next(lines, (1, []))[1])
    if not has_vidur_header(header):
        raise TraceError(f"{path} line 1: the header is {header!r}, expected {','.join(COLUMNS)!r}")
    names, rows = columns_of(header), TraceRows(path)
    arrived, prefill, decode = (names.index(column) for column in COLUMNS)
    for line, fields in islice(lines, limit_rows):
        if len(fields) != len(names):
            text = ",".join(fields)[:80]
            raise TraceError(f"{path} line {line}: {text!r} has {len(fields)} columns, expected {len(names)}")
        try:
            prompt, output = tokens(COLUMNS[1], fields[prefill]), tokens(COLUMNS[2], fields[decode])
            rows.add(line, fields[arrived], seconds_ps(COLUMNS[0], fields[arrived]), prompt, output)
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    return rows.trace()


def vidur_csv(trace: Trace) -> Iterator[str]:
    """Seconds with as many digits as they need, twelve at most."""
    yield ",".join(COLUMNS)
    for at_ps, prompt, output in trace:
        seconds, fraction_ps = divmod(at_ps, PS_PER_S)
        fraction = f"{fraction_ps:012d}".rstrip("0") or "0"
        yield f"{seconds}.{fraction},{prompt},{output}"
