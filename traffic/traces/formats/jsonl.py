"""Our own format: one JSON object per request, its arrival in whole picoseconds, so nothing is ever rounded.

`arrival_ps`, `prompt_tokens` and `output_tokens` are read, and `hash_ids` where there are any, with the
`hash_block_tokens` that each stands for, the same in all rows; a row may say more about its request.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from traffic.spec import MAX_TOKENS
from traffic.traces.formats.fields import BadValueError, hash_ids, integer, shortly, tokens
from traffic.traces.formats.json_lines import JsonRow, json_lines, required
from traffic.traces.trace import Trace, TraceRows
from traffic.traces.words import TraceError

KEYS = ("arrival_ps", "prompt_tokens", "output_tokens")
BLOCK_TOKENS = "hash_block_tokens"


def read_jsonl(path: Path, limit_rows: int | None = None) -> Trace:
    _, first_row = next(json_lines(path), (1, JsonRow()))
    block_tokens = first_row.get(BLOCK_TOKENS)
    rows = TraceRows(path, block_tokens if isinstance(block_tokens, int) else 0)
    for line, row in islice(json_lines(path), limit_rows):
        try:
            arrival, prompt, output = (required(row, key) for key in KEYS)
            at_ps = integer(KEYS[0], arrival)
            sizes = tokens(KEYS[1], prompt), tokens(KEYS[2], output)
            rows.add(line, f"{at_ps} ps", at_ps, *sizes, _hash_ids(row, block_tokens))
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    return rows.trace()


def _hash_ids(row: JsonRow, block_tokens: object) -> list[int]:
    ids = hash_ids(row)
    if not ids:
        return ids
    stated = required(row, BLOCK_TOKENS)
    if type(stated) is not int or not 1 <= stated <= MAX_TOKENS:
        raise BadValueError(f"{BLOCK_TOKENS} is {shortly(stated)}, expected a whole number of tokens")
    if stated != block_tokens:
        raise BadValueError(f"{BLOCK_TOKENS} is {stated}, and {shortly(block_tokens)} in the first row")
    return ids


def jsonl(trace: Trace) -> Iterator[str]:
    blocks = trace.blocks
    for number, values in enumerate(trace):
        row: JsonRow = dict(zip(KEYS, values, strict=True))
        if blocks is not None:
            row |= {"hash_ids": blocks.of_row(number), BLOCK_TOKENS: blocks.block_tokens}
        yield json.dumps(row)
