"""Which colour and dash a row wears, the same in every figure: colour by variant, dash by source."""

from collections.abc import Sequence
from typing import NamedTuple

from reports.html.figure import DASHES
from reports.html.palette import SERIES, series_role
from reports.rows import Row


class Style(NamedTuple):
    role: str
    dash: int


def styles(rows: Sequence[Row]) -> dict[str, Style]:
    """By the row's key. With one variant, colour by source."""
    variants = list(dict.fromkeys(row.variant for row in rows))
    sources = list(dict.fromkeys(row.source for row in rows))
    first, second = (variants, sources) if len(variants) > 1 else (sources, variants)
    found = {}
    for row in rows:
        colour, dash = (row.variant, row.source) if first is variants else (row.source, row.variant)
        lap, index = divmod(first.index(colour), len(SERIES))
        found[row.key] = Style(series_role(index), (second.index(dash) + lap) % len(DASHES))
    return found
