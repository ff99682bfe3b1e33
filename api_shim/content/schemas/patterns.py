"""Strings that match a regular expression, as short as they come: no repetition goes far beyond its least."""

import re
from random import Random  # noqa: TID251 -- seeded by its caller; the model never sees these draws
from re import _parser  # type: ignore[attr-defined] # private, and what every such generator stands on
from typing import Any

MOST_LETTERS = 4096
BEYOND_LEAST = 3
"""Repetitions that may come on top of the least; a star is as many at most."""
PRINTABLE = [chr(code) for code in range(ord(" "), ord("~") + 1)]
CATEGORIES = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_SPACE": " ",
    "CATEGORY_WORD": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
}


def matching(pattern: str, rng: Random, least: int = 0) -> str:
    """A string in which `pattern` is found, with `least` letters if repetitions can make them.

    Raises ValueError where there is none that we can make. Look-around and what surrounds an unanchored
    pattern are not seen to, so the caller checks what comes back.
    """
    try:
        parsed = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        raise ValueError(f"the pattern {pattern!r} cannot be read") from None
    writer = _Writer(rng, least)
    try:
        writer.write(parsed)
    except RecursionError:
        raise ValueError(f"the pattern {pattern!r} is nested too deeply") from None
    return "".join(writer.letters)


class _Writer:
    def __init__(self, rng: Random, least: int) -> None:
        self.letters: list[str] = []
        self._rng = rng
        self._least = least
        self._groups: dict[int, str] = {}

    def write(self, parsed: Any) -> None:  # noqa: ANN401 -- the parser's own, without types
        for operation, argument in parsed:
            self._state(str(operation), argument)
            if len(self.letters) > MOST_LETTERS:
                raise ValueError(f"the pattern asks for more than {MOST_LETTERS} letters")

    def _state(self, name: str, argument: Any) -> None:  # noqa: ANN401, C901 -- a case for each of the parser's words
        match name:
            case "LITERAL":
                self.letters.append(chr(argument))
            case "NOT_LITERAL":
                self.letters.append(self._one_of([c for c in PRINTABLE if c != chr(argument)]))
            case "ANY":
                self.letters.append(self._one_of(PRINTABLE[16:]))
            case "IN":
                self.letters.append(self._one_of(_letters_of(argument)))
            case "BRANCH":
                self.write(self._rng.choice(argument[1]))
            case "SUBPATTERN":
                number, inner = argument[0], argument[-1]
                begin = len(self.letters)
                self.write(inner)
                if number is not None:
                    self._groups[number] = "".join(self.letters[begin:])
            case "GROUPREF":
                self.letters.extend(self._groups.get(argument, ""))
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                self._repeat(*argument)
            case "ATOMIC_GROUP":
                self.write(argument)
            case "AT" | "ASSERT" | "ASSERT_NOT":
                pass  # places have no letters
            case _:
                raise ValueError(f"patterns with {name} are not simulated")

    def _repeat(self, low: int, high: int, inner: Any) -> None:  # noqa: ANN401 -- as above
        if low > MOST_LETTERS:
            raise ValueError(f"the pattern asks for more than {MOST_LETTERS} letters")
        wanted = low + self._rng.randint(0, min(BEYOND_LEAST, high - low))
        done = 0
        while done < wanted or (done < high and len(self.letters) < self._least):
            before = len(self.letters)
            self.write(inner)
            done += 1
            if len(self.letters) == before and done >= wanted:
                return  # what repeats is empty

    def _one_of(self, letters: list[str]) -> str:
        if not letters:
            raise ValueError("the pattern has a class of letters that holds none that we write")
        return self._rng.choice(letters)


def _letters_of(members: Any) -> list[str]:  # noqa: ANN401 -- as above
    found: list[str] = []
    negated = False
    for kind, argument in members:
        match str(kind):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found.append(chr(argument))
            case "RANGE":
                low, high = argument
                found.extend(map(chr, range(low, min(high, low + 255) + 1)))
            case "CATEGORY":
                found.extend(_category(str(argument)))
    return [letter for letter in PRINTABLE if letter not in found] if negated else found


def _category(name: str) -> str:
    if name in CATEGORIES:
        return CATEGORIES[name]
    without = CATEGORIES.get(name.replace("_NOT_", "_"), "")
    return "".join(letter for letter in PRINTABLE if letter not in without)
