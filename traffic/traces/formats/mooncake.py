"""Traces with Mooncake's keys: one JSON object per request, its prefix blocks in `hash_ids`.

Mooncake's own are stamped in ms (github.com/kvcache-ai/Mooncake, FAST25-release/traces), those of its chat
service on a grid of 3 s. AIPerf writes sessions in the same keys: `sessions` has what their turns mean.
Bailian's (github.com/alibaba-edu/qwen-bailian-usagetraces-anon) are stamped in **seconds**.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from traffic.traces.formats.fields import BadValueError
from traffic.traces.formats.json_lines import json_lines
from traffic.traces.formats.sessions.contexts import DELAYS, SessionClock, Sessions
from traffic.traces.prefix_blocks import (
    BAILIAN_BLOCK_TOKENS,
    MOONCAKE_BLOCK_TOKENS,
    can_join,
    mooncake_blocks,
    mooncake_ids,
)
from traffic.traces.trace import Trace, TraceRows
from traffic.traces.words import TraceError
from traffic.units import PS_PER_S, nearest

PS_PER_MS = 10**9
READ = ("timestamp", *DELAYS, "session_id", "input_length", "output_length", "hash_ids")


def read_mooncake_jsonl(path: Path, limit_rows: int | None = None) -> Trace:
    return _read(path, SessionClock("ms", PS_PER_MS), MOONCAKE_BLOCK_TOKENS, limit_rows)


def read_bailian_jsonl(path: Path, limit_rows: int | None = None) -> Trace:
    return _read(path, SessionClock("seconds", PS_PER_S), BAILIAN_BLOCK_TOKENS, limit_rows)


def _read(path: Path, clock: SessionClock, block_tokens: int, limit_rows: int | None) -> Trace:
    rows, sessions = TraceRows(path, block_tokens), Sessions(clock, block_tokens)
    unread: dict[str, None] = {}
    for line, row in islice(json_lines(path), limit_rows):
        try:
            turn = sessions.turn(row)
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
        stamp = f"{turn.at_ps / clock.ps_per_unit:.15g} {clock.unit}"
        rows.add(line, stamp, *turn, in_order=row.get("session_id") is None)
        unread.update(dict.fromkeys(key for key in row if key not in READ))
    return rows.trace([*sessions.notes(), *([f"Keys not read: {', '.join(unread)}."] if unread else [])])


def mooncake_jsonl(trace: Trace) -> Iterator[str]:
    """To the nearest ms, the format's unit; with an id for every 512 prompt tokens begun."""
    for (at_ps, prompt, output), ids in zip(
        trace, mooncake_ids(trace.blocks, trace.prompt_tokens), strict=True
    ):
        yield json.dumps(
            {
                "timestamp": nearest(at_ps, PS_PER_MS),
                "input_length": prompt,
                "output_length": output,
                "hash_ids": ids,
            }
        )


def mooncake_losses(trace: Trace) -> Iterator[str]:
    """What the file tells otherwise than the trace."""
    if (trace.arrival_ps % PS_PER_MS).any():
        yield "Times are rounded to the format's ms."
    blocks = trace.blocks
    if blocks is None or not (blocks.block_tokens == MOONCAKE_BLOCK_TOKENS or can_join(blocks.block_tokens)):
        yield (
            "hash_ids are made up, each for one block of one row: the trace does not say which prompts begin "
            "alike, so a prefix cache will find nothing."
        )
        return
    if blocks.block_tokens != MOONCAKE_BLOCK_TOKENS:
        yield f"hash_ids of {blocks.block_tokens} tokens are joined to blocks of {MOONCAKE_BLOCK_TOKENS}."
    own = (len(blocks.of_row(row)) * blocks.block_tokens for row in range(trace.rows))
    wrong = sum(
        mooncake_blocks(named) != mooncake_blocks(prompt)
        for named, prompt in zip(own, trace.prompt_tokens.tolist(), strict=True)
    )
    if wrong:
        yield (
            f"{wrong:,} rows had not one id for every {MOONCAKE_BLOCK_TOKENS} tokens: missing ones are made "
            f"up, others left out."
        )
