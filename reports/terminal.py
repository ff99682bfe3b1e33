"""Columns of text for a terminal, without colour. rich lays them out, and loads when they are shown."""

from collections.abc import Collection, Sequence
from io import StringIO

WIDTH = 100
"""Characters at most."""
INDENT = "  "


def columns(rows: Sequence[Sequence[str]], left: int, *, shrinking: Collection[int] = ()) -> list[str]:
    """Lines. The first `left` columns begin alike, the others end alike.

    Those that are `shrinking` are cut off, with an ellipsis, where a line would be too long.
    """
    from rich.console import Console  # noqa: PLC0415 -- with the rest 40 ms, for whoever looks at a table
    from rich.table import Table  # noqa: PLC0415 -- as above
    from rich.text import Text  # noqa: PLC0415 -- as above

    table = Table.grid(padding=(0, len(INDENT)))
    for index in range(len(rows[0])):
        table.add_column(justify="left" if index < left else "right", no_wrap=index not in shrinking)
    for row in rows:
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    console = Console(width=WIDTH - len(INDENT), file=StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as shown:
        console.print(table)
    return [f"{INDENT}{line}".rstrip() for line in shown.get().splitlines()]
