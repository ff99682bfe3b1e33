"""The data behind the page, for whoever goes on with it: a small table in the page, the rest by a command."""

import base64
import csv
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from reports.html.markup import Html, Node, definition_list, join, tag
from reports.rows import Summary, variant_titles

COLUMNS = ("variant", "source", "place", "metric", "statistic", "value_s", "low_s", "high_s", "n", "refused")
EXPORTS = {
    "CSV": ("columns", "requests.csv", "a row per request"),
    "AIPerf JSON": ("aiperf", "profile_export_aiperf.json", "as AIPerf sums up a benchmark"),
    "llm-d report": ("llm_d", "llm-d-report.yaml", "llm-d's Benchmark Report 0.2.1"),
}
"""By what it is called: the format of `e80sim export`, the file, what is in it."""

MOST_CHARACTERS = 60_000
"""Of what the page itself holds."""


def take_away(summary: Summary) -> Html:
    which = _which(summary)
    given: dict[str, Node] = {
        name: join(told, ": ", _copied(f"copy-{form}", f"e80sim export . {file} --format {form}{which}"))
        for name, (form, file, told) in EXPORTS.items()
    }
    given["parquet"] = join(
        "every request with every stamp, in picoseconds: ", tag("code", "requests.parquet")
    )
    return join(
        _held(summary),
        tag("p", "The requests themselves lie in the directory of this run. There:"),
        definition_list(given),
        _others(summary),
    )


def _held(summary: Summary) -> Html:
    text = "".join(latencies_csv(summary))
    if len(text) > MOST_CHARACTERS:
        return tag("p", "All latencies with their intervals are in ", tag("code", "summary.json"), ".")
    address = f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}"
    link = tag("a", "All latencies of this page, CSV", href=address, download=f"{summary['scenario']}.csv")
    return tag("p", link, ", with their intervals.")


def latencies_csv(summary: Summary) -> Iterator[str]:
    """Lines of every latency of every source and variant; with a reason where there is no value."""
    for values in [COLUMNS, *_rows(summary)]:
        line = StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        yield line.getvalue()


def _rows(summary: Summary) -> Iterator[tuple[Any, ...]]:
    for variant, found in summary["variants"].items():
        for group in found["groups"]:
            named = (variant, group["source"], group.get("place", ""))
            for metric, statistics in group["metrics"].items():
                yield from (
                    (*named, metric, statistic, *_values(estimate))
                    for statistic, estimate in statistics.items()
                    if isinstance(estimate, Mapping)
                )


def _values(estimate: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*(estimate.get(key) for key in ("value", "low", "high", "n")), estimate.get("refused"))


def _which(summary: Summary) -> str:
    """What `export` must be told where a run has several: the first of each."""
    variants = list(variant_titles(summary))
    models = _models(summary, variants[0])
    chosen = f" --variant {variants[0]}" if len(variants) > 1 else ""
    return chosen + (f" --model {models[0]}" if len(models) > 1 else "")


def _models(summary: Summary, variant: str) -> list[str]:
    ran = summary["variants"].get(variant, {})
    return list(dict.fromkeys(group["model"] for group in ran.get("groups", ())))


def _others(summary: Summary) -> Html | None:
    variants = list(variant_titles(summary))
    models = _models(summary, variants[0])
    told = [
        f"--{name} takes {', '.join(ones)}"
        for name, ones in (("variant", variants), ("model", models))
        if len(ones) > 1
    ]
    return tag("p", "; ".join([*told, "--replication counts from 0"]), ".", class_="footnotes")


def _copied(identity: str, command: str) -> Html:
    button = tag("button", "Copy", type="button", class_="save needs-js", data_copy=identity)
    return join(tag("code", command, id=identity), " ", button)
