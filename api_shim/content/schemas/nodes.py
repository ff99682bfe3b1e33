"""What can stand at a place of a schema. Places refer to each other by number, so they may form circles."""

from dataclasses import dataclass, field
from math import inf
from typing import Any


@dataclass(slots=True)
class SchemaNode:
    """`tokens` is about how long its shortest value is, `depth` how deep; both are inf where it has none."""

    where: str
    """For messages, as a path: several nodes may stand at one place."""
    tokens: float = inf
    depth: float = inf
    flawed: bool = False
    """What is said of it contradicts itself."""


@dataclass(slots=True)
class Alternatives(SchemaNode):
    options: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Constant(SchemaNode):
    values: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Number(SchemaNode):
    integer: bool = False
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    multiple: float | None = None


@dataclass(slots=True)
class String(SchemaNode):
    least: int = 0
    most: int | None = None
    patterns: list[str] = field(default_factory=list)
    format: str | None = None


@dataclass(slots=True)
class Array(SchemaNode):
    prefix: list[int] = field(default_factory=list)
    items: int | None = None
    """None: nothing may follow the prefix."""
    least: int = 0
    most: int | None = None


@dataclass(slots=True)
class Object(SchemaNode):
    properties: dict[str, int] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    additional: int | None = None
    """Of further keys; None where there are none, or none that the schema says anything about."""
    least: int = 0
    most: int | None = None
