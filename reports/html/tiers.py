"""What each tier of users got of the objectives that are its own."""

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Summary, variant_titles
from reports.words import PERCENT, count


def tiers(summary: Summary, definitions: Definitions) -> Html | None:
    """None where no tier has any."""
    titles, notes = variant_titles(summary), Footnotes("tiers")
    lines = []
    for name, variant in summary["variants"].items():
        for tier in variant.get("tiers", []):
            parts = [titles.get(name, name)] * (len(titles) > 1) + [tier["tier"] or "no tier"]
            attained = notes.cell(read_estimate(tier["attainment"]), PERCENT)
            counts = (number_cell(count(tier[key])) for key in ("asked", "completed"))
            lines.append(row(" · ".join(parts), tier["objectives"], attained, *counts))
    if not lines:
        return None
    attainment = term("attainment", "Attainment", definitions)
    columns: list[Node] = ["", "Objectives", attainment, "Asked", "Completed"]
    shown = table(
        "Attainment of each tier, by its own objectives", columns, [body(lines)], after=notes.html()
    )
    return join(tag("h3", "By tier", class_="later"), shown)
