"""Values of one row as a file writes them, and what is wrong with those that are none."""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import isfinite

from traffic.spec import MAX_TOKENS
from traffic.units import PS_PER_S, as_written, nearest

MAX_HASH_ID = 2**64 - 1
_SECONDS = re.compile(r"\d{1,18}(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)


class BadValueError(Exception):
    """What is wrong with one value, without its place."""


def tokens(column: str, value: object) -> int:
    """Of text, or of a number from JSON. 0 is a number, too: of a request that failed."""
    if isinstance(value, str):
        text = value.strip()
        whole = int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else -1
        shown = repr(text)
    else:
        whole = value if type(value) is int else -1
        shown = shortly(value)
    if not 0 <= whole <= MAX_TOKENS:
        raise BadValueError(f"{column} is {shown}, expected a whole number from 0 to {MAX_TOKENS}")
    return whole


def integer(column: str, value: object) -> int:
    """From JSON, where 3.0 and true are something else."""
    if type(value) is not int:
        raise BadValueError(f"{column} is {shortly(value)}, expected a whole number")
    return value


def time_ps(column: str, value: object, unit: str, ps_per_unit: int) -> int:
    """A number from JSON, whole or not, to the nearest picosecond of its decimal digits."""
    if type(value) is int and value >= 0:
        return value * ps_per_unit
    if type(value) is float and isfinite(value) and value >= 0:
        exact = as_written(value) * ps_per_unit
        return nearest(exact.numerator, exact.denominator)
    raise BadValueError(f"{column} is {shortly(value)}, expected a number of {unit} from 0 on")


def hash_ids(row: Mapping[str, object]) -> list[int]:
    """The ids of a row's prefix blocks, empty where it has none."""
    ids = row.get("hash_ids") or []
    if not isinstance(ids, list):
        raise BadValueError(f"hash_ids is {shortly(ids)}, expected a list")
    for number in ids:
        if type(number) is not int or not 0 <= number <= MAX_HASH_ID:
            raise BadValueError(f"hash_ids has {shortly(number)}, expected whole numbers from 0 to 2**64 - 1")
    return ids


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
