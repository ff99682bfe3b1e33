"""HTML tables: a row header each, numbers with their intervals, refused values with their reason."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from reports.html.estimate import Estimate
from reports.html.markup import Html, Node, join, link, tag
from reports.words import Scale


class Definition(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def formula(self) -> str: ...
    @property
    def meaning(self) -> str: ...


DENSE = 4
"""With more columns the interval stands under its value."""

Definitions = Mapping[str, Definition]


def term(key: str, label: str, definitions: Definitions) -> Node:
    """`label`, linked to its definition where there is one."""
    return link(f"def-{key}", label) if key in definitions else label


class Footnotes:
    """Why a value or its interval is missing: said once below the table, and read out in each cell."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._numbers: dict[str, int] = {}

    def cell(self, estimate: Estimate, scale: Scale | None = None) -> Html:
        if estimate.value is None:
            return self._refused(estimate.refused)
        shown = estimate.shown(scale)
        value = tag("span", shown.with_unit(), class_="value")
        if shown.interval:
            return tag("td", value, " ", tag("span", shown.interval, class_="interval"), class_="number")
        return tag("td", value, self._mark("no interval", estimate.note), class_="number")

    def html(self) -> Html | None:
        if not self._numbers:
            return None
        items = [tag("li", reason, id=self._anchor(n)) for reason, n in self._numbers.items()]
        return tag("ol", items, class_="footnotes", aria_label="Why values or intervals are missing")

    def _refused(self, reason: str) -> Html:
        dash = tag("span", "\N{EM DASH}", aria_hidden="true")
        return tag("td", dash, self._mark("no value", reason), class_="number refused")

    def _mark(self, missing: str, reason: str) -> Html | None:
        if not reason:
            return None
        number = self._numbers.setdefault(reason, len(self._numbers) + 1)
        spoken = tag("span", f" {missing}: {reason}", class_="visually-hidden")
        return join(tag("sup", str(number), aria_hidden="true"), spoken)

    def _anchor(self, number: int) -> str:
        return f"why-{self._table}-{number}"


def table(
    caption: str, columns: Sequence[Node], bodies: Iterable[Html], *, after: Html | None = None
) -> Html:
    """A table in a region that scrolls sideways by keyboard too; `bodies` are tbody elements."""
    head = tag("thead", tag("tr", [tag("th", column, scope="col") for column in columns]))
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


def number_cell(shown: str) -> Html:
    return tag("td", shown, class_="number")
