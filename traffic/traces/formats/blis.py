"""BLIS TraceV2 as traffic: when its requests arrived and how long they were, in whole us.

Its columns stand with the reader of what was measured: e80sim/measured/blis.py. A round of a session is a
request like others.
"""

from collections.abc import Iterator
from pathlib import Path

from traffic.traces.formats.csv_rows import CsvRows
from traffic.traces.formats.fields import BadValueError, integer, tokens
from traffic.traces.trace import Trace, TraceRows
from traffic.traces.words import TraceError
from traffic.units import nearest

READ = ("arrival_time_us", "input_tokens", "output_tokens")
PS_PER_US = 10**6


def read_blis_csv(path: Path, limit_rows: int | None = None) -> Trace:
    rows, table = TraceRows(path), CsvRows(path, READ, limit_rows)
    for line, (stamp, prompt, output) in table:
        try:
            at_us = integer(READ[0], int(stamp) if stamp.isascii() and stamp.isdecimal() else stamp)
            sizes = tokens(READ[1], prompt), tokens(READ[2], output)
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
        rows.add(line, f"{at_us} us", at_us * PS_PER_US, *sizes)
    return rows.trace()


def blis_csv(trace: Trace) -> Iterator[str]:
    """As `blis run` writes planned requests: no stamps but the arrival."""
    from e80sim.measured.blis import COLUMNS  # noqa: PLC0415 -- with all that tools measure, for who writes it

    yield ",".join(COLUMNS)
    texts = {"client_id": "e80sim", "slo_class": "standard", "streaming": "true", "status": "ok"}
    blank = ("tenant_id", "session_id", "prefix_group", "model", "error_message", "finish_reason")
    plain: dict[str, object] = {**dict.fromkeys(COLUMNS, 0), **dict.fromkeys(blank, ""), **texts}
    for number, (at_ps, prompt, output) in enumerate(trace):
        row = {
            **plain,
            "request_id": number,
            "input_tokens": prompt,
            "output_tokens": output,
            "text_tokens": prompt,
            "arrival_time_us": nearest(at_ps, PS_PER_US),
        }
        yield ",".join(str(row[name]) for name in COLUMNS)


def blis_losses(trace: Trace) -> Iterator[str]:
    if (trace.arrival_ps % PS_PER_US).any():
        yield "Times are rounded to the format's us."
    if trace.blocks is not None:
        yield "hash_ids are left out: a prefix group has a name, and no blocks."
    yield "BLIS wants a header in YAML beside it: trace_version 3, time_unit us."
