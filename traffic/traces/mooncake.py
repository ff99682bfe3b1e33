"""Mooncake's traces: one JSON object per request, stamped in ms; those of its chat service on a grid of 3 s.

Keys and origin: github.com/kvcache-ai/Mooncake, FAST25-release/traces. `hash_ids`, the prefix blocks, are
not kept: nothing here reads them.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from traffic.traces.fields import BadValueError, integer, tokens
from traffic.traces.json_lines import has_keys, json_lines, required
from traffic.traces.trace import Trace, TraceError, TraceRows
from traffic.units import nearest

KEYS = ("timestamp", "input_length", "output_length")
PS_PER_MS = 10**9


def has_mooncake_keys(first_line: str) -> bool:
    return has_keys(first_line, KEYS)


def read_mooncake_jsonl(path: Path, limit_rows: int | None = None) -> Trace:
    """Rows of one stamp are spread evenly over the clock's tick: as they are they would arrive as bursts."""
    rows = TraceRows(path)
    for line, row in islice(json_lines(path), limit_rows):
        try:
            stamp, prompt, output = (required(row, key) for key in KEYS)
            at_ms = integer(KEYS[0], stamp, of=" of ms from the start")
            prompt_tokens, output_tokens = tokens(KEYS[1], prompt), tokens(KEYS[2], output)
            rows.add(line, f"{at_ms} ms", at_ms * PS_PER_MS, prompt_tokens, output_tokens)
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    return rows.trace(spread=True)


def mooncake_jsonl(trace: Trace) -> Iterator[str]:
    """To the nearest ms, the format's unit."""
    for at_ps, prompt, output in trace:
        yield json.dumps(dict(zip(KEYS, (nearest(at_ps, PS_PER_MS), prompt, output), strict=True)))
