"""A run against measurements, as tables for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.compared.measured import QUANTITIES, TITLES, against_answer, against_remarks, off
from reports.terminal import columns
from reports.text import wrapped
from reports.words import as_chosen, number, share

NONE = "-"
Json = Mapping[str, Any]


def against_text(found: Json) -> str:
    """The answer, errors by metric, then what was asked of both and what they carried."""
    lines = [*wrapped(against_answer(found)), *_errors(found["metrics"]), ""]
    lines += [*_beside([*found["asked"], *found["throughput"]]), ""]
    for sentence in against_remarks(found):
        lines += wrapped(sentence)
    return "\n".join(lines) + "\n"


def _errors(metrics: Sequence[Json]) -> list[str]:
    percents = [one["percent"] for metric in metrics for one in metric["quantiles"]]
    shown = list(dict.fromkeys(percents))
    head = ["errors in %", "measured, ms", "simulated", "mean", *(f"p{as_chosen(one)}" for one in shown)]
    rows = [[*_of_mean(one), *_of_quantiles(one, shown), *_of_each(one)] for one in metrics]
    return columns([[*head, "MAPE", "its P95", "KS"], *rows], left=1)


def _of_mean(one: Json) -> Iterator[str]:
    yield TITLES[one["metric"]]
    yield number(one["measured_mean_ms"])
    yield number(one["simulated_mean_ms"])
    half = (
        ""
        if one["mean_error_low"] is None
        else f" ±{_bare(share((one['mean_error_high'] - one['mean_error_low']) / 2))}"
    )
    yield _bare(off(one["mean_error"])) + half


def _of_quantiles(one: Json, percents: Sequence[float]) -> Iterator[str]:
    errors = {quantile["percent"]: quantile["error"] for quantile in one["quantiles"]}
    yield from (_bare(off(errors[at])) if at in errors else NONE for at in percents)


def _of_each(one: Json) -> Iterator[str]:
    each = one["by_request"]
    yield from (_bare(share(each[name])) if each else NONE for name in ("mape", "p95"))
    yield NONE if one["ks"] is None else number(one["ks"])


def _bare(per_cent: str) -> str:
    return per_cent.removesuffix(" %")


def _beside(quantities: Sequence[Json]) -> list[str]:
    rows = [["", "measured", "simulated", "error"]]
    rows += [
        [
            QUANTITIES[one["quantity"]],
            number(one["measured"]),
            number(one["simulated"]),
            NONE if one["error"] is None else off(one["error"]),
        ]
        for one in quantities
    ]
    return columns(rows, left=1)
