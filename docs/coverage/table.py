"""The table of a coverage study, a row per case."""

from collections.abc import Iterator, Sequence

import numpy as np

from docs.coverage.study import STATISTICS, Case, Tally

SELDOM = 0.1
"""Of the studies: where fewer have an interval, refused is what most readers will see."""

Row = tuple[Case, int, dict[str, Tally]]


def table(rows: Sequence[Row]) -> str:
    """Markdown. A cell tells how many intervals hold the truth, and how far the value is off on average."""
    head = ["queue", "load", "replications x requests", *STATISTICS]
    lines = [head, ["---"] * len(head), *(list(_cells(*row)) for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(case: Case, studies: int, tallies: dict[str, Tally]) -> Iterator[str]:
    yield case.queue
    yield f"{case.load:g}"
    more = "" if case.precision is None else f" or more, to ±{case.precision.relative:.0%}".replace("%", " %")
    yield f"{case.replications:,} x {case.requests:,}{more}"
    for name in STATISTICS:
        yield _cell(tallies[name], studies) if name in tallies else ""


def _cell(tally: Tally, studies: int) -> str:
    off = f"{np.mean(tally.errors):+.1%}".replace("%", " %").replace("-", "−")  # noqa: RUF001 a minus sign
    if tally.given < SELDOM * studies:
        needed = f", needs {np.median(tally.needed):,.0f}" if tally.needed else ""
        return f"refused{needed}"
    given = "" if tally.given == studies else f" of {tally.given / studies:.0%}"
    return f"{tally.held / tally.given:.0%}{given}, {off}".replace("%", " %").replace("  ", " ")
