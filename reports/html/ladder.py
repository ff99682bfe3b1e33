"""The ladder of limits: the load at which each binds, in closed form, the lowest first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.answer.phrases import listed
from reports.html.markup import Html, Node, coordinate, join, tag
from reports.html.tables import body, number_cell, row, table
from reports.html.views import View, views
from reports.rows import Summary, short_titles
from reports.words import number, plural

LEAD = (
    "The load at which each limit alone would be used up, in requests per second to the model and in this "
    "mix: worked out from the step law and mean sizes, nothing simulated. The lowest binds."
)
MOST_NAMED = 3
"""Variants on a tab."""
LONGEST = 3.0
"""Bars end here, as a multiple of the asked load: beyond it there is room enough."""


def ladder(summary: Summary) -> Html | None:
    """None of a run that says nothing of it."""
    titles, alike = short_titles(summary), list(_alike(summary))
    if not alike:
        return None
    shown = [
        View(
            names[0],
            listed([titles.get(name, name) for name in names], MOST_NAMED),
            join([ladder_table("", one) for one in ladders]),
        )
        for names, ladders in alike
    ]
    same = f" All {len(titles)} variants have these limits." if len(shown) == 1 and len(titles) > 1 else ""
    return join(tag("p", LEAD, same), views("limits", "Variant", shown))


def _alike(summary: Summary) -> Iterator[tuple[list[str], Sequence[Mapping[str, Any]]]]:
    """Variants with the same limits together, and these."""
    left = {name: of for name, of in summary["facts"].get("ladders_by_variant", {}).items() if of}
    while left:
        ladders = next(iter(left.values()))
        names = [name for name, of in left.items() if of == ladders]
        yield names, ladders
        left = {name: of for name, of in left.items() if name not in names}


def ladder_table(title: str, found: Mapping[str, Any]) -> Html:
    """Of one model, as `Ladder.json` has it."""
    asked = (
        f"{found['model']}, {plural(found['nodes'], 'node')}, {number(found['offered_per_s'])} asked a second"
    )
    lines = [row(*cells) for cells in _cells(found)]
    columns: list[Node] = ["Limit", "Binds at (1/s)", "Of the asked load", "", "Which is"]
    return table(" · ".join(part for part in (title, asked) if part), columns, [body(lines)])


def _cells(found: Mapping[str, Any]) -> Iterator[list[Node]]:
    for place, rung in enumerate(found["rungs"]):
        name: Node = tag("strong", f"{rung['title']}, which binds") if place == 0 else rung["title"]
        load, times = number(rung["at_per_s"]), f"{number(rung['times'])} x"
        yield [name, number_cell(load), number_cell(times), _bar(rung["times"]), rung["detail"]]


def _bar(times: float) -> Html:
    """A full one is `LONGEST` times the asked load; the number beside it says the rest."""
    value = coordinate(min(times, LONGEST) / LONGEST)
    return tag("meter", "", value=value, min="0", max="1", low=coordinate(1 / LONGEST), aria_hidden="true")
