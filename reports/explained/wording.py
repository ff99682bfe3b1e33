"""How instants, spans and numbers of requests are written in a chain."""

from collections.abc import Sequence

from reports.columns import Ints, Mask
from reports.explained.scene import Scene
from reports.record import PS_PER_S
from reports.words import count, duration

MOST_NAMED = 6


def at(ps: int) -> str:
    """An instant of the run, to the microsecond."""
    return f"{ps / PS_PER_S:.6f} s"


def span(ps: int) -> str:
    return duration(ps / PS_PER_S)


def requests(scene: Scene, rows: Ints, which: str = "") -> str:
    """`request 12`, `3 requests (12, 14, 15)`: by number, the first six of them."""
    return named(scene.numbers(rows), which)


def named(numbers: Sequence[int], which: str = "") -> str:
    kind = f"{which} " if which else ""
    if len(numbers) == 1:
        return f"{kind}request {numbers[0]}"
    return f"{count(len(numbers))} {kind}requests ({listed(numbers)})"


def listed(numbers: Sequence[int]) -> str:
    shown = [str(number) for number in numbers[:MOST_NAMED]]
    rest = len(numbers) - len(shown)
    return ", ".join(shown) + (f" and {count(rest)} more" if rest else "")


def first(sentence: str) -> str:
    """It begins with a capital."""
    return sentence[:1].upper() + sentence[1:]


def be(which: Mask) -> str:
    return "was" if int(which.sum()) == 1 else "were"


def were(rows: Ints) -> str:
    return "was" if len(rows) == 1 else "were"
