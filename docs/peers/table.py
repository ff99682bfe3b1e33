"""The section on peers of docs/performance.md, from the file that `make peers` leaves."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from docs.peers.measure import Spread, ratios
from docs.peers.peers import ASPECTS, NO_PEERS, OURS, ROWS

DATA = Path(__file__).parents[1] / "data" / "peers.json"
BEGIN, END = (
    "<!-- written from docs/data/peers.json by `make docs` -->",
    "<!-- end of what `make docs` writes -->",
)
Measured = dict[str, Any]
"""`machine`, `date`, `python`, `versions`, and `workloads`: requests -> row -> `cpu_s`, `wall_s`, `peak_mb`,
each with a value a round, `outcome`, and whether it `repeats`."""


def section(measured: Measured) -> str:
    sizes = [int(size) for size in measured["workloads"]]
    return "\n".join(
        [
            _head(measured, sizes),
            *_costs(measured, sizes),
            "",
            "What came out, to see who did the same work: times in ms, from the arrival at the platform.",
            "",
            *_outcomes(measured, sizes),
            "",
            "What each models:",
            "",
            *_models(),
            "",
            "Looked at, and without a row; only the registry of packages could be reached from that machine:",
            "",
            *(f"- {name}: {reason}." for name, reason in NO_PEERS.items()),
        ]
    )


def _head(measured: Measured, sizes: Sequence[int]) -> str:
    counts = " and ".join(f"{size:,}" for size in sorted(sizes))
    rounds = ", ".join(f"{_rounds(measured, size)} of {size:,}" for size in sorted(sizes))
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    return f"""\
`make peers` measures this: {counts} recorded requests (512 prompt and 128 output tokens, lognormal, 140/s)
on four H100 nodes with Llama 3.1 8B, routed in turn. Each process from start to exit, with all it starts.
In each round each runs once ({rounds} requests); medians, and in brackets the least and the most.
A ratio is ours to theirs of the same round: below 1 ours costs less. {measured["machine"]};
CPython {measured["python"]}; {measured["date"]}; {versions}.
"""


def _rounds(measured: Measured, size: int) -> int:
    return len(measured["workloads"][str(size)][OURS]["cpu_s"])


def _costs(measured: Measured, sizes: Sequence[int]) -> Iterator[str]:
    ordered = sorted(sizes)
    yield "| run | " + " | ".join(f"{size:,}: CPU s | ours to it | MB" for size in ordered) + " | what |"
    yield "|---" * (2 + 3 * len(ordered)) + "|"
    for row in ROWS:
        cells = [cell for size in ordered for cell in _cost(measured["workloads"][str(size)], row.name)]
        yield "| " + " | ".join([row.name, *cells, row.remark]) + " |"


def _cost(workload: Measured, name: str) -> tuple[str, str, str]:
    costs = workload.get(name)
    if costs is None:
        return "—", "—", "—"
    ratio = "1" if name == OURS else spread(ratios(workload[OURS]["cpu_s"], costs["cpu_s"]), 2)
    return spread(Spread.of(costs["cpu_s"]), 1), ratio, f"{Spread.of(costs['peak_mb']).middle:,.0f}"


def spread(values: Spread, digits: int) -> str:
    return f"{values.middle:,.{digits}f} ({values.least:,.{digits}f} to {values.most:,.{digits}f})"


def _outcomes(measured: Measured, sizes: Sequence[int]) -> Iterator[str]:
    """Of each peer with the most requests that it was given."""
    yield "| run | requests | output tokens/s | mean TTFT | mean E2E | the same in each round |"
    yield "|---|---|---|---|---|---|"
    for row in ROWS:
        given = [measured["workloads"][str(size)].get(row.name) for size in sorted(sizes)]
        costs = next((one for one in reversed(given) if one is not None), None)
        if costs is not None and row.models:
            told = costs["outcome"]
            rate = told["output_tokens"] / told["span_s"]
            yield (
                f"| {row.name} | {told['requests']:,} | {rate:,.0f} | {told['mean_ttft_ms']:.1f} "
                f"| {told['mean_e2e_ms']:,.0f} | {'to the bit' if costs['repeats'] else 'no'} |"
            )


def _models() -> Iterator[str]:
    shown = [row for row in ROWS if row.models]
    yield "| | " + " | ".join(row.name.partition(",")[0] for row in shown) + " |"
    yield "|---" * (1 + len(shown)) + "|"
    for aspect in ASPECTS:
        yield f"| {aspect} | " + " | ".join(row.models[aspect] for row in shown) + " |"


def page() -> str:
    """docs/performance.md with this section anew and all else as it is."""
    text = (DATA.parents[1] / "performance.md").read_text(encoding="utf-8")
    return with_section(text, json.loads(DATA.read_text(encoding="utf-8")))


def with_section(text: str, measured: Measured) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, "the page has a place for the section"
    assert end, "and where it ends"
    return f"{before}{BEGIN}\n\n{section(measured)}\n\n{END}{after}"
