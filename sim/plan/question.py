"""What a plan asks: which field to find a value of, among which other choices, and what is to be met.

The first varied field of numbers is searched. Of the others each combination is a line of its own, and so
is each variant: lines are compared once each has its answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from e80sim.mistakes import UserError
from reports.sweep.view import is_number
from reports.targets import Target, parse
from sim.scenario.load import BASE, Plan, ScenarioFile
from sim.scenario.overrides import Setting, option
from sim.scenario.schema import Scenario
from sim.scenario.sentences import shown
from sim.scenario.source_map import parse_value
from sim.scenario.sweep import is_range
from sim.study.design import settings_of, short_names
from sim.study.sweep import Cell, cell_of

MOST_POINTS = 2_000
"""Values times choices: the closed form is worked out for each, in some hundredths of a second."""
EXAMPLE = "--vary models.llama.nodes=1:64"


@dataclass(frozen=True, slots=True)
class Choice:
    """A variant, and values of the fields that are not searched."""

    variant: str
    point: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    file: ScenarioFile
    settings: Sequence[Setting]
    plan: Plan
    """Of the scenario as it stands, with nothing varied."""
    targets: Sequence[Target]
    fields: Mapping[str, tuple[Any, ...]]
    searched: str | None
    """None where no field has numbers: then every choice stands for itself."""
    places: Mapping[str, str]
    """By field, where it was said."""

    @classmethod
    def read(
        cls, path: Path, vary: Sequence[str], objectives: Sequence[str], settings: Sequence[str]
    ) -> "Question":
        """Raises UserError: the scenario, a field, a value or an objective is wrong."""
        if not vary:
            raise UserError(f"nothing is varied: say which field may change, and how far: {EXAMPLE}")
        file, stated = ScenarioFile.read(path), [option(one) for one in settings]
        varied = [_parted(one) for one in vary]
        section = [Setting("sweep", {}, "the command line")]
        section += [Setting(f"sweep.grid.{field}", values, place) for field, values, place in varied]
        plan = file.plan([*stated, *section])
        fields = {field: _in_order(values) for field, values in plan.base.sweep.grid.items()}
        found = cls(
            file,
            stated,
            plan,
            _targets(path, plan, objectives),
            fields,
            next((field for field, values in fields.items() if is_number(values)), None),
            {field: place for field, _, place in varied},
        )
        found.require_few()
        found.require_free()
        return found

    def require_free(self) -> None:
        """That no variant sets a field which is varied, so that it would stay as it is."""
        for name, variant in self.base.variants.items():
            for dotted in variant.set:
                for field in self.fields:
                    if f"{field}.".startswith(f"{dotted}.") or f"{dotted}.".startswith(f"{field}."):
                        raise UserError(
                            f"{self.places[field]}: variant `{name}` sets `{dotted}` itself, over what is "
                            "varied: take it out of the variant, or leave variants out (--set 'variants={}')"
                        )

    def require_few(self) -> None:
        count = len(self.choices) * len(self.values)
        if count > MOST_POINTS:
            wide = max(self.fields, key=lambda field: len(self.fields[field]))
            raise UserError(
                f"{self.places[wide]}: that is {count:,} points with the other fields, and a plan may have "
                f"{MOST_POINTS:,}: take steps (1:1000:10) or factors (1:1024:*2)"
            )

    @property
    def base(self) -> Scenario:
        return self.plan.base

    @property
    def values(self) -> tuple[Any, ...]:
        """Of the searched field, the smallest first; a single nothing without one."""
        return (None,) if self.searched is None else self.fields[self.searched]

    @property
    def choices(self) -> list[Choice]:
        others = {field: values for field, values in self.fields.items() if field != self.searched}
        return [
            Choice(variant, dict(zip(others, chosen, strict=True)))
            for chosen in product(*others.values())
            for variant in self.plan.variants
        ]

    def point(self, choice: Choice, value: object) -> dict[str, Any]:
        return {**choice.point, **({} if self.searched is None else {self.searched: value})}

    def scenario(self, choice: Choice, value: object, *more: Setting) -> Scenario:
        """Checked. Raises ScenarioError."""
        point = settings_of(self.point(choice, value))
        return self.file.plan([*self.settings, *point, *more]).variants[choice.variant]

    def cell(self, choice: Choice, value: object, replications: int, *more: Setting) -> Cell:
        """With so many replications, however precise the scenario would have them."""
        said = "the plan"
        run = (Setting("run.precision", None, said), Setting("run.replications", replications, said))
        scenario = self.scenario(choice, value, *more, *run)
        return cell_of(self.point(choice, value), choice.variant, scenario)

    def name_of(self, choice: Choice) -> str:
        """Empty where there is one choice alone."""
        names = short_names(list(self.fields))
        parts = [] if choice.variant == BASE else [choice.variant]
        parts += [self._named(names[field], field, value) for field, value in choice.point.items()]
        return ", ".join(parts)

    def _named(self, name: str, field: str, value: object) -> str:
        """Hardware by its preset, where that tells all values of the field apart."""
        presets = [_preset(field, one) for one in self.fields[field]]
        if None not in presets and len(set(presets)) == len(presets):
            return str(_preset(field, value))
        return f"{name} {value if isinstance(value, str) else shown(value)}"


def _parted(text: str) -> tuple[str, object, str]:
    """(field, values, place)."""
    place = f"--vary {text}"
    field, equals, values = text.partition("=")
    if not equals or not field:
        raise UserError(f"{place}: write it as field=values, such as models.llama.nodes=1:64")
    if not values.strip():
        raise UserError(f"{place}: it has no value: give a range such as 1:64, or a list such as 1,2,4")
    return field, values if is_range(values) else parse_value(f"[{values}]", place), place


def _in_order(values: Sequence[Any]) -> tuple[Any, ...]:
    """Each once; numbers by their size."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(sorted(found)) if is_number(found) else tuple(found)


def _preset(field: str, value: object) -> object:
    """None where it is no hardware, or has none."""
    if field.endswith(".hardware.preset"):
        return value
    hardware = field.endswith(".hardware")
    return value.get("preset") if hardware and isinstance(value, dict) else value if hardware else None


def _targets(path: Path, plan: Plan, objectives: Sequence[str]) -> list[Target]:
    stated = dict.fromkeys([*plan.base.objectives, *objectives])
    if not stated:
        raise UserError(
            f"{path} states no objectives, and there is no --objective, such as 'ttft_p95_ms<=50'"
        )
    found = [parse(text) for text in stated]
    known = [name for scenario in plan.variants.values() for name in scenario.traffic]
    for one in found:
        if one.against_baseline:
            raise UserError(f"objective {one.text!r}: a plan has no baseline: state a number")
        if one.source is not None and one.source not in known:
            there = ", ".join(dict.fromkeys(known))
            raise UserError(f"objective {one.text!r}: there is no source {one.source!r}; there are {there}")
    return found
