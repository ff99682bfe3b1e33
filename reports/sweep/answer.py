"""A sweep in a few sentences: the first thing that a reader sees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from reports.sweep.rows import DONE, FAILED, Row
from reports.words import duration, plural

LATENCIES = (("ttft_p95_s", "TTFT p95"), ("e2e_p95_s", "E2E p95"), ("e2e_mean_s", "mean E2E"))
"""What a sweep is told by: the first that its cells have."""
Name = Callable[[Row], str]


def sentences(rows: Sequence[Row], sources: Sequence[str], models: Sequence[str], name: Name) -> list[str]:
    """`name` says which cell a row is."""
    done = [row for row in rows if row["status"] == DONE]
    if not done:
        return [f"None of the {plural(len(rows), 'cell')} has a result."]
    stable = [row for row in done if row["verdict"] == "stable"]
    return [
        *_states(rows, done),
        *_latencies(stable or done, sources, name),
        *_cheapest(stable, models, name),
    ]


def told_by(rows: Sequence[Row], source: str) -> tuple[str, str] | None:
    """(column, title) of the latency that most can be said of."""
    for column, title in LATENCIES:
        if any(row.get(f"{source}.{column}") is not None for row in rows):
            return f"{source}.{column}", title
    return None


def cost_of(row: Row, models: Sequence[str], column: str) -> float | None:
    """The sum over the models; None where one has none."""
    found = [row.get(f"{model}.{column}") for model in models]
    return None if None in found else sum(value for value in found if value is not None)


def _states(rows: Sequence[Row], done: Sequence[Row]) -> Iterator[str]:
    parts = []
    for state in ("overloaded", "backlogged"):
        count = sum(row["verdict"] == state for row in done)
        if count:
            parts.append(f"{count} {'is' if count == 1 else 'are'} {state}")
    for status, word in ((FAILED, "failed"), ("missing", "missing")):
        count = sum(row["status"] == status for row in rows)
        if count:
            parts.append(f"{count} {'is ' if count == 1 and word == 'missing' else ''}{word}")
    whole = plural(len(rows), "cell")
    yield f"Of {whole} {' and '.join(parts)}." if parts else f"All {whole} keep up with what is asked."


def _latencies(rows: Sequence[Row], sources: Sequence[str], name: Name) -> Iterator[str]:
    for source in sources:
        told = told_by(rows, source)
        if told is None:
            continue
        column, title = told
        known = sorted(
            (row for row in rows if row.get(column) is not None), key=lambda row: float(row[column])
        )
        best, worst = known[0], known[-1]
        of = "" if len(sources) == 1 else f" of {source}"
        if best is worst:
            yield f"{title}{of} is {duration(best[column])} ({name(best)})."
        else:
            yield (
                f"{title}{of} lies between {duration(best[column])} ({name(best)}) "
                f"and {duration(worst[column])} ({name(worst)}) in cells that keep up."
            )


def _cheapest(stable: Sequence[Row], models: Sequence[str], name: Name) -> Iterator[str]:
    priced = [
        (cost, row)
        for row in stable
        if (cost := cost_of(row, models, "usd_per_1m_output_tokens")) is not None
    ]
    if len(priced) > 1 and len(models) == 1:
        cost, row = min(priced, key=lambda found: found[0])
        yield f"The cheapest of them is {name(row)}: {cost:.3g} USD per million output tokens."


def definition_rows(rows: Sequence[Row], fields: Sequence[str]) -> Mapping[str, list[Any]]:
    """By field, its values in the order in which they come."""
    found: dict[str, list[Any]] = {field: [] for field in fields}
    for row in rows:
        for field in fields:
            if row[field] not in found[field]:
                found[field].append(row[field])
    return found
