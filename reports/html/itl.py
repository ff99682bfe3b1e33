"""Inter-token latency: the gaps between tokens of each model, pooled over its requests."""

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Summary, variant_titles
from reports.words import count

STATISTICS = {"mean": "Mean", "p50": "p50", "p95": "p95", "p99": "p99"}


def itl(summary: Summary, definitions: Definitions) -> Html | None:
    """None where nobody counted gaps."""
    notes, titles, lines = Footnotes("itl"), variant_titles(summary), []
    for name, variant in summary["variants"].items():
        for found in variant.get("itl", []):
            label = " · ".join([titles.get(name, name)] * (len(titles) > 1) + [found["model"]])
            cells = [notes.cell(read_estimate(found[key])) for key in STATISTICS]
            lines.append(row(label, *cells, number_cell(count(found["gaps"]))))
    if not lines:
        return None
    columns: list[Node] = [term("itl", "ITL", definitions), *STATISTICS.values(), "Gaps"]
    heading = tag("h3", term("itl", "Inter-token latency (ITL)", definitions), class_="later")
    caption = "Gaps between consecutive tokens at the node, pooled over the requests of a model"
    return join(heading, table(caption, columns, [body(lines)], after=notes.html()))
