"""HTML tables: a row header each, numbers with their intervals, refused values with their reason."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from reports.estimate import ShownEstimate, read_estimate
from reports.html.markup import Html, Node, join, link, tag
from reports.words import Scale, count, with_interval


class ShownDefinition(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def formula(self) -> str: ...
    @property
    def meaning(self) -> str: ...


FIGURE = re.compile(r"(?<![\w.,])-?\d[\d,]*(?:\.\d+)?(?!\w)")
"""A number that stands alone: 1,000 and 0.41, but not the one in p99."""
PLACE = "\0"
DENSE = 4
"""With more columns the interval stands under its value."""

Record = Mapping[str, Any]
Definitions = Mapping[str, ShownDefinition]


def term(key: str, label: str, definitions: Definitions) -> Node:
    """`label`, linked to its definition where there is one."""
    return link(f"def-{key}", label) if key in definitions else label


class Footnotes:
    """Why a value or its interval is missing: said once below the table, and read out in each cell.

    Reasons that differ only in their figures share a note, which then gives the range of each.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._figures: dict[str, list[list[str]]] = {}
        """By the reason without its figures: the figures of every time it was given."""

    def cell(self, estimate: ShownEstimate, scale: Scale | None = None) -> Html:
        if estimate.value is None:
            dash = tag("span", "\N{EM DASH}", aria_hidden="true")
            return tag("td", dash, self._mark("no value", estimate.refused), class_="number refused")
        shown = estimate.shown(scale)
        if shown.interval:
            interval = shown.interval if estimate.has_spread else "no spread"
            return tag("td", shown.with_unit(), " ", tag("small", interval), class_="number")
        return tag("td", shown.with_unit(), self._mark("no interval", estimate.note), class_="number")

    def between(self, least: float, most: float, scale: Scale, reason: str) -> Html:
        """A value of which only bounds are known."""
        shown = with_interval(least, least, most, scale)
        return tag("td", shown.interval_with_unit(), self._mark("only bounds", reason), class_="number")

    def mark(self, reason: str) -> Html | None:
        """Something to know about what stands in the cell."""
        return self._mark("note", reason)

    def html(self) -> Html | None:
        if not self._figures:
            return None
        reasons = [_with_ranges(reason, given) for reason, given in self._figures.items()]
        items = [tag("li", reason, id=f"why-{self._table}-{n}") for n, reason in enumerate(reasons, 1)]
        return tag("ol", items, class_="footnotes", aria_label="Why values or intervals are missing")

    def _mark(self, missing: str, reason: str) -> Html | None:
        if not reason:
            return None
        bare = FIGURE.sub(PLACE, reason)
        self._figures.setdefault(bare, []).append(FIGURE.findall(reason))
        number = list(self._figures).index(bare) + 1
        spoken = tag("span", f" {missing}: {reason}", class_="visually-hidden")
        return join(tag("sup", str(number), aria_hidden="true"), spoken)


def _with_ranges(bare: str, given: Sequence[Sequence[str]]) -> str:
    """Put the figures back: one where all agree, else the least and the most."""
    parts = bare.split(PLACE)
    filled = [parts[0]]
    for figures, part in zip(zip(*given, strict=True), parts[1:], strict=True):
        ordered = sorted(set(figures), key=lambda figure: float(figure.replace(",", "")))
        filled.append(ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}")
        filled.append(part)
    return "".join(filled)


def table(
    caption: str, columns: Sequence[Node], bodies: Iterable[Html], *, after: Html | None = None
) -> Html:
    """A table in a region that scrolls sideways by keyboard too; `bodies` are tbody elements."""
    head = tag("thead", tag("tr", [tag("th", one, scope="col") if one else tag("td") for one in columns]))
    kind = "dense" if len(columns) > DENSE else None
    whole = tag("table", tag("caption", caption), head, bodies, class_=kind)
    region = tag("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")
    return join(region, after)


def body(rows: Iterable[Html], title: Node = None, columns: int = 0) -> Html:
    """With a `title`, a group of rows under a header across all columns."""
    if title is None:
        return tag("tbody", rows)
    header = tag("tr", tag("th", title, scope="rowgroup", colspan=str(columns)), class_="group")
    return tag("tbody", header, rows)


def row(label: Node, *cells: Node) -> Html:
    """Cells that are not elements yet become them."""
    made = [c if isinstance(c, Html) and c.startswith("<td") else tag("td", c) for c in cells]
    return tag("tr", tag("th", label, scope="row"), made)


class Column(NamedTuple):
    """Of a table of records: its head, and its cell of a record."""

    head: Node
    cell: Callable[[Record, Footnotes], Node]


def estimated(key: str, head: Node, scale: Scale | None = None) -> Column:
    return Column(head, lambda one, notes: notes.cell(read_estimate(one.get(key)), scale))


def counted(key: str, head: Node) -> Column:
    return Column(head, lambda one, _: number_cell(count(one[key])))


def told(key: str, head: Node) -> Column:
    return Column(head, lambda one, _: str(one[key]))


def records(
    name: str, caption: str, columns: Sequence[Column], lines: Iterable[tuple[Node, Record]], first: Node = ""
) -> Html:
    """A row for each record, under its label. `name` is unique on the page."""
    notes = Footnotes(name)
    shown = [row(label, *(column.cell(one, notes) for column in columns)) for label, one in lines]
    return table(caption, [first, *(one.head for one in columns)], [body(shown)], after=notes.html())


def number_cell(shown: str) -> Html:
    return tag("td", shown, class_="number")
