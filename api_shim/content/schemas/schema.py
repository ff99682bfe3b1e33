"""A JSON Schema that was asked for: read once, then JSON of it for any seed and length."""

import json
from functools import lru_cache
from random import Random  # noqa: TID251 -- seeded by the request; the model never sees these draws
from typing import Any

import jsonschema_rs

from api_shim.content.schemas.graph import Graph, UnmetSchemaError
from api_shim.content.schemas.keywords import Json
from api_shim.content.schemas.values import Maker
from traffic.tokens import Vocabulary

DEEPEST_LEAST = 64
LONGEST_LEAST = 100_000
"""Tokens, roughly: more than any context holds."""
KEPT = 128
MOST_LETTERS = 120_000
"""Of a schema, as JSON."""
TRIES = 40
CORRECTIONS = 4
NEAR_ENOUGH = 0.05
VERBATIM = frozenset(("const", "default", "examples"))
"""Keywords whose value is data."""
BY_NAME = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
ANY_OBJECT = '{"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}'
"""What `json_object` asks for."""


class Schema:
    """Immutable, and used by all requests that send the same."""

    def __init__(self, text: str) -> None:
        """Raises UnmetSchemaError."""
        if len(text) > MOST_LETTERS:
            raise UnmetSchemaError(f"it is longer than {MOST_LETTERS:,} letters")
        schema = _without_nulls(json.loads(text))
        try:
            jsonschema_rs.meta.validate(schema)
            self._graph = Graph(schema)
            self._validator = jsonschema_rs.validator_for(
                schema, validate_formats=True, ignore_unknown_formats=True, offline=True
            )
        except jsonschema_rs.ValidationError as error:
            raise UnmetSchemaError(f"it is no JSON Schema: {error.message[:300]}") from None
        except (jsonschema_rs.ReferencingError, OverflowError) as error:
            raise UnmetSchemaError(f"it cannot be read: {str(error)[:300]}") from None
        root = self._graph.nodes[0]
        if root.depth > DEEPEST_LEAST:
            raise UnmetSchemaError(f"its values would be nested more than {DEEPEST_LEAST} levels deep")
        if root.tokens > LONGEST_LEAST:
            raise UnmetSchemaError("its values would be longer than any context")
        self._example = self._first()

    def _first(self) -> str:
        """Whatever is asked for later, this is valid. Raises UnmetSchemaError."""
        problem = "none of the values that were tried satisfies it"
        try:
            found = self._valid(Random(0), 0)  # noqa: S311 -- words, not secrets
        except ValueError as reason:
            found, problem = None, str(reason)
        if found is None:
            raise UnmetSchemaError(f"no value can be made for it: {problem}")
        return found

    def json(self, seed: int, tokens: int, vocabulary: Vocabulary) -> str:
        """Valid, and of about so many tokens where the schema leaves that open. Equal seeds, equal texts."""
        best, asked = "", float(tokens)
        for _ in range(CORRECTIONS):
            text = self._valid(Random(seed), asked) or self._example  # noqa: S311 -- words, not secrets
            length = vocabulary.count(text)
            if not best or abs(length - tokens) < abs(vocabulary.count(best) - tokens):
                best = text
            if abs(length - tokens) <= max(1, NEAR_ENOUGH * tokens):
                break
            asked = min(2.0 * tokens, asked * tokens / length)  # it may not be the length that is free
        return best

    def accepts(self, text: str) -> bool:
        """Whether it is JSON of this schema."""
        try:
            value = json.loads(text)
        except ValueError:
            return False
        return bool(self._validator.is_valid(value))

    def _valid(self, rng: Random, tokens: float) -> str | None:
        """None where no try was valid. Raises ValueError where none could be made."""
        for _ in range(TRIES):
            value = Maker(self._graph, rng).value(0, tokens)
            if self._validator.is_valid(value):
                return json.dumps(value, ensure_ascii=False, allow_nan=False)
        return None


@lru_cache(maxsize=KEPT)
def _read(text: str) -> Schema:
    return Schema(text)


def schema_of(schema: Json) -> Schema:
    """Raises UnmetSchemaError where no value can be made for it."""
    return _read(json.dumps(schema))


def arguments_of(parameters: Json | None) -> Schema:
    """Of a function: an object, whether its schema says so or not."""
    return schema_of({"type": "object", **(parameters or {})})


def any_object() -> Schema:
    return _read(ANY_OBJECT)


def _without_nulls(schema: Any) -> Any:  # noqa: ANN401 -- JSON
    """Clients write `"description": null` for what they do not say."""
    if isinstance(schema, list):
        return [_without_nulls(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for word, value in schema.items():
        if word in VERBATIM or word == "enum":
            found[word] = value
        elif word in BY_NAME and isinstance(value, dict):
            found[word] = {name: _without_nulls(each) for name, each in value.items()}
        elif value is not None:
            found[word] = _without_nulls(value)
    return found
