"""LLMServingSim's workloads: one JSON object per request, stamped in whole ns.

Origin of the keys: github.com/casys-kaist/LLMServingSim, workloads.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from traffic.traces.formats.fields import BadValueError, integer, tokens
from traffic.traces.formats.json_lines import json_lines, required
from traffic.traces.trace import Trace, TraceRows
from traffic.traces.words import TraceError
from traffic.units import nearest

KEYS = ("arrival_time_ns", "input_toks", "output_toks")
PS_PER_NS = 1000


def read_llmservingsim_jsonl(path: Path, limit_rows: int | None = None) -> Trace:
    rows = TraceRows(path)
    unread: dict[str, None] = {}
    for line, row in islice(json_lines(path), limit_rows):
        try:
            arrival, prompt, output = (required(row, key) for key in KEYS)
            at_ns = integer(KEYS[0], arrival)
            sizes = tokens(KEYS[1], prompt), tokens(KEYS[2], output)
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
        rows.add(line, f"{at_ns} ns", at_ns * PS_PER_NS, *sizes)
        unread.update(dict.fromkeys(key for key in row if key not in KEYS))
    return rows.trace([f"Keys not read: {', '.join(unread)}."] if unread else [])


def llmservingsim_jsonl(trace: Trace) -> Iterator[str]:
    for at_ps, prompt, output in trace:
        at_ns = nearest(at_ps, PS_PER_NS)
        yield json.dumps({"input_toks": prompt, "output_toks": output, "arrival_time_ns": at_ns})


def llmservingsim_losses(trace: Trace) -> Iterator[str]:
    if (trace.arrival_ps % PS_PER_NS).any():
        yield "Times are rounded to the format's ns."
    if trace.blocks is not None:
        yield "hash_ids are left out: the format has no place for them."
