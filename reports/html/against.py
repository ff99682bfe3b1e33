"""A run against measurements as a small page of its own: no script, nothing fetched."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.compared.measured import QUANTITIES, TITLES, against_answer, against_remarks, off
from reports.html.markup import Html, join, tag
from reports.html.small_page import small_page
from reports.html.tables import body, number_cell, row, table
from reports.words import as_chosen, number, share

NONE = "\N{EM DASH}"
Json = Mapping[str, Any]


def render_against(files: Sequence[Json], run: str) -> str:
    sections = [_section(found, number) for number, found in enumerate(files, 1)]
    title = f"{run} against what was measured"
    return small_page(title, join(tag("header", tag("h1", title)), tag("main", sections, id="content")))


def _section(found: Json, number: int) -> Html:
    heading = tag("h2", f"{found['measured']} ({found['format']})")
    remarks = tag("ul", [tag("li", sentence) for sentence in against_remarks(found)])
    caption = f"Errors as shares of what was measured ({number})"
    beside = [*found["asked"], *found["throughput"]]
    lines = [row(QUANTITIES[one["quantity"]], *map(number_cell, _beside(one))) for one in beside]
    columns = ["", "Measured", "Simulated", "Error"]
    what = table(f"What both were asked, and carried ({number})", columns, [body(lines)])
    return tag(
        "section", heading, tag("p", against_answer(found)), _errors(found["metrics"], caption), what, remarks
    )


def _errors(metrics: Sequence[Json], caption: str) -> Html:
    percents = list(dict.fromkeys(one["percent"] for metric in metrics for one in metric["quantiles"]))
    columns = ["", "Measured", "Simulated", "Of the mean", *(f"Of p{as_chosen(one)}" for one in percents)]
    columns += ["MAPE", "P95", "KS"]
    lines = [row(TITLES[one["metric"]], *map(number_cell, _cells(one, percents))) for one in metrics]
    return table(caption, columns, [body(lines)])


def _cells(one: Json, percents: Sequence[float]) -> list[str]:
    errors = {quantile["percent"]: quantile["error"] for quantile in one["quantiles"]}
    interval = ""
    if one["mean_error_low"] is not None:
        interval = f" ({off(one['mean_error_low'])} to {off(one['mean_error_high'])})"
    each = one["by_request"]
    return [
        f"{number(one['measured_mean_ms'])} ms",
        f"{number(one['simulated_mean_ms'])} ms",
        off(one["mean_error"]) + interval,
        *(off(errors[at]) if at in errors else NONE for at in percents),
        *(share(each[name]) if each else NONE for name in ("mape", "p95")),
        NONE if one["ks"] is None else number(one["ks"]),
    ]


def _beside(one: Json) -> list[str]:
    error = NONE if one["error"] is None else off(one["error"])
    return [number(one["measured"]), number(one["simulated"]), error]
