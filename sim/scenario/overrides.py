"""Values put over a scenario from outside its sections: `--set` and the variants."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from sim.scenario.nearest import unknown
from sim.scenario.source_map import ScenarioError, SourceMap, parse_value

NAMED = {
    ("models",): "model",
    ("apps",): "app",
    ("traffic",): "traffic source",
    ("network", "places"): "place",
    ("variants",): "variant",
}
"""Where keys are the user's own names: a path into one that does not exist is a slip, not a new one."""

PATHS_INSIDE = (
    ("variants", "*", "set"),
    ("sweep", "grid"),
    ("sweep", "zip"),
    ("sweep", "samples", "ranges"),
)
"""Where keys are paths themselves."""

LONGEST = 100
"""Characters of a setting that an error repeats."""


class Setting(NamedTuple):
    dotted: str
    """A path such as `models.llama.nodes`."""
    value: object
    place: str
    """Where the user said so: the beginning of any error about it."""


def option(text: str) -> Setting:
    """`a.b.c=value` as after `--set`, the value written as in a file. Raises ScenarioError."""
    place = f"--set {text if len(text) <= LONGEST else f'{text[: LONGEST - 3]}...'}"
    dotted, equals, value = text.partition("=")
    if not equals or not dotted:
        raise ScenarioError(f"{place}: write it as path=value, such as models.llama.nodes=4")
    return Setting(dotted, parse_value(value, place), place)


def apply_setting(data: dict[str, Any], source_map: SourceMap, setting: Setting) -> None:
    """Put its value at its path, making the mappings on the way."""
    dotted, value, place = setting
    keys = _keys(dotted)
    if not all(keys):
        raise ScenarioError(f"{place}: `{dotted}` is not a path such as models.llama.nodes")
    inside: Any = data
    for depth, key in enumerate(keys[:-1]):
        inside = _step_into(inside, key, tuple(keys[:depth]), keys[depth + 1], place)
    inside[_index(inside, keys[-1], keys[:-1], place)] = deepcopy(value)
    source_map.replace(tuple(keys), place)


def _keys(dotted: str) -> list[str]:
    """What a variant sets, or a sweep varies, has a dotted path as its key."""
    keys = dotted.split(".")
    for around in PATHS_INSIDE:
        depth = len(around)
        if len(keys) > depth and all(want in {"*", key} for want, key in zip(around, keys, strict=False)):
            return [*keys[:depth], ".".join(keys[depth:])]
    return keys


def _step_into(inside: Any, key: str, path: tuple[str, ...], onward: str, place: str) -> Any:  # noqa: ANN401 -- plain data
    if isinstance(inside, dict) and inside.get(key) is None:
        if path in NAMED:
            raise ScenarioError(f"{place}: {unknown(NAMED[path], key, inside)}")
        inside[key] = {}
    found = inside[_index(inside, key, path, place)]
    if not isinstance(found, dict | list):
        raise ScenarioError(f"{place}: `{'.'.join((*path, key))}` is {found!r} and has no `{onward}`")
    return found


def _index(inside: Any, key: str, path: Sequence[str], place: str) -> str | int:  # noqa: ANN401 -- plain data
    """`key` as it selects from a mapping or a list."""
    if isinstance(inside, dict):
        return key
    if not (key.isdecimal() and int(key) < len(inside)):
        raise ScenarioError(f"{place}: `{'.'.join(path)}` is a list of {len(inside)}, counted from 0")
    return int(key)
