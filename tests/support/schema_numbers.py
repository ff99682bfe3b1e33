"""Every number that a scenario can state, with its bounds, from the schema itself."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sim.scenario.schema import Scenario


class Number(NamedTuple):
    section: str
    """The class that it is a setting of."""
    setting: str
    """Its path in there: `factors.0` in a list, `values.*` in a mapping."""
    whole: bool
    least: float | None
    most: float | None
    above_least: bool
    """The bound itself is excluded."""
    below_most: bool

    @property
    def name(self) -> str:
        return f"{self.section}.{self.setting}"


def numbers() -> list[Number]:
    schema = Scenario.model_json_schema()
    sections = {"Scenario": schema, **schema["$defs"]}
    return [
        _number(section, path, found)
        for section, one in sections.items()
        for setting, type_ in one.get("properties", {}).items()
        for path, found in _numeric(type_, setting)
    ]


def _numeric(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if schema.get("type") in {"number", "integer"}:
        yield path, schema
    for alternative in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _numeric(alternative, path)
    for key, inside in (("items", "0"), ("additionalProperties", "*")):
        if isinstance(schema.get(key), dict):
            yield from _numeric(schema[key], f"{path}.{inside}")


def _number(section: str, path: str, schema: dict[str, Any]) -> Number:
    return Number(
        section,
        path,
        schema["type"] == "integer",
        schema.get("minimum", schema.get("exclusiveMinimum")),
        schema.get("maximum", schema.get("exclusiveMaximum")),
        "exclusiveMinimum" in schema,
        "exclusiveMaximum" in schema,
    )
