"""A JSON Schema as a graph from which values can be made.

A place in a schema is a set of clauses, all of which hold there: `allOf` and what stands beside a `$ref` add
clauses, they are never merged into one. So equal places are found to be equal, and recursion closes a circle.
What has no node here (`not`, `if`, `uniqueItems` ...) is left to the check of the finished value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Any
from urllib.parse import unquote

from api_shim.content.schemas import keywords
from api_shim.content.schemas.keywords import Json
from api_shim.content.schemas.measure import measure
from api_shim.content.schemas.nodes import Alternatives, Array, Constant, Number, Object, SchemaNode, String

MOST_NODES = 5000
MOST_COMBINATIONS = 256
"""Of the branches of several `anyOf`, at one place."""
ANNOTATIONS = frozenset(
    ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment")
)
DATA = frozenset(("const", "enum", "default", "examples"))


class UnmetSchemaError(ValueError):
    """No value satisfies the schema, or none that the simulator can find; the message says why."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A schema object without its `$ref` and `allOf`; `chosen` where its `anyOf` and `oneOf` are settled."""

    schema: Json
    chosen: bool = False

    @property
    def key(self) -> tuple[int, bool]:
        return id(self.schema), self.chosen

    @property
    def groups(self) -> list[list[Any]]:
        return (
            [] if self.chosen else [self.schema[word] for word in ("anyOf", "oneOf") if word in self.schema]
        )


