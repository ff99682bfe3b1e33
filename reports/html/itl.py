"""Inter-token latency: the gaps between tokens of each model, pooled over its requests."""

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Summary, variant_titles
from reports.words import count, duration

STATISTICS = {"mean": "Mean", "p50": "p50", "p95": "p95", "p99": "p99"}


def itl(summary: Summary, definitions: Definitions) -> Html | None:
    """None where nobody counted gaps."""
    notes, titles, lines = Footnotes("itl"), variant_titles(summary), []
    values: set[float | None] = set()
    for name, variant in summary["variants"].items():
        for found in variant.get("itl", []):
            label = " · ".join([titles.get(name, name)] * (len(titles) > 1) + [found["model"]])
            shown = [read_estimate(found[key]) for key in STATISTICS]
            values |= {one.value for one in shown}
            cells = [notes.cell(one) for one in shown]
            lines.append(row(label, *cells, number_cell(count(found["gaps"]))))
    if not lines:
        return None
    columns: list[Node] = [term("itl", "ITL", definitions), *STATISTICS.values(), "Gaps"]
    heading = tag("h3", term("itl", "Inter-token latency (ITL)", definitions), class_="later")
    caption = "Gaps between consecutive tokens at the node, pooled over the requests of a model"
    if len(values) == 1 and None not in values:
        whole = term("itl", "Inter-token latency (ITL)", definitions)
        return tag(
            "p", whole, f": {duration(values.pop() or 0.0)} everywhere, at every percentile.", class_="sub"
        )
    return join(heading, table(caption, columns, [body(lines)], after=notes.html()))
