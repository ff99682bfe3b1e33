"""docs/metrics.md, written from the definitions themselves."""

from collections.abc import Iterable, Sequence

from reports import metrics
from reports.metrics import Definition, Duration
from reports.record import (
    AGENT_STEP_COLUMNS,
    ASK_COLUMNS,
    FAULT_COLUMNS,
    GAP_COLUMNS,
    LIFETIME_COLUMNS,
    NODE_COLUMNS,
    PREEMPTION_COLUMNS,
    PREFIX_COLUMNS,
    REQUEST_COLUMNS,
    SESSION_COLUMNS,
    STAGE_COLUMNS,
    USER_REQUEST_COLUMNS,
    Column,
)

_HEAD = """\
# Metrics

Written from `reports/metrics.py`; `make docs` renews it. Formulas name the stamps of the run's tables, listed
at the end. A run measures the requests that were *meant* to be sent from the end of its warm-up to its
horizon. Latency counts from that intended moment, so a sender that stalls hides nothing.
"""

_QUANTILES = """\
## How the numbers are estimated

A quantile is the linear interpolation between order statistics at position (n - 1)p. It needs ten requests
beyond it: a p50 needs 20, a p95 200, a p99 1,000, a p99.9 10,000. With fewer the report refuses to print it.

Intervals are 95 %. With several replications: a mean, a share or any other ratio is one of the totals of
all replications, with Student's t over what each contributes. With a single replication: of blocks in time
that are long against the autocorrelation time, and none where there are too few. A quantile is that of all
requests together; its interval follows from how the share beyond it varies between replications, or long
parts of few of them, and needs twenty requests beyond it that are worth independent ones:
`docs/statistics.md`. A share counts as many independent asks as its spread shows that they are worth, also
at 0 and 1. Intervals of
times end at 0. Differences between variants are paired by replication, which share their random numbers; the
variance-reduction factor says what that gained.

Latencies are of completed requests. Those that had not ended when the run did, after its drain, and those
that failed, have none; where they are more than 1 % of the offered, a note says so: the latencies then leave
out the slow ones.
"""

_VERDICT = """\
## Verdict

Judged is each model, and the gateway where it has a service time; the worst one tells, and `models` in
`summary.json` has the state of each. Comparisons leave out the sources whose model is overloaded. The
measure is the age of the line: how long the request has waited that is next by order of arrival. Where c of
a requests per second are served it grows by 1 - c/a seconds per second; a rate that rises alone does not
make it grow.

- **overloaded**: somebody waited 90 % or more of the second half, and over it the line aged by 1 % of the
  time or more, beyond its interval and by more requests than noise explains; or 1 % or more of those let in
  timed out or were cancelled after they had waited for a tenth of their time. Without a line, at a steady
  rate: the batch grows unabated, by a tenth or more of the time, and every token takes longer.
- **backlogged**: the line, or the batch, still grew from quarter to quarter of the window, but not like
  that.
- **stable**: neither. Growth within the noise of the number itself, three times the root of (number + 1),
  or by five requests or fewer, counts as none. Refused requests and timeouts without waiting are no
  overload; from 5 % on the sentence opens with them.

Where the rate of arrivals changes by itself (`modulated`, `profile`, `trace`, live traffic), "stable" says
that waiting did not grow to the end of the window, and no more; the sentence then tells the longest wait
and when it was. Traffic that ends before the window does is judged over the time in which it came.
"""

_TABLES = """\
## Columns of the tables

Stamps are picoseconds from the start of the run, null where it never got that far. Every table starts with
`variant` and `replication`.
"""


def render() -> str:
    durations = [metrics.TTFT, metrics.E2E, metrics.QUEUE, metrics.FELT]
    sections = [
        _HEAD,
        _section("Latencies", [*durations, metrics.TPOT, metrics.ITL]),
        _section("Where the time goes: a model request", metrics.PHASES, "They add up to E2E exactly."),
        _section(
            "Where the time goes: a user request",
            [*metrics.USER_PHASES, metrics.APP_WAIT, metrics.APP_CPU, *metrics.AGENT_PHASES],
            "With the phases of the calls on its critical path they add up to the felt latency exactly.",
        ),
        _section(
            "Rates and shares", [*metrics.RATES, metrics.IN_SYSTEM_AT_END, metrics.LITTLE, metrics.JAIN]
        ),
        _section(
            "Asks and attempts",
            metrics.RETRIES,
            "Of sources with `retry` or `hedge`: there the latencies, the attainment and the goodput are of "
            "asks, from when the first attempt was meant to be sent.",
        ),
        _section("Nodes", metrics.NODES),
        _section(
            "Over time",
            metrics.SERIES,
            "Offered, carried, rejected and utilisation also appear over time. The band is the least and the "
            "most of the replications.",
        ),
        _section(
            "Energy and cost",
            metrics.COSTS,
            "Power and price come from the catalogue or the scenario, with source and confidence; what "
            "nobody states is not guessed.",
        ),
        _QUANTILES,
        _VERDICT,
        _TABLES,
        _columns("requests.parquet", REQUEST_COLUMNS),
        _columns("user_requests.parquet", USER_REQUEST_COLUMNS),
        _columns("asks.parquet", ASK_COLUMNS),
        _columns("nodes.parquet", NODE_COLUMNS),
        _columns("gaps.parquet", GAP_COLUMNS),
        _columns("prefixes.parquet", PREFIX_COLUMNS),
        _columns("stages.parquet", STAGE_COLUMNS),
        _columns("preemptions.parquet", PREEMPTION_COLUMNS),
        _columns("faults.parquet", FAULT_COLUMNS),
        _columns("lifetimes.parquet", LIFETIME_COLUMNS),
        _columns("sessions.parquet", SESSION_COLUMNS),
        _columns("agent_steps.parquet", AGENT_STEP_COLUMNS),
    ]
    return "\n".join(sections)


def _section(title: str, entries: Iterable[Duration | Definition], closing: str = "") -> str:
    lines = [f"## {title}", "", "| name | | formula | unit | meaning |", "|---|---|---|---|---|"]
    for entry in entries:
        unit = "s" if isinstance(entry, Duration) else entry.unit
        lines.append(f"| `{entry.name}` | {entry.title} | {entry.formula} | {unit} | {entry.meaning} |")
    return "\n".join([*lines, "", *([closing, ""] if closing else [])])


def _columns(file: str, columns: Sequence[Column]) -> str:
    lines = [f"### {file}", "", "| column | kind | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{c.name}` | {c.kind} | {c.meaning} |" for c in columns), ""])
