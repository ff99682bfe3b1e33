"""A difference as a mark on a line through zero, with its interval: small enough for a cell of a table.

A verdict has its own shape: a filled diamond is real, a ring noise, a dashed line without a mark not told.
"""

from reports.compared.real import CANNOT_TELL, REAL
from reports.compared.sentences import Pair
from reports.html.markup import Html, coordinate, tag

WIDTH, HEIGHT, MARK = 140.0, 18.0, 4.5
REACH = 0.25
"""The share of the first run's value at the ends of the line; points of a share, a tenth of it."""
WHISKER_STYLE = """
svg.whisker { display: block; stroke: currentColor; fill: currentColor; }
svg.whisker .zero { stroke: var(--muted); }
svg.whisker .noise { fill: var(--page); }
svg.whisker .cannot_tell { stroke-dasharray: 3 3; }
"""


def whisker(pair: Pair) -> Html | None:
    """None for what has no value. What lies beyond the line ends in an arrow."""
    difference = pair.difference
    if "value" not in difference or not _of(pair):
        return None
    verdict, value = difference["verdict"], difference["value"]
    low, high = (value if difference[end] is None else difference[end] for end in ("low", "high"))
    at, left, right = (_place(pair, one) for one in (value, low, high))
    middle, end = coordinate(HEIGHT / 2), coordinate(HEIGHT)
    zero = tag("line", x1=coordinate(WIDTH / 2), x2=coordinate(WIDTH / 2), y1="0", y2=end, class_="zero")
    line = tag(
        "line",
        x1=coordinate(left),
        x2=coordinate(right),
        y1=middle,
        y2=middle,
        class_=verdict,
        stroke_width="2",
    )
    beyond = abs(value / _of(pair)) > REACH
    drawn = zero, line, _arrow(value) if beyond else _mark(verdict, at)
    size = {
        "viewBox": f"0 0 {coordinate(WIDTH)} {coordinate(HEIGHT)}",
        "width": coordinate(WIDTH),
        "height": end,
    }
    return tag("svg", *drawn, class_="whisker", aria_hidden="true", **size)


def _of(pair: Pair) -> float:
    return 0.1 if pair.row["metric"] == "attainment" else float(pair.before.get("value", 0.0))


def _place(pair: Pair, value: float) -> float:
    share = max(-1.0, min(1.0, value / _of(pair) / REACH))
    return WIDTH / 2 + share * (WIDTH / 2 - 2 * MARK)


def _mark(verdict: str, at: float) -> Html | None:
    y = HEIGHT / 2
    if verdict == REAL:
        return _polygon((at - MARK, y), (at, y - MARK), (at + MARK, y), (at, y + MARK))
    if verdict == CANNOT_TELL:
        return None
    return tag("circle", cx=coordinate(at), cy=coordinate(y), r=coordinate(MARK - 1), class_="noise")


def _arrow(value: float) -> Html:
    y, tip = HEIGHT / 2, WIDTH - 0.5 if value > 0 else 0.5
    back = tip - 2 * MARK if value > 0 else tip + 2 * MARK
    return _polygon((tip, y), (back, y - MARK), (back, y + MARK))


def _polygon(*points: tuple[float, float]) -> Html:
    return tag("polygon", points=" ".join(",".join(map(coordinate, point)) for point in points))
