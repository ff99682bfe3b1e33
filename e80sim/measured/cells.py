"""One row or object of a file, with its place: whatever is wrong with a value becomes one sentence."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

from e80sim.measured.rows import MeasuredError

MOST_TOKENS = 10**9
Json = Mapping[str, object]


class Cells:
    """Values by name: text of a CSV file, or what JSON says. A name with dots goes into objects."""

    def __init__(self, where: str, values: Json) -> None:
        self.where = where
        self.values = values

    def error(self, what: str) -> MeasuredError:
        return MeasuredError(f"{self.where}: {what}")

    def get(self, name: str) -> object:
        """None where there is none, null or an empty cell."""
        value: object = self.values
        for part in name.split("."):
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
        return None if value == "" else value

    def tokens(self, name: str, least: int = 0) -> int:
        value = self.get(name)
        whole = _whole(value)
        if whole is None or not least <= whole <= MOST_TOKENS:
            raise self.error(f"{name} is {_shown(value)}, expected a whole number of tokens from {least} on")
        return whole

    def tokens_or(self, name: str, default: int) -> int:
        return default if self.get(name) is None else self.tokens(name)

    def time(self, name: str) -> float:
        """In the unit that the file has it in."""
        value = self.get(name)
        number = _number(value)
        if number is None:
            raise self.error(f"{name} is {_shown(value)}, expected a time")
        if not isfinite(number) or number < 0:
            raise self.error(f"{name} is {value}, expected a time from 0 on")
        return number

    def optional_time(self, name: str) -> float | None:
        return None if self.get(name) is None else self.time(name)

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else str(value)

    def list(self, name: str) -> Sequence[object]:
        value = self.get(name)
        if not isinstance(value, list):
            raise self.error(f"{name} is {_shown(value)}, expected a list")
        return value

    def objects(self, name: str) -> "Iterator[Cells]":
        """The objects of a list."""
        for number, value in enumerate(self.list(name)):
            where = f"{self.where} {name}[{number}]"
            if not isinstance(value, Mapping):
                raise MeasuredError(f"{where}: {_shown(value)} is not a JSON object")
            yield Cells(where, value)


def _whole(value: object) -> int | None:
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