class Graph:
    """`root` is a schema whose keywords have the types that they should have."""

    def __init__(self, root: Json) -> None:
        """Raises UnmetSchemaError where the root has no value."""
        self._root = root
        self.nodes: list[SchemaNode] = []
        self._known: dict[tuple[frozenset[tuple[int, bool]], str], int] = {}
        self._waiting: list[tuple[int, list[Clause], str]] = []
        self._flawed = False
        self._flaws: list[str] = []
        """Where and why values are impossible."""
        self._refuse_circles()
        self.place([root], "")
        while self._waiting:
            index, clauses, kind = self._waiting.pop()
            self._fill(index, clauses, kind)
        measure(self.nodes)
        if self.nodes[0].tokens == inf:
            raise UnmetSchemaError(self._reason())

    def _refuse_circles(self) -> None:
        """Of references that lead back to the same place of a value, and so say nothing about it."""
        done: set[int] = set()
        for start in _objects(self._root):
            way: list[tuple[Json, Iterator[Any]]] = [(start, self._same_place(start))]
            on_it = {id(start)}
            while way:
                here, further = way[-1]
                there = None if id(here) in done else next(further, None)
                if there is None:
                    done.add(id(here))
                    on_it.discard(id(here))
                    way.pop()
                elif id(there) in on_it:
                    raise UnmetSchemaError("a reference leads back to itself without end")
                elif id(there) not in done:
                    on_it.add(id(there))
                    way.append((there, self._same_place(there)))

    def _same_place(self, schema: Json) -> Iterator[Json]:
        """What else holds where `schema` does."""
        found: list[Any] = [each for word in ("allOf", "anyOf", "oneOf") for each in schema.get(word, ())]
        if isinstance(schema.get("$ref"), str):
            found.append(self._target(schema["$ref"], ""))
        yield from (each for each in found if isinstance(each, dict))

    # Places

    def place(self, schemas: Sequence[Any], where: str) -> int:
        """The node of values that satisfy all of `schemas`."""
        clauses: dict[tuple[int, bool], Clause] = {}
        for schema in schemas:
            if not self._expand(schema, clauses, where):
                return self._never(where, "no value is allowed there")
        return self._node(list(clauses.values()), "", where)

    def _expand(self, schema: Any, into: dict[tuple[int, bool], Clause], where: str) -> bool:  # noqa: ANN401 -- JSON
        """Follow `$ref` and `allOf`; False where `false` is among them."""
        unread, seen = [schema], set[int]()
        while unread:
            found = unread.pop()
            if found is True or (isinstance(found, dict) and id(found) in seen):
                continue
            if found is False:
                return False
            seen.add(id(found))
            if "$ref" in found:
                unread.append(self._target(found["$ref"], where))
            unread.extend(reversed(found.get("allOf", ())))
            if found.keys() - ANNOTATIONS - {"$ref", "allOf", "$defs", "definitions"}:
                clause = Clause(found)
                into.setdefault(clause.key, clause)
        return True

    def _target(self, reference: str, where: str) -> Any:  # noqa: ANN401 -- JSON
        found: Any = self._root
        pointer = unquote(reference.removeprefix("#"))
        if not reference.startswith("#") or (pointer and not pointer.startswith("/")):
            raise UnmetSchemaError(f"{_at(where)}only references of the form '#/...' are followed")
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(name)] if isinstance(found, list) else found[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise UnmetSchemaError(f"{_at(where)}nothing stands at '{reference[:100]}'") from None
        if not isinstance(found, dict | bool):
            raise UnmetSchemaError(f"{_at(where)}'{reference[:100]}' is no schema")
        return found

    def _node(self, clauses: list[Clause], kind: str, where: str) -> int:
        key = frozenset(clause.key for clause in clauses), kind
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.nodes)
            self.nodes.append(SchemaNode(where))
            self._waiting.append((found, clauses, kind))
            if len(self.nodes) > MOST_NODES:
                raise UnmetSchemaError(f"it has more than {MOST_NODES:,} different places")
        return found

    def _never(self, where: str, reason: str) -> int:
        self._flaws.append(f"{_at(where)}{reason}")
        self.nodes.append(Constant(where))
        return len(self.nodes) - 1

    # What stands at a place

    def _fill(self, index: int, clauses: list[Clause], kind: str) -> None:
        where, self._flawed = self.nodes[index].where, False
        if any(clause.groups for clause in clauses):
            self.nodes[index] = Alternatives(where, options=list(self._branches(clauses, where)))
            return
        schemas = [clause.schema for clause in clauses]
        values = keywords.values(schemas)
        kinds = [kind] if kind else keywords.kinds(schemas)
        if values is not None:
            node: SchemaNode = Constant(where, values=values)
            if not values:
                self._flaw(where, "no value of 'enum' or 'const' is of the right type")
        elif len(kinds) == 1:
            node = self._of_kind(kinds[0], schemas, where)
        else:
            node = Alternatives(where, options=[self._node(clauses, each, where) for each in kinds])
            if not kinds:
                self._flaw(where, "no type is allowed there")
        node.flawed = self._flawed
        self.nodes[index] = node

    def _flaw(self, where: str, reason: str) -> None:
        """Of the place that is being filled."""
        self._flawed = True
        self._flaws.append(f"{_at(where)}{reason}")

    def _branches(self, clauses: list[Clause], where: str) -> Iterator[int]:
        groups = [group for clause in clauses for group in clause.groups]
        combinations = 1
        for group in groups:
            combinations *= len(group)
        if combinations > MOST_COMBINATIONS:
            raise UnmetSchemaError(
                f"{_at(where)}'anyOf' and 'oneOf' combine in more than {MOST_COMBINATIONS} ways"
            )
        for branches in product(*groups):
            found: dict[tuple[int, bool], Clause] = {}
            for clause in clauses:
                settled = Clause(clause.schema, chosen=True)
                found[settled.key] = settled
            if all(self._expand(branch, found, where) for branch in branches):
                # A clause that stands for itself within its own branch would be chosen from for ever.
                kept = [c for c in found.values() if c.chosen or (id(c.schema), True) not in found]
                yield self._node(kept, "", where)

    def _of_kind(self, kind: str, schemas: list[Json], where: str) -> SchemaNode:
        match kind:
            case "object":
                return self._object(schemas, where)
            case "array":
                return self._array(schemas, where)
            case "string":
                return self._string(schemas, where)
            case "number" | "integer":
                return self._number(schemas, where, integer=kind == "integer")
            case "boolean":
                return Constant(where, values=[True, False])
            case _:
                return Constant(where, values=[None])

    def _bounds(self, schemas: list[Json], what: str, where: str) -> tuple[int, int | None]:
        least = max((int(schema[f"min{what}"]) for schema in schemas if f"min{what}" in schema), default=0)
        most = min((int(schema[f"max{what}"]) for schema in schemas if f"max{what}" in schema), default=None)
        if most is not None and most < least:
            self._flaw(where, f"'min{what}' {least} is above 'max{what}' {most}")
        return least, most

    def _string(self, schemas: list[Json], where: str) -> SchemaNode:
        least, most = self._bounds(schemas, "Length", where)
        patterns = [schema["pattern"] for schema in schemas if "pattern" in schema]
        formats = [schema["format"] for schema in schemas if "format" in schema]
        return String(where, least=least, most=most, patterns=patterns, format=next(iter(formats), None))

    def _number(self, schemas: list[Json], where: str, *, integer: bool) -> SchemaNode:
        node = Number(where, integer=integer)
        for schema in schemas:
            for word, is_open in (("minimum", False), ("exclusiveMinimum", True)):
                bound = schema.get(word)
                if bound is not None and (node.low is None or bound > node.low):
                    node.low, node.open_low = bound, is_open
                elif bound is not None and bound == node.low:
                    node.open_low |= is_open
            for word, is_open in (("maximum", False), ("exclusiveMaximum", True)):
                bound = schema.get(word)
                if bound is not None and (node.high is None or bound < node.high):
                    node.high, node.open_high = bound, is_open
                elif bound is not None and bound == node.high:
                    node.open_high |= is_open
            if "multipleOf" in schema:
                node.multiple = max(node.multiple or 0, schema["multipleOf"])
        if node.low is not None and node.high is not None and node.low > node.high:
            self._flaw(where, f"'minimum' {node.low} is above 'maximum' {node.high}")
        return node

    def _array(self, schemas: list[Json], where: str) -> SchemaNode:
        least, most = self._bounds(schemas, "Items", where)
        longest = max(len(schema.get("prefixItems", ())) for schema in schemas) if schemas else 0
        prefix = []
        for index in range(min(longest, most if most is not None else longest)):
            here = [keywords.item(schema, index) for schema in schemas]
            prefix.append(self.place(here, f"{where}[{index}]"))
        rest = [schema["items"] for schema in schemas if "items" in schema]
        items = None if False in rest else self.place(rest, f"{where}[]")
        if items is None and least > len(prefix):
            self._flaw(where, f"'minItems' is {least}, but no more items are allowed")
        return Array(where, prefix=prefix, items=items, least=least, most=most)

    def _object(self, schemas: list[Json], where: str) -> SchemaNode:
        least, most = self._bounds(schemas, "Properties", where)
        required = list(dict.fromkeys(name for schema in schemas for name in schema.get("required", ())))
        if most is not None and most < len(required):
            self._flaw(where, f"'maxProperties' {most} is below the {len(required)} required")
        names = dict.fromkeys(name for schema in schemas for name in schema.get("properties", ()))
        names.update(dict.fromkeys(required))
        properties = {}
        for name in names:
            here = [keywords.property_of(schema, name) for schema in schemas]
            if False not in here:
                properties[name] = self.place(here, f"{where}.{name}")
            elif name in required:
                self._flaw(f"{where}.{name}", "it is required, but not allowed")
        additional = [
            schema["additionalProperties"] for schema in schemas if "additionalProperties" in schema
        ]
        further = None
        if False not in additional and (
            any(isinstance(a, dict) for a in additional) or least > len(properties)
        ):
            further = self.place(additional, f"{where}.*")
        if further is None and least > len(properties):
            self._flaw(where, f"'minProperties' is {least}, but no more are allowed")
        return Object(
            where, properties=properties, required=required, additional=further, least=least, most=most
        )

    def _reason(self) -> str:
        reason = self._flaws[0] if self._flaws else "it refers to itself without end, or is nested too deeply"
        return f"no value can satisfy it: {reason}"


def _objects(schema: Any) -> Iterator[Json]:  # noqa: ANN401 -- JSON
    """Every schema in it; constants are data."""
    unread = [schema]
    while unread:
        found = unread.pop()
        if isinstance(found, dict):
            if isinstance(found.get("$ref", ""), str):
                yield found
            unread.extend(v for word, v in found.items() if word not in DATA)
        elif isinstance(found, list):
            unread.extend(found)


def _at(where: str) -> str:
    return f"at '{where.lstrip('.')[:200]}' " if where.lstrip(".") else ""
