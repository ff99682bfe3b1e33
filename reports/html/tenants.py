"""What each tenant got of its objectives, and how evenly."""

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Summary, variant_titles
from reports.words import PERCENT, PLAIN, count


def tenants(summary: Summary, definitions: Definitions) -> Html | None:
    """None where no variant has several."""
    titles = variant_titles(summary)
    jain_notes, notes = Footnotes("jain"), Footnotes("tenants")
    indexes, lines, left_out = [], [], 0
    for name, variant in summary["variants"].items():
        found = variant.get("tenants")
        if not found:
            continue
        title = titles.get(name, name)
        left_out = max(left_out, found["count"] - len(found["tenants"]))
        indexes.append(row(title, jain_notes.cell(read_estimate(found["jain"]), PLAIN)))
        for tenant in found["tenants"]:
            parts = [title] * (len(titles) > 1) + [tenant["tenant"]]
            attained = notes.cell(read_estimate(tenant["attainment"]), PERCENT)
            counts = (number_cell(count(tenant[key])) for key in ("asked", "completed"))
            lines.append(row(" · ".join(parts), attained, *counts))
    if not lines:
        return None
    heading = tag("h3", "By tenant", class_="later")
    index: list[Node] = ["", term("jain", "Jain's index", definitions)]
    columns: list[Node] = ["", term("attainment", "Attainment", definitions), "Asked", "Completed"]
    rest = tag("p", f"{count(left_out)} tenants that asked less are not listed.") if left_out else None
    return join(
        heading,
        table("How evenly tenants attain their objectives", index, [body(indexes)], after=jain_notes.html()),
        table("Attainment of each tenant", columns, [body(lines)], after=notes.html()),
        rest,
    )
