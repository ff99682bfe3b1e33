"""From a file to checked scenarios, one per variant. Errors are sentences with file and line."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sim.scenario.check import Problem, problems
from sim.scenario.schema import Scenario
from sim.scenario.source_map import Location, ScenarioError, SourceMap, apply_setting, read_yaml

BASE = "base"
"""The name of the only variant of a scenario that has none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario file, read and checked: its variants, the first of which is the baseline."""

    base: Scenario
    variants: dict[str, Scenario]

    def resolved(self) -> str:
        """The scenario as it ran, `--set` included and paths absolute: running it again gives the same."""
        data = self.base.model_dump(mode="json", exclude_unset=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def load(path: Path, settings: Iterable[str] = ()) -> Plan:
    """Read `path`, put the `a.b.c=value` settings over it, expand and check every variant.

    Raises:
        ScenarioError: the file, a setting or what they say together is wrong.

    """
    data, source_map = read_yaml(path)
    for setting in settings:
        dotted, equals, text = setting.partition("=")
        if not equals or not dotted:
            raise ScenarioError(f"--set {setting}: write it as path=value, such as models.llama.nodes=4")
        apply_setting(data, source_map, dotted, _scalar(dotted, text))
    folder = path.resolve().parent
    base = _validated(data, source_map, folder, "")
    variants = {}
    for name, variant in base.variants.items():
        own, own_map = deepcopy(data), deepcopy(source_map)
        for dotted, value in variant.set.items():
            _require_known_head(dotted, source_map, name)
            apply_setting(own, own_map, dotted, value)
            _move(own_map, source_map, dotted, ("variants", name, "set", dotted))
        variants[name] = _validated(own, own_map, folder, f"in variant `{name}`, ")
    return Plan(base, variants or {BASE: base})


def _scalar(dotted: str, text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ScenarioError(f"--set {dotted}: {text!r} is not a YAML value") from None


def _require_known_head(dotted: str, source_map: SourceMap, variant: str) -> None:
    head = dotted.split(".", maxsplit=1)[0]
    if head not in Scenario.model_fields or head in {"name", "variants"}:
        allowed = [field for field in Scenario.model_fields if field not in {"name", "variants"}]
        where = source_map.where(("variants", variant, "set", dotted))
        raise ScenarioError(f"{where}: variant `{variant}` cannot set `{dotted}`{_nearest(head, allowed)}")


def _move(own: SourceMap, original: SourceMap, dotted: str, location: Location) -> None:
    """An error in a value that a variant set is shown where the variant says it."""
    where = original.where(location)
    line = where.rpartition(":")[2]
    if line.isdigit():
        own.note(tuple(dotted.split(".")), int(line))


def _validated(data: dict[str, Any], source_map: SourceMap, folder: Path, prefix: str) -> Scenario:
    try:
        scenario = Scenario.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ScenarioError(_sentence(first, data, source_map, prefix)) from None
    found: Problem | None = next(iter(problems(scenario)), None)
    if found is not None:
        raise ScenarioError(f"{source_map.where(found.location)}: {prefix}{found.sentence}")
    return scenario


def _sentence(error: ErrorDetails, data: dict[str, Any], source_map: SourceMap, prefix: str) -> str:
    location = _real(error["loc"], data)
    where, path = source_map.where(location), ".".join(map(str, location))
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        known = _fields_at(error["loc"][:-1])
        return f"{where}: {prefix}`{path}` is not a known setting{_nearest(str(location[-1]), known)}"
    if kind == "missing":
        return f"{where}: {prefix}`{path}` is missing"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[0].lower() + message[1:] if message[:2].istitle() else message
    if kind == "value_error":
        return f"{where}: {prefix}`{path}`: {message}" if path else f"{where}: {prefix}{message}"
    if kind in {"union_tag_invalid", "literal_error"}:
        choices = [choice.strip(" '") for choice in _expected(error)]
        tag = value.get("kind") if isinstance(value, dict) else value
        return f"{where}: {prefix}`{path}` is {tag!r}{_nearest(str(tag), choices)}"
    if kind == "string_pattern_mismatch":
        return f"{where}: {prefix}`{path}` is {value!r}: names are lower case, as in `my_model`"
    return f"{where}: {prefix}`{path}` is {_shown(value)}: {message}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _expected(error: ErrorDetails) -> list[str]:
    context = error.get("ctx", {})
    text = str(context.get("expected_tags") or context.get("expected") or "")
    return text.replace(" or ", ",").split(",")


def _nearest(word: str, choices: Iterable[str]) -> str:
    """What to write instead: the nearest choice, else all of them."""
    choices = list(choices)
    close = get_close_matches(word, choices, n=1, cutoff=0.5)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; it can be {', '.join(f'`{choice}`' for choice in choices)}" if choices else ""


def _real(location: Location, data: object) -> Location:
    """Pydantic's location without the union tags, which stand nowhere in the file."""
    real: list[str | int] = []
    inside: Any = data
    for i, part in enumerate(location):
        if isinstance(inside, dict) and part not in inside and i < len(location) - 1:
            continue  # a union's tag
        real.append(part)
        if isinstance(inside, dict):
            inside = inside.get(str(part))
        elif isinstance(inside, list) and isinstance(part, int) and part < len(inside):
            inside = inside[part]
        else:
            inside = None
    return tuple(part for part in real if part != "[key]")


def _fields_at(location: Location) -> list[str]:
    """The settings that may stand at `location`, as the schema has them."""
    models: list[Any] = [Scenario]
    for part in location:
        models = [inner for model in models for inner in _step(model, part)]
    return sorted({field for model in models for field in model.model_fields})


def _step(model: type[BaseModel], part: str | int) -> list[type[BaseModel]]:
    if isinstance(part, str) and part in model.model_fields:
        return _models_in(model.model_fields[part].annotation)
    return [model] if _tag(model) in {None, part} else []


def _tag(model: type[BaseModel]) -> object:
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation)[0] if kind is not None and get_args(kind.annotation) else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 -- any type expression
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    value = getattr(annotation, "__value__", annotation)  # a `type` alias
    return [model for inner in get_args(value) for model in _models_in(inner)]
