"""A sweep in a few sentences: the first thing that a reader sees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from reports.sweep.rows import DONE, FAILED, Row
from reports.words import as_chosen, duration, number, plural

LATENCIES = (("ttft_p95_s", "TTFT p95"), ("e2e_p95_s", "E2E p95"), ("e2e_mean_s", "mean E2E"))
"""What a sweep is told by: the first that its cells have."""
Name = Callable[[Row], str]
COSTS = {"nodes_usd_per_hour": "per hour", "usd_per_1m_output_tokens": "per million output tokens"}
AS_MUCH = 0.95
"""Of the most that is offered: such loads are alike."""
MEETS = 0.99
"""Attainment, from which on a cell is said to meet the objectives."""


def sentences(rows: Sequence[Row], about: Mapping[str, Any], name: Name) -> list[str]:
    """`about` is the definition of the sweep, and `name` says which cell a row is."""
    done = [row for row in rows if row["status"] == DONE]
    if not done:
        return [f"None of the {plural(len(rows), 'cell')} has a result."]
    stable = [row for row in done if row["verdict"] == "stable"]
    return [
        *_states(rows, done),
        *_latencies(stable or done, about["sources"], name),
        *_cheapest(stable, about, name),
    ]


def lead(rows: Sequence[Row], about: Mapping[str, Any], name: Name) -> tuple[str, list[str]]:
    """What a deployment carries and costs, where that is known, before how the cells are; and the rest."""
    told = sentences(rows, about, name)
    stable = [row for row in rows if row["status"] == DONE and row["verdict"] == "stable"]
    answers = list(_cheapest(stable, about, name)) if stable else []
    return (
        (" ".join(answers), [one for one in told if one not in answers]) if answers else (told[0], told[1:])
    )


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


def _cheapest(stable: Sequence[Row], about: Mapping[str, Any], name: Name) -> Iterator[str]:
    """By what its nodes cost, or by its tokens where nobody knows that; of a single model.

    Where cells differ in their load, of those that carry the most: the cheapest of all would be an idle one.
    """
    models, sources, objectives = about["models"], about["sources"], about["objectives"]
    meets = f"meets {objectives} for {as_chosen(MEETS * 100)} % of requests" if objectives else "keeps up"
    good = [row for row in stable if not objectives or all(_met(row, source) for source in sources)]
    if not good:
        yield f"No cell {meets}."
        return
    most = max(row["offered_per_s"] for row in good)
    busiest = [row for row in good if row["offered_per_s"] >= AS_MUCH * most]
    loads_differ = len(busiest) < len(good)
    if loads_differ:
        carried = max(row["carried_per_s"] for row in busiest)
        yield f"The most that a cell carries while it {meets} is {number(carried)} requests/s."
    found = _least(busiest, models[0]) if len(models) == 1 else None
    if found is not None:
        cost, what, row = found
        whose = "of those that carry it" if loads_differ else f"that {meets}"
        yield f"The cheapest {whose} is {name(row)}: {number(cost)} USD {what}."


def _least(rows: Sequence[Row], model: str) -> tuple[float, str, Row] | None:
    """(cost, of what, which)."""
    for column, what in COSTS.items():
        priced = [row for row in rows if row.get(f"{model}.{column}") is not None]
        if priced:
            best = min(priced, key=lambda row: float(row[f"{model}.{column}"]))
            return best[f"{model}.{column}"], what, best
    return None


def _met(row: Row, source: str) -> bool:
    return (row.get(f"{source}.attainment") or 0.0) >= MEETS
