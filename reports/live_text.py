"""The three columns of a live run as a table for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.text import QUANTILES, cell, latency, wrapped

COLUMNS = ("simulated", "wall", "lag")
TITLES = {"ttft": "TTFT", "e2e": "E2E"}


def live_text(live: Mapping[str, Any]) -> str:
    """Latencies in ms of simulated time, wall times from the intended send."""
    lines = [*_lines(live), *wrapped(_trust(live))]
    return "\n".join(lines) + "\n"


def _lines(live: Mapping[str, Any]) -> Iterator[str]:
    rows = [["", "", *(f"{name} {quantile}" for name in COLUMNS for quantile in QUANTILES)]]
    for group in live["groups"]:
        for number, (metric, title) in enumerate(TITLES.items()):
            found = group["metrics"][metric]
            cells = [latency(_bare(found[name][q])) for name in COLUMNS for q in QUANTILES]
            rows.append([group["source"] if number == 0 else "", title, *cells])
    if len(rows) == 1:
        return
    widths = [max(len(line[i]) for line in rows) for i in range(len(rows[0]))]
    for line in rows:
        yield ("  " + "  ".join(cell(line[i], widths[i], left=i < 2) for i in range(len(line)))).rstrip()


def _bare(estimate: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without its interval, which the report has."""
    return estimate if "refused" in estimate else {**estimate, "low": None, "high": None}


def _trust(live: Mapping[str, Any]) -> str:
    late = live["lateness"]
    if not late["n"]:
        return "Nothing was answered."
    told = (
        f"The server was {late['p50_s'] * 1e3:.3g} ms late at p50 and {late['p99_s'] * 1e3:.3g} ms at p99: "
    )
    return told + (live["why_not"] or "paced, wall times can be trusted") + "."
