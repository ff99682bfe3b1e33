"""What broke, when, and what it cost whom."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.faults import PARTS
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import body, number_cell, row, table
from reports.rows import Summary, variant_titles
from reports.words import count, in_seconds, number

NONE = "-"
RULE = (
    "An ask meets a fault if it is in the system while that is broken. It comes after the fault if it is "
    "meant within as long a time after the repair as the fault lasted. Slow is what completed and took "
    "longer than 95 % of the asks that do neither."
)


def faults(summary: Summary) -> Html | None:
    """None where nothing was to break."""
    broken = {name: v["faults"] for name, v in summary["variants"].items() if v.get("faults")}
    if not broken:
        return None
    titles = variant_titles(summary)
    titled = [(_titled(titles, name), found) for name, found in broken.items()]
    happened = [row(*cells) for title, found in titled for cells in _happened(title, found)]
    costs = [row(*cells) for title, found in titled for cells in _costs(title, found)]
    listed = [tag("li", line) for title, found in titled for line in _spans(title, found)]
    heads: list[Node] = ["", "Times", "Broken (s)", "Requests failed", "Requests moved"]
    columns: list[Node] = ["", *(f"{title}: {what}" for title in TITLES.values() for what in WHAT)]
    return join(
        table("What broke, in the mean of a replication", heads, [body(happened)]),
        tag("ul", listed),
        tag("h3", "What it cost whom", class_="later"),
        tag("p", RULE),
        table("Asks of each source during each fault, after it, and otherwise", columns, [body(costs)]),
    )


TITLES = {key: title.capitalize() for key, title in PARTS.items()}
WHAT = ("asks", "failed (%)", "slow (%)", "mean (ms)")


def _titled(titles: Mapping[str, str], name: str) -> list[str]:
    return [titles.get(name, name)] if len(titles) > 1 else []


def _happened(title: list[str], found: Mapping[str, Any]) -> Iterator[list[Node]]:
    for one in found["happened"]:
        figures = (one[key] for key in ("times", "broken_s", "failed", "moved"))
        yield [" · ".join([*title, one["fault"]]), *(number_cell(number(figure)) for figure in figures)]


def _spans(title: list[str], found: Mapping[str, Any]) -> Iterator[str]:
    before = "".join(f"{part}: " for part in title)
    for span in found["spans"]:
        until = "to the end" if span["ended_s"] is None else f"to {in_seconds(span['ended_s'])}"
        since = in_seconds(span["began_s"])
        yield f"{before}{span['fault']} ({span['kind']}), {span['target']}, {since} {until}"
    if found["spans_left_out"]:
        yield f"{before}and {count(found['spans_left_out'])} more of the first replication."


def _costs(title: list[str], found: Mapping[str, Any]) -> Iterator[list[Node]]:
    for cost in found["cost"]:
        cells = [cell for key in PARTS for cell in _part(cost[key])]
        named = [*title, cost["fault"], cost["source"]]
        yield [" · ".join(named), *(number_cell(cell) for cell in cells)]


def _part(part: Mapping[str, Any]) -> list[str]:
    asks, mean_s = part["asks"], part["mean_s"]
    shares = [_share(part[key], asks) for key in ("failed", "slow")]
    return [count(asks), *shares, NONE if mean_s is None else number(mean_s * 1000)]


def _share(some: int | None, asks: int) -> str:
    return NONE if some is None or not asks else number(100 * some / asks)
