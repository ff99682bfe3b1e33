"""What pydantic found wrong, as one sentence for whoever wrote the file."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from pydantic_core import ErrorDetails

from e80sim.plain_yaml import Dumper
from sim.scenario.nearest import listed, nearest
from sim.scenario.schema_walk import fields_at, kinds_at
from sim.scenario.source_map import Location, SourceMap

TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "dict": "a mapping",
    "model": "a mapping",
    "list": "a list",
    "tuple": "a list",
    "finite": "a finite number",
}
"""By the first word of pydantic's error type."""
BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "{} or more"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "{} or less"),
}
SIZES = {
    "too_short": "hold at least {min_length}",
    "string_too_short": "not be empty",
    "string_too_long": "have {max_length} characters or fewer",
}
LONGEST = 60
"""Characters of a value that a sentence repeats."""


def sentence(errors: Sequence[ErrorDetails], data: dict[str, Any], source_map: SourceMap, prefix: str) -> str:
    """The error that tells most, with file and line, path, value and what would be right."""
    error = _telling(errors)
    location = _in_file(error, data)
    same = [other for other in errors if _in_file(other, data) == location]
    path = ".".join(_cut(str(part)) for part in location)
    return f"{source_map.where(location)}: {prefix}{_words(error, same, path)}"


def _telling(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """Something missing beside something unknown is one misspelt word."""
    first = errors[0]
    if first["type"] != "missing":
        return first
    unknown = (e for e in errors if e["type"] == "extra_forbidden" and e["loc"][:-1] == first["loc"][:-1])
    return next(unknown, first)


def _words(error: ErrorDetails, same: Sequence[ErrorDetails], path: str) -> str:
    """`same` are all errors about this value: it may be of several types, and is of none of them."""
    words = WORDS.get(error["type"])
    if words is not None and len(same) == 1:
        return words(error, path)
    alternatives = " or ".join(dict.fromkeys(_requirement(one) for one in same))
    alternatives = alternatives.replace(" or it must be ", " or ")
    return f"`{path}` is {shown(error['input'])}: {alternatives}"


def _unknown_setting(error: ErrorDetails, path: str) -> str:
    *parent, last = error["loc"]
    return f"`{path}` is not a known setting{nearest(str(last), fields_at(tuple(parent)))}"


def _missing(_error: ErrorDetails, path: str) -> str:
    return f"`{path}` is missing"


def _no_kind(error: ErrorDetails, path: str) -> str:
    return f"`{path}.kind` is missing; it can be {listed(kinds_at(error['loc']))}"


def _unknown_kind(error: ErrorDetails, path: str) -> str:
    value = error["input"]
    tag = value.get("kind") if isinstance(value, dict) else value
    return f"`{path}.kind` is {shown(tag)}{nearest(str(tag), _expected(error))}"


def _unknown_choice(error: ErrorDetails, path: str) -> str:
    return f"`{path}` is {shown(error['input'])}{nearest(str(error['input']), _expected(error))}"


def _own_sentence(error: ErrorDetails, path: str) -> str:
    return f"`{path}`: {_plain(error['msg'])}" if path else _plain(error["msg"])


WORDS: dict[str, Callable[[ErrorDetails, str], str]] = {
    "extra_forbidden": _unknown_setting,
    "missing": _missing,
    "union_tag_not_found": _no_kind,
    "union_tag_invalid": _unknown_kind,
    "literal_error": _unknown_choice,
    "value_error": _own_sentence,
}


def _requirement(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return f"it must be {listed(_expected(error))}"
    if kind in BOUNDS:
        key, phrase = BOUNDS[kind]
        return f"it must be {phrase.format(_number(context[key]))}"
    if kind in SIZES:
        return f"it must {SIZES[kind].format(**context)}"
    if kind == "string_pattern_mismatch":
        return f"names are lower-case letters and digits, as in `{_name_like(error)}`"
    wanted = TYPES.get(kind.partition("_")[0])
    if wanted is None:
        return _plain(error["msg"])
    if wanted == "text" and not isinstance(error["input"], dict | list | None):
        wanted = "text, in quotes"
    kinds = kinds_at(error["loc"]) if wanted == "a mapping" else []
    return f"it must be {wanted}" + (f" with a `kind`: {listed(kinds)}" if kinds else "")


def _name_like(error: ErrorDetails) -> str:
    """The name that was meant, or an example."""
    pattern = error["ctx"]["pattern"]
    joint = "-" if "-]" in pattern else "_"
    name = re.sub(r"[^a-z0-9]+", joint, str(error["input"]).lower()).strip(joint)
    return name if re.match(pattern, name) else f"my{joint}name"


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message[0].lower() + message[1:] if message[:2].istitle() else message


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:,.10g}"


def shown(value: object) -> str:
    """As it stands in the file, or nearly so."""
    if value is None:
        return "empty"
    if isinstance(value, bool | dict | list):
        text = yaml.dump(value, Dumper=Dumper, default_flow_style=True, sort_keys=False, width=10_000)
        text = text.removesuffix("\n").removesuffix("\n...")
    else:
        text = f"{value:.12g}" if isinstance(value, float) else repr(value)
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _expected(error: ErrorDetails) -> list[str]:
    context = error.get("ctx", {})
    text = str(context.get("expected_tags") or context.get("expected") or "")
    return [choice.strip(" '") for choice in text.replace(" or ", ",").split(",")]


def _in_file(error: ErrorDetails, data: object) -> Location:
    """Pydantic's location without what stands nowhere in the file: the tags and types of unions."""
    last_need_not_be_there = error["type"] in {"missing", "extra_forbidden"}
    location = error["loc"]
    real: list[str | int] = []
    inside: Any = data
    for i, part in enumerate(location):
        there = (
            part in inside if isinstance(inside, dict) else isinstance(inside, list) and isinstance(part, int)
        )
        if there:
            inside = inside[part]
        elif not (last_need_not_be_there and i == len(location) - 1):
            continue
        real.append(part)
    return tuple(real)
