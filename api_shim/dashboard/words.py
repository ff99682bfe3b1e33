"""How the pages write times, sizes and numbers: filters of the templates."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sim.time.units import PS_PER_MS, PS_PER_S

PS_PER_US = 10**6
NS_PER_S = 10**9
NOTHING = "\N{EN DASH}"
LINE_HEIGHT = 40.0


def date(seconds: float | None) -> str:
    """Since 1970, as UTC; the column says so."""
    if seconds is None:
        return NOTHING
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def date_of_ns(at_ns: int) -> str:
    seconds, ns = divmod(at_ns, NS_PER_S)
    return f"{date(seconds)}.{ns // 10**6:03}"


def duration(value_ps: int | None) -> str:
    if value_ps is None:
        return NOTHING
    for unit, name in ((PS_PER_S, "s"), (PS_PER_MS, "ms")):
        if value_ps >= unit:
            return f"{value_ps / unit:.4g}\u00a0{name}"
    return f"{value_ps / PS_PER_US:.3g}\u00a0\N{MICRO SIGN}s" if value_ps else "0"


def ms(value: float | None) -> str:
    return NOTHING if value is None else duration(round(value * PS_PER_MS))


def span_of_s(seconds: float) -> str:
    """`2 h 03 min`, of a server's age."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,}\u00a0h {minutes:02}\u00a0min"
    return f"{minutes}\u00a0min {rest:02}\u00a0s" if minutes else f"{seconds:.3g}\u00a0s"


def number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def size(size_bytes: int) -> str:
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.3g}\u00a0{unit}" if unit != "B" else f"{size_bytes}\u00a0B"
        value /= 1024
    return f"{value:.3g}\u00a0GiB"


def percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f}\u00a0%"


def points(values: list[float]) -> str:
    """Of a line, a unit to the right for each value, the highest at 0 and zero at `LINE_HEIGHT`."""
    most = max(values, default=0.0) or 1.0
    return " ".join(f"{x},{LINE_HEIGHT * (1 - value / most):.1f}" for x, value in enumerate(values))


def pretty(text: str) -> str:
    """JSON with its members on lines of their own; anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def facts(values: dict[str, object]) -> str:
    """`kind edge, rtt ms 20`"""
    return ", ".join(f"{name} {value}".replace("_", " ") for name, value in values.items())


FILTERS: dict[str, Callable[..., Any]] = {
    "date": date,
    "date_of_ns": date_of_ns,
    "duration": duration,
    "ms": ms,
    "span_of_s": span_of_s,
    "number": number,
    "size": size,
    "percent": percent,
    "points": points,
    "pretty": pretty,
    "sentence": sentence,
    "facts": facts,
}
