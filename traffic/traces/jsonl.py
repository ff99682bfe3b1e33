"""Our own format: one JSON object per request, its arrival in whole picoseconds, so nothing is ever rounded.

`arrival_ps`, `prompt_tokens` and `output_tokens` are read; a row may say more about its request.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from traffic.traces.fields import BadValueError, integer, tokens
from traffic.traces.json_lines import has_keys, json_lines, required
from traffic.traces.trace import Trace, TraceError, TraceRows

KEYS = ("arrival_ps", "prompt_tokens", "output_tokens")


def has_our_keys(first_line: str) -> bool:
    return has_keys(first_line, KEYS)


def read_jsonl(path: Path, limit_rows: int | None = None) -> Trace:
    rows = TraceRows(path)
    for line, row in islice(json_lines(path), limit_rows):
        try:
            arrival, prompt, output = (required(row, key) for key in KEYS)
            at_ps = integer(KEYS[0], arrival)
            rows.add(line, f"{at_ps} ps", at_ps, tokens(KEYS[1], prompt), tokens(KEYS[2], output))
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    return rows.trace()


def jsonl(trace: Trace) -> Iterator[str]:
    for row in trace:
        yield json.dumps(dict(zip(KEYS, row, strict=True)))
