"""Values of one row as a file writes them, and what is wrong with those that are none."""

import re
from decimal import Decimal
from fractions import Fraction

from traffic.spec import MAX_TOKENS
from traffic.units import PS_PER_S, nearest

_SECONDS = re.compile(r"\d{1,18}(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)


class BadValueError(Exception):
    """What is wrong with one value, without its place."""


def tokens(column: str, value: object) -> int:
    """Of text, or of a number from JSON."""
    if isinstance(value, str):
        text = value.strip()
        whole = int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else 0
        shown = repr(text)
    else:
        whole = value if type(value) is int else 0
        shown = shortly(value)
    if not 1 <= whole <= MAX_TOKENS:
        raise BadValueError(f"{column} is {shown}, expected a whole number from 1 to {MAX_TOKENS}")
    return whole


def integer(column: str, value: object, of: str = "") -> int:
    """From JSON, where 3.0 and true are something else."""
    if type(value) is not int:
        raise BadValueError(f"{column} is {shortly(value)}, expected a whole number{of}")
    return value


def seconds_ps(column: str, text: str) -> int:
    """Every digit of a decimal number of seconds, to the nearest picosecond."""
    text = text.strip()
    if not _SECONDS.fullmatch(text):
        raise BadValueError(f"{column} is {text!r}, expected a number of seconds such as 0.052")
    seconds = Fraction(Decimal(text))
    return nearest(seconds.numerator * PS_PER_S, seconds.denominator)


def shortly(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
