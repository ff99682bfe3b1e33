"""From a file to checked scenarios, one per variant. Errors are sentences with file and line."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sim.scenario.check import Problem, problems
from sim.scenario.nearest import nearest
from sim.scenario.overrides import apply_setting, apply_text
from sim.scenario.schema import Scenario
from sim.scenario.sentences import sentence
from sim.scenario.source_map import ScenarioError, SourceMap, read_yaml

COMMON = {
    "run": "all variants share one `run`, or they could not be compared: state it there",
    "serve": "the live server has one `serve`, whatever variant it runs: state it there",
    "title": "a variant has a `title` of its own, beside `set`",
    "question": "all variants answer one question",
}
"""Sections that no variant can have for itself, and why."""
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
        apply_text(data, source_map, setting)
    folder = path.resolve().parent
    base = _validated(data, source_map, folder, "")
    variants = {}
    for name, variant in base.variants.items():
        own, own_map = deepcopy(data), deepcopy(source_map)
        for dotted, value in variant.set.items():
            place = source_map.where(("variants", name, "set", dotted))
            _require_own(dotted, place, name)
            apply_setting(own, own_map, dotted, value, place)
        variants[name] = _validated(own, own_map, folder, f"in variant `{name}`, ")
    return Plan(base, variants or {BASE: base})


def _require_own(dotted: str, place: str, variant: str) -> None:
    """That the section is known, and one that a variant may have for itself."""
    head = dotted.split(".", maxsplit=1)[0]
    allowed = [field for field in Scenario.model_fields if field not in {"name", "variants", *COMMON}]
    if head not in allowed:
        why = f": {COMMON[head]}" if head in COMMON else nearest(head, allowed)
        raise ScenarioError(f"{place}: variant `{variant}` cannot set `{dotted}`{why}")


def _validated(data: dict[str, Any], source_map: SourceMap, folder: Path, prefix: str) -> Scenario:
    try:
        scenario = Scenario.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise ScenarioError(sentence(errors, data, source_map, prefix)) from None
    found: Problem | None = next(iter(problems(scenario)), None)
    if found is not None:
        raise ScenarioError(f"{source_map.where(found.location)}: {prefix}{found.sentence}")
    return scenario
