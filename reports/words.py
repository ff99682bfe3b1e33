"""Numbers as people read them: 61.2 ms, 840 µs, 14.3 ± 0.4 ms, 12,345. Seconds go in, never milliseconds.

An uncertain number shows as many decimals as its uncertainty supports, a bare one three significant digits,
and one that somebody chose stands as it was chosen. Text, terminal and page all take their numbers from here.
"""

import sys
from decimal import Decimal
from math import ceil, floor, isfinite, log10
from typing import NamedTuple

MINUS = "\N{MINUS SIGN}"
RANGE = "\N{EN DASH}"
DIGITS = 3
MOST_DIGITS = 5
"""However narrow an interval is, nobody reads a sixth digit."""
STATED_DIGITS = 6
MANIFOLD = 10.0
"""A relative change beyond this reads as a multiple."""


NEGLIGIBLE = 1e-9
"""Of the value: an interval this narrow is rounding in the last bit, not uncertainty."""
SMALLEST = sys.float_info.min_10_exp
"""Powers of ten below it are 0, while there are still numbers."""


class Scale(NamedTuple):
    """How a quantity is shown: its value times `factor`, followed by `symbol`."""

    symbol: str
    factor: float

    def suffix(self) -> str:
        if not self.symbol or self.symbol.startswith("/"):
            return self.symbol
        return f" {self.symbol}"


SECONDS = Scale("s", 1.0)
DURATIONS = (SECONDS, Scale("ms", 1e3), Scale("µs", 1e6), Scale("ns", 1e9))
PERCENT = Scale("%", 100.0)
PER_SECOND = Scale("/s", 1.0)
PLAIN = Scale("", 1.0)


def duration_scale(*seconds: float) -> Scale:
    """The unit in which the largest of them reads as 1 to 999 (999.6 µs rounds to 1.00 ms)."""
    largest = max((abs(s) for s in seconds), default=0.0)
    if largest == 0.0:
        return DURATIONS[1]
    return next((scale for scale in DURATIONS if largest * scale.factor >= 0.9995), DURATIONS[-1])


def number(value: float, digits: int = DIGITS) -> str:
    """Three significant digits, but never a rounded whole part: 0.0123, 1.23, 1,234."""
    return _fixed(value, _decimals_for(value, digits))


def count(value: float) -> str:
    return _fixed(value, 0)


def plural(value: int, noun: str) -> str:
    return f"{count(value)} {noun}" if value == 1 else f"{count(value)} {noun}s"


def scaled(value: float, scale: Scale) -> str:
    return number(value * scale.factor) + scale.suffix()


def duration(seconds: float) -> str:
    return scaled(seconds, duration_scale(seconds))


def as_chosen(value: float) -> str:
    """A number that someone chose, as it was written: 0.25, 3,502."""
    return trimmed(_fixed(value, _decimals_for(value, STATED_DIGITS)))


def exactly(value: float) -> str:
    """To its last digit: rounding an assumption would be another assumption."""
    return f"{Decimal(repr(value)):,f}".replace("-", MINUS)


def amount(value: float) -> str:
    """A mean of counts, or a place on an axis: 3, 2.5, 2.67."""
    return trimmed(number(value))


def in_seconds(value: float) -> str:
    """A point in time of a run, or a stretch of it: 3,502 s, in one unit from beginning to end."""
    return f"{as_chosen(value)} s"


def limit(seconds: float) -> str:
    """A duration that someone chose: as written, 250 ms and not 250.00 ms."""
    scale = duration_scale(seconds)
    return as_chosen(seconds * scale.factor) + scale.suffix()


def share(value: float) -> str:
    """A share as per cent. What is not all or nothing never reads as 100 % or 0 %."""
    if value > 1.0:
        return scaled(value, PERCENT)
    if value in {0.0, 1.0}:
        return f"{count(value * 100)} %"
    shown = _fixed(value * 100, 1)
    if shown == "100.0":
        return "> 99.9 %"
    return "< 0.1 %" if shown == "0.0" else f"{shown} %"


def change(ratio: float) -> str:
    """A relative change: +23 %, −0.8 %, 46 times; empty where it rounds to nothing."""
    if ratio > MANIFOLD:
        return f"{number(1 + ratio)} times"
    text = _fixed(abs(ratio) * 100, 1 if abs(ratio) < 0.1 else 0)
    return "" if text == "0.0" else f"{_sign(ratio)}{text} %"


