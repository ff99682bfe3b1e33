"""Waiting for a node by priority, for models that serve requests of several."""

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Summary, variant_titles
from reports.words import count

STATISTICS = {"mean": "Mean", "p50": "p50", "p95": "p95", "p99": "p99"}


def priorities(summary: Summary, definitions: Definitions) -> Html | None:
    """None where no model has requests of more than one priority."""
    notes, titles, lines = Footnotes("priorities"), variant_titles(summary), []
    for name, variant in summary["variants"].items():
        for found in variant.get("priorities", []):
            parts = [titles.get(name, name)] * (len(titles) > 1) + [found["model"], str(found["priority"])]
            cells = [notes.cell(read_estimate(found["queue"][key])) for key in STATISTICS]
            lines.append(row(" · ".join(parts), *cells, number_cell(count(found["completed"]))))
    if not lines:
        return None
    columns: list[Node] = [term("queue", "Queue", definitions), *STATISTICS.values(), "Completed"]
    heading = tag("h3", "Waiting for a node, by priority", class_="later")
    caption = "From the gateway's yes to the first step, by the priority of the request: the lower goes first"
    return join(heading, table(caption, columns, [body(lines)], after=notes.html()))
