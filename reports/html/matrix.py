"""Every number in one matrix: a tab for each metric, variants down, sources across, differences beside."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reports.answer import answer
from reports.answer.changes import Change, changes_of, told_of
from reports.answer.refusals import turned_away
from reports.estimate import ShownEstimate, overlap, read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, term
from reports.html.views import View, views
from reports.objectives import stated
from reports.rows import Row, Summary, rows_by_source, short_titles, variant_titles
from reports.variant_records import of_variant
from reports.words import PERCENT, Scale, change, count, duration_scale, points

MOST_ACROSS = 3
"""Sources side by side; more of them stand below each other."""
METRICS = {
    "felt": ("User-felt latency", "Felt"),
    "ttft": ("Time to first token (TTFT)", "TTFT"),
    "tpot": ("Time per output token (TPOT)", "TPOT"),
    "e2e": ("End-to-end time of a model call (E2E)", "E2E"),
    "queue": ("Queue", "Queue"),
}
STATISTICS = {
    "felt": ("p95", "p50", "p99", "mean"),
    "ttft": ("p95", "p50"),
    "tpot": ("p50",),
    "e2e": ("p95",),
    "queue": ("p95",),
}
REFUSED, ATTAINMENT = "rejected_per_s", "attainment"
"""By the definitions that their tables lead to."""


class Cell(NamedTuple):
    estimate: ShownEstimate
    difference: ShownEstimate | None
    """In the unit of the estimate; None where there is nothing to compare with."""
    beside: str = ""
    """What is said of the difference besides."""


class Tab(NamedTuple):
    key: str
    title: str
    """On the tab."""
    metric: str
    heading: str
    cells: Mapping[str, Cell]
    """By the key of a row."""
    share: bool = False

    @property
    def says_nothing(self) -> bool:
        """Every cell is alike, and none is refused."""
        values = [cell.estimate.value for cell in self.cells.values()]
        known = [value for value in values if value is not None]
        return (
            len(values) > 1 and len(known) == len(values) and max(known) - min(known) <= 1e-9 * abs(known[0])
        )


def matrix(summary: Summary, rows: Sequence[Row], definitions: Definitions) -> Html:
    tabs = list(_tabs(summary, rows))
    shown = [tab for tab in tabs if not tab.says_nothing] or tabs
    first = _first(summary, rows, shown)
    drawn = [View(tab.key, tab.title, _table(tab, rows, summary, definitions)) for tab in shown]
    folded = [f"{tab.title}, {_alike(tab)}" for tab in tabs if tab not in shown]
    alike = tag("p", f"Alike everywhere: {'; '.join(folded)}.", class_="sub") if folded else None
    return join(views("matrix", "Metric", drawn, first), alike)


def _tabs(summary: Summary, rows: Sequence[Row]) -> Iterator[Tab]:
    changes = {change.row.key: change for change in changes_of(summary, rows)}
    metrics = [name for name in METRICS if name != "e2e" or any(row.has_app for row in rows)]
    for metric in metrics:
        for statistic in STATISTICS[metric]:
            cells = {row.key: _cell(row, changes.get(row.key), metric, statistic) for row in rows}
            title, short = METRICS[metric]
            yield Tab(f"{metric}-{statistic}", f"{short} {statistic}", metric, f"{title}, {statistic}", cells)
    away = {one.row.key: one.share for ones in turned_away(summary, rows).values() for one in ones}
    if away:
        none = ShownEstimate(0.0)
        shares = {row.key: away.get(row.key, none) for row in rows}
        yield _shares(
            REFUSED, "Refused or failed", "Share of what is asked that was refused or failed", rows, shares
        )
    limits = {name: stated(of_variant(summary["facts"], "slo", name) or {}) for name in summary["variants"]}
    if any(limits.values()):
        met = {row.key: read_estimate(row.group.get("attainment")) for row in rows}
        one = len(set(limits.values())) == 1
        heading = "Share of what is asked that met every objective"
        found = _shares(ATTAINMENT, "Objective met", heading, rows, met)
        yield found if one else _under_their_own(found)


def _cell(row: Row, found: Change | None, metric: str, statistic: str) -> Cell:
    estimate = row.statistic(metric, statistic)
    if found is None or (metric not in {"felt", "ttft", "e2e"}) or not found.has(metric, statistic):
        return Cell(estimate, None)
    beside = ""
    if found.both and metric == "felt":
        beside = f"on the {count(found.both['completed'])} requests that both completed"
    elif found.both:
        beside = "of what each completed, which are other requests"
    return Cell(estimate, found.of(metric, statistic), beside)


def _shares(
    key: str, title: str, heading: str, rows: Sequence[Row], shares: Mapping[str, ShownEstimate]
) -> Tab:
    """Their difference is sure where the two intervals share no value: that is on the safe side."""
    base = {row.source: shares[row.key] for row in reversed(rows) if row.variant == rows[0].variant}
    cells = {}
    for row in rows:
        mine, other = shares[row.key], base.get(row.source)
        apart = None
        if row.variant != rows[0].variant and mine.value is not None and other and other.value is not None:
            value = mine.value - other.value
            apart = ShownEstimate(value, *((0.0, 0.0) if overlap(mine, other) else (value, value)))
        cells[row.key] = Cell(mine, apart)
    return Tab(key, title, key, heading, cells, share=True)


def _under_their_own(tab: Tab) -> Tab:
    """Shares under different objectives are not subtracted."""
    cells = {key: Cell(cell.estimate, None) for key, cell in tab.cells.items()}
    return tab._replace(heading=f"{tab.heading} of its variant", cells=cells)


def _first(summary: Summary, rows: Sequence[Row], tabs: Sequence[Tab]) -> str:
    keys = [tab.key for tab in tabs]
    changes = changes_of(summary, rows)
    wanted = REFUSED if answer(summary).kind == "refusals" else told_of(summary, changes, rows).key
    return wanted if wanted in keys else keys[0]


def _alike(tab: Tab) -> str:
    estimate = next(iter(tab.cells.values())).estimate
    return estimate.shown(PERCENT if tab.share else None).with_unit()


def _table(tab: Tab, rows: Sequence[Row], summary: Summary, definitions: Definitions) -> Html:
    sources, notes = rows_by_source(list(rows)), Footnotes(f"matrix-{tab.key}")
    titles, base = variant_titles(summary), next(iter(short_titles(summary).values()))
    compared = any(cell.difference is not None for cell in tab.cells.values())
    if len(titles) > 1 and len(sources) <= MOST_ACROSS:
        head, body = _across(tab, sources, titles, base, notes, compared=compared)
    else:
        head, body = _below(tab, sources, titles, base, notes, compared=compared)
    caption = join(term(tab.metric, tab.heading, definitions), ", with 95 % intervals")
    whole = tag("table", tag("caption", caption), tag("thead", head), body, class_="matrix")
    label = f"{tab.heading}, by variant and source"
    region = tag("div", whole, class_="scroll", role="region", aria_label=label, tabindex="0")
    return join(region, notes.html())


def _across(
    tab: Tab,
    sources: Mapping[str, Sequence[Row]],
    titles: Mapping[str, str],
    base: str,
    notes: Footnotes,
    *,
    compared: bool,
) -> tuple[list[Html], list[Html]]:
    width = "2" if compared else "1"
    names = [
        tag("td"),
        *(tag("th", name, scope="colgroup", colspan=width) for name in sources),
    ]
    scales = {name: _scale(tab, ones) for name, ones in sources.items()}
    units = [tag("td")]
    for name in sources:
        units += [tag("th", scales[name].symbol or "value", scope="col")]
        units += [tag("th", f"against “{base}”", scope="col")] if compared else []
    body = []
    for variant, title in titles.items():
        cells: list[Node] = [tag("th", title, scope="row")]
        for name, ones in sources.items():
            mine = next((row for row in ones if row.variant == variant), None)
            cells += _cells(tab, mine, scales[name], notes, compared=compared)
        body.append(tag("tr", cells))
    head = [tag("tr", names), tag("tr", units)] if len(sources) > 1 else [tag("tr", units)]
    return head, [tag("tbody", body)]


def _below(
    tab: Tab,
    sources: Mapping[str, Sequence[Row]],
    titles: Mapping[str, str],
    base: str,
    notes: Footnotes,
    *,
    compared: bool,
) -> tuple[list[Html], list[Html]]:
    """With one variant a row for each source, else a group for each."""
    one = len(titles) == 1
    scale = _scale(tab, [row for ones in sources.values() for row in ones])
    head = [tag("td"), tag("th", scale.symbol or "value", scope="col")]
    head += [tag("th", f"against “{base}”", scope="col")] if compared else []
    bodies = []
    for name, ones in sources.items():
        lines = [
            tag(
                "tr",
                tag("th", name if one else titles[row.variant], scope="row"),
                _cells(tab, row, scale, notes, compared=compared),
            )
            for row in ones
        ]
        group = tag("tr", tag("th", name, scope="rowgroup", colspan=str(len(head))), class_="group")
        bodies.append(tag("tbody", None if one else group, lines))
    return [tag("tr", head)], bodies


def _scale(tab: Tab, rows: Sequence[Row]) -> Scale:
    """One unit for all of them: that of the least value, so that it keeps its digits."""
    if tab.share:
        return PERCENT
    values = [tab.cells[row.key].estimate.value for row in rows]
    return duration_scale(min((value for value in values if value), default=0.0))


def _cells(tab: Tab, row: Row | None, scale: Scale, notes: Footnotes, *, compared: bool) -> list[Html]:
    if row is None:
        return [tag("td", "not run", class_="number")] + [tag("td")] * compared
    cell = tab.cells[row.key]
    found = [notes.cell(cell.estimate, Scale("", scale.factor))]
    return [*found, _difference(tab, cell, notes)] if compared else found


def _difference(tab: Tab, cell: Cell, notes: Footnotes) -> Html:
    """Bold where it is sure; a wave where it is not told from chance; brackets without an interval."""
    found, value = cell.difference, cell.estimate.value
    if found is None:
        return tag("td", class_="number")
    if found.value is None:
        return notes.cell(found)
    if not found.excludes_zero and found.has_interval:
        told = (
            "the same"
            if not found.value and not found.has_spread and not tab.share
            else "\N{ALMOST EQUAL TO} 0"
        )
        return tag("td", told, notes.mark(cell.beside), class_="number unsure")
    if tab.share:
        return tag("td", tag("b", points(found.value)), class_="number sure")
    base = (value or 0.0) - found.value if not cell.beside else value
    amount = change(found.value / base) if base else ""
    if not found.has_interval:
        return tag("td", f"({amount})", notes.mark(cell.beside or found.note), class_="number unsure")
    return tag("td", tag("b", amount), notes.mark(cell.beside), class_="number sure")
