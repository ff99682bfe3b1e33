"""The three columns of a live run as a table for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.terminal import columns
from reports.text import QUANTILES, latency, milliseconds, wrapped

COLUMNS = ("simulated", "wall", "lag")
TITLES = {"ttft": "TTFT", "e2e": "E2E"}


def live_text(live: Mapping[str, Any]) -> str:
    """Latencies in ms of simulated time, wall times from the intended send."""
    return "\n".join([*_lines(live), *wrapped(_trust(live))]) + "\n"


def _lines(live: Mapping[str, Any]) -> Iterator[str]:
    if live["client"] is not None:
        yield _counts(live["client"])
    if not live["groups"]:
        return
    rows = [["source", "", *COLUMNS]]
    for group in live["groups"]:
        for number, (metric, title) in enumerate(TITLES.items()):
            found = group["metrics"][metric]
            cells = [" / ".join(latency(_bare(found[name][q])) for q in QUANTILES) for name in COLUMNS]
            rows.append([group["source"] if number == 0 else "", title, *cells])
    yield f"Answered requests, simulated, seen by the client, and the lag: {' / '.join(QUANTILES)} in ms"
    yield from columns(rows, left=2, shrinking=(0,))


def _counts(client: Mapping[str, Any]) -> str:
    ends = [f"{client[name]} {name}" for name in ("answered", "refused", "lost") if client[name]]
    return f"Of the client's {client['requests']} requests {', '.join(ends)}"


def _bare(estimate: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without its interval, which the report has."""
    return estimate if "refused" in estimate else {**estimate, "low": None, "high": None}


def _trust(live: Mapping[str, Any]) -> str:
    late = live["lateness"]
    if not live.get("answered", late["n"]):
        return "Nothing was answered."
    verdict = "paced, wall times can be trusted" if live["paced"] else "not paced"
    late_ms = [f"{milliseconds(late[name])} ms" for name in ("p50_s", "p99_s")]
    return f"The server was {late_ms[0]} late at p50 and {late_ms[1]} at p99: {verdict}."