def points(difference: float) -> str:
    """Of two shares, in percentage points: +1.4 pp; empty where it rounds to nothing."""
    text = _fixed(abs(difference) * 100, 1)
    return "" if text == "0.0" else f"{_sign(difference)}{text} pp"


def correlation(value: float) -> str:
    """With its sign, in hundredths."""
    return f"{_sign(value)}{_fixed(abs(value), 2)}"


def rounded(value: float, digits: int = MOST_DIGITS) -> float:
    """To so many significant digits: what a chart can show, and a third of the bytes."""
    return float(f"{value:.{digits}g}")


def bound(value: float) -> str:
    """What something stays under, rounded up: 0.02, 1.3."""
    decimals = 2 if value < 0.1 else 1
    return _fixed(ceil(value * 10**decimals) / 10**decimals, decimals)


def trimmed(text: str) -> str:
    """Without zeros at the end of a fraction."""
    return text.rstrip("0").rstrip(".") if "." in text else text


class Shown(NamedTuple):
    """A number and its interval in one unit, with matching decimals."""

    value: str
    interval: str
    """Empty where there is none."""
    suffix: str

    def with_unit(self) -> str:
        return self.value + self.suffix

    def interval_with_unit(self) -> str:
        return self.interval + self.suffix


def with_interval(value: float, low: float | None, high: float | None, scale: Scale) -> Shown:
    """61.234 with 60.8 to 61.6 shows as 61.2 and 60.8-61.6."""
    if low is None or high is None:
        return Shown(number(value * scale.factor), "", scale.suffix())
    value, low, high = value * scale.factor, low * scale.factor, high * scale.factor
    decimals = _decimals_of_error(value, max(high - value, value - low))
    dash = " to " if low < 0 else RANGE
    interval = f"{_fixed(low, decimals)}{dash}{_fixed(high, decimals)}"
    return Shown(_fixed(value, decimals), interval, scale.suffix())


def with_error(value: float, low: float, high: float, scale: Scale) -> str:
    """14.3 ± 0.4 ms; 14.3 ms (13.1 to 18.0) where the interval is lopsided by more than a tenth."""
    value, below, above = (x * scale.factor for x in (value, value - low, high - value))
    half = max(below, above)
    if abs(above - below) > 0.1 * half:
        shown = with_interval(value, value - below, value + above, scale._replace(factor=1.0))
        return f"{shown.with_unit()} ({shown.interval})"
    decimals = _decimals_of_error(value, half)
    return f"{_fixed(value, decimals)} ± {_error(value, half, decimals)}{scale.suffix()}"


def with_half(value: float, low: float, high: float, scale: Scale) -> str:
    """14.3 ±0.4, without its unit: where a column has no room for more, the larger half stands for both."""
    value, half = value * scale.factor, max(high - value, value - low) * scale.factor
    decimals = _decimals_of_error(value, half)
    return f"{_fixed(value, decimals)} ±{_error(value, half, decimals)}"


def _error(value: float, half: float, decimals: int) -> str:
    last_place = 10.0**-decimals
    if NEGLIGIBLE * abs(value) < half < last_place / 2:
        return f"< {_fixed(last_place, decimals)}"
    return _fixed(half, decimals)


def _decimals_of_error(value: float, half: float) -> int:
    """Two digits of an error that starts with a 1, else one; and no fewer than 2, no more than MOST_DIGITS
    digits of the larger of value and error.
    """
    if half <= NEGLIGIBLE * abs(value) or not isfinite(half):
        return _decimals_for(value, DIGITS)
    exponent = max(floor(log10(half)), SMALLEST)
    digits = 2 if half / 10.0**exponent < 1.95 else 1
    larger = max(abs(value), half)
    wanted = max(digits - 1 - exponent, _decimals_for(larger, 2))
    return min(wanted, _decimals_for(larger, MOST_DIGITS))


def _decimals_for(value: float, digits: int) -> int:
    if value == 0.0 or not isfinite(value):
        return 0
    exponent = floor(log10(abs(value)))
    rounded_up = abs(value) >= (10.0 - 0.5 * 10.0 ** (1 - digits)) * 10.0**exponent
    return max(0, digits - 1 - exponent - rounded_up)


def _sign(value: float) -> str:
    return MINUS if value < 0 else "+"


def _fixed(value: float, decimals: int) -> str:
    text = f"{abs(value):,.{decimals}f}"
    is_zero = not any(c in "123456789" for c in text)
    return MINUS + text if value < 0 and not is_zero else text
