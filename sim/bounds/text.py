"""Ladders of limits for people."""

from collections.abc import Iterator, Mapping

from reports.words import number, plural
from sim.bounds.ladder import Ladder


def ladder_text(ladders: Mapping[str, Ladder]) -> str:
    """For people: a table per model, the binding limit marked."""
    return "\n".join(line for ladder in ladders.values() for line in _lines(ladder))


def _lines(ladder: Ladder) -> Iterator[str]:
    yield (
        f"Limits of {ladder.model}, {plural(ladder.nodes, 'node')}, by the load at which they bind "
        f"(closed form; the scenario asks {number(ladder.offered_per_s)} requests/s):"
    )
    for rung in ladder.rungs:
        mark = "->" if rung is ladder.binding else "  "
        load = f"{number(rung.at_per_s):>12}/s {number(rung.times):>9} x"
        yield f"  {mark} {rung.title:<26}{load}   {rung.detail}"
