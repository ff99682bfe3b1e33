"""Which settings and kinds the schema allows at a place that an error names."""

from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from e80sim.choices import models_of
from sim.scenario.schema import Scenario
from sim.scenario.source_map import Location


def fields_at(location: Location) -> list[str]:
    """The settings that may stand in the mapping at `location`."""
    return sorted({field for model in _models_at(location) for field in model.model_fields})


def kinds_at(location: Location) -> list[str]:
    """The values of `kind` that may stand there, none where there is no choice."""
    return [str(tag) for model in _models_at(location) if (tag := _tag(model)) is not None]


def _models_at(location: Location) -> list[type[BaseModel]]:
    """Past fields, the names and numbers in mappings and lists, and the tags that chose from a union."""
    models: list[type[BaseModel]] = [Scenario]
    parts = iter(location)
    for part in parts:
        fields = [
            model.model_fields[part]
            for model in models
            if isinstance(part, str) and part in model.model_fields
        ]
        if fields:
            models = [inner for field in fields for inner in models_of(field)]
            if any(_holds_many(field.annotation) for field in fields):
                next(parts, None)
        else:
            models = [model for model in models if _tag(model) in {None, part}]
    return models


def _holds_many(annotation: Any) -> bool:  # noqa: ANN401 -- any type expression
    origin = get_origin(annotation)
    return origin in {dict, list, tuple} or (
        origin in {Union, UnionType} and any(map(_holds_many, get_args(annotation)))
    )


def _tag(model: type[BaseModel]) -> object:
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation)[0] if kind is not None and get_args(kind.annotation) else None
