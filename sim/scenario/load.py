"""From a file to checked scenarios, one per variant. Errors are sentences with file and line."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from e80sim.mistakes import UserError
from e80sim.plain_yaml import Dumper
from sim.scenario.check import Problem, problems
from sim.scenario.nearest import nearest, unknown
from sim.scenario.overrides import Setting, apply_setting, option
from sim.scenario.schema import Scenario, Variant
from sim.scenario.sentences import sentence
from sim.scenario.source_map import ScenarioError, SourceMap, plain_copy, read_yaml

COMMON = {
    "run": "all variants share one `run`, or they could not be compared: state it there",
    "sweep": "a sweep varies the fields of all variants alike",
    "serve": "the live server has one `serve`, whatever variant it runs: state it there",
    "title": "a variant has a `title` of its own, beside `set`",
    "question": "all variants answer one question",
}
"""Sections that no variant can have for itself, and why."""

T = TypeVar("T")

BASE = "base"
"""The name of the only variant of a scenario that has none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario file, read and checked: its variants, the first of which is the baseline."""

    base: Scenario
    variants: dict[str, Scenario]

    def variant(self, name: str | None) -> Scenario:
        """The one of that name, or the first. Raises UserError."""
        if name is None:
            return next(iter(self.variants.values()))
        if name not in self.variants:
            raise UserError(unknown("variant", name, self.variants))
        return self.variants[name]

    def resolved(self) -> str:
        """The scenario as it ran, `--set` included and paths absolute: running it again gives the same."""
        data = self.base.model_dump(mode="json", exclude_unset=True)
        return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)


def load(path: Path, settings: Iterable[str | Setting] = ()) -> Plan:
    """Read `path`, put the settings over it (`a.b.c=value` as after `--set`), expand and check every variant.

    Raises:
        ScenarioError: the file, a setting or what they say together is wrong.

    """
    return ScenarioFile.read(path).plan(settings)


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """What stands in a file, and where: read once, for as many plans as there are settings to put over it."""

    data: dict[str, Any]
    source_map: SourceMap
    folder: Path

    @classmethod
    def read(cls, path: Path) -> "ScenarioFile":
        """Raises ScenarioError."""
        return cls(*read_yaml(path), path.resolve().parent)

    def plan(self, settings: Iterable[str | Setting] = ()) -> Plan:
        """Raises ScenarioError."""
        stated = [setting if isinstance(setting, Setting) else option(setting) for setting in settings]
        return _blaming(self._plan, stated)

    def _plan(self, settings: Sequence[Setting]) -> Plan:
        file = self.under(settings)
        base = file.scenario("")
        variants = {name: file.variant(name, variant) for name, variant in base.variants.items()}
        return Plan(base, variants or {BASE: base})

    def under(self, settings: Iterable[Setting]) -> "ScenarioFile":
        file = replace(self, data=plain_copy(self.data), source_map=self.source_map.copied())
        for setting in settings:
            apply_setting(file.data, file.source_map, setting)
        return file

    def variant(self, name: str, variant: Variant) -> Scenario:
        settings = []
        for dotted, value in variant.set.items():
            place = self.source_map.where(("variants", name, "set", dotted))
            _require_own(dotted, place, name)
            settings.append(Setting(dotted, value, place))
        return _blaming(lambda some: self.under(some).scenario(f"in variant `{name}`, "), settings)

    def scenario(self, prefix: str) -> Scenario:
        try:
            scenario = Scenario.model_validate(self.data, context={"folder": self.folder})
        except ValidationError as error:
            errors = error.errors(include_url=False)
            raise ScenarioError(sentence(errors, self.data, self.source_map, prefix)) from None
        found: Problem | None = next(iter(problems(scenario)), None)
        if found is not None:
            raise ScenarioError(f"{self.source_map.where(found.location)}: {prefix}{found.sentence}")
        return scenario


def _blaming(attempt: Callable[[Sequence[Setting]], T], settings: Sequence[Setting]) -> T:
    """`attempt(settings)`. Where it fails for a setting, that is named and not the line that it clashes with.

    Guilty is the last setting without which the same would not be said.
    """
    try:
        return attempt(settings)
    except ScenarioError as error:
        said = str(error)
        for i in reversed(range(len(settings))):
            if said.startswith(f"{settings[i].place}: "):
                break
            if _said(attempt, [*settings[:i], *settings[i + 1 :]]) != said:
                _, _, words = said.partition(": ")
                raise ScenarioError(f"{settings[i].place}: {words}") from None
        raise


def _said(attempt: Callable[[Sequence[Setting]], object], settings: Sequence[Setting]) -> str | None:
    try:
        attempt(settings)
    except ScenarioError as error:
        return str(error)
    return None


def _require_own(dotted: str, place: str, variant: str) -> None:
    """That the section is known, and one that a variant may have for itself."""
    head = dotted.split(".", maxsplit=1)[0]
    allowed = [field for field in Scenario.model_fields if field not in {"name", "variants", *COMMON}]
    if head not in allowed:
        why = f": {COMMON[head]}" if head in COMMON else nearest(head, allowed)
        raise ScenarioError(f"{place}: variant `{variant}` cannot set `{dotted}`{why}")
