"""A sweep for a terminal: the answer, then a line per cell."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.sweep.answer import Name, cost_of, sentences, told_by
from reports.sweep.rows import DONE, Row
from reports.terminal import columns
from reports.text import milliseconds, wrapped
from reports.words import count, number, share

MOST_LINES = 40
NONE = "-"


def sweep_text(rows: Sequence[Row], about: Mapping[str, Any], name: Name) -> str:
    """At most MOST_LINES cells; latencies are of the first source."""
    sources, models = about["sources"], about["models"]
    lines = [line for sentence in sentences(rows, about, name) for line in wrapped(sentence)]
    shown = rows[:MOST_LINES]
    told = told_by(rows, sources[0])
    head = ["cell", "", f"{told[1]}, ms" if told else "", "met", "busy", "tokens/s", "USD/1M"]
    body = [_line(row, told[0] if told else "", sources[0], models, name) for row in shown]
    lines += ["", *columns([head, *body], left=2, shrinking=(0,))]
    if len(rows) > len(shown):
        lines += wrapped(f"These are the first {len(shown)} of {len(rows):,} cells; cells.csv has all.")
    return "\n".join(lines)


def _line(row: Row, latency: str, source: str, models: Sequence[str], name: Name) -> list[str]:
    if row["status"] != DONE:
        return [name(row), row["status"], *([NONE] * 5)]
    met, busy = row.get(f"{source}.attainment"), row.get(f"{models[0]}.utilisation")
    value, tokens = row.get(latency), row.get("output_tokens_per_s")
    cost = cost_of(row, models, "usd_per_1m_output_tokens") if len(models) == 1 else None
    return [
        name(row),
        row["verdict"],
        NONE if value is None else milliseconds(value),
        NONE if met is None else share(met),
        NONE if busy is None else share(busy),
        NONE if tokens is None else count(tokens),
        NONE if cost is None else number(cost),
    ]
