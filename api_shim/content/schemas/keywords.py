"""What the keywords of several schemas that hold at one place come to."""

from typing import Any

Json = dict[str, Any]

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
TYPE_OF_KEYWORD = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "minProperties": "object",
    "maxProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "maxItems": "array",
    "pattern": "string",
    "format": "string",
    "minLength": "string",
    "maxLength": "string",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
}


def values(schemas: list[Json]) -> list[Any] | None:
    """What `enum` and `const` leave; None where nothing says it."""
    lists = [schema["enum"] for schema in schemas if "enum" in schema]
    lists += [[schema["const"]] for schema in schemas if "const" in schema]
    if not lists:
        return None
    types = kinds(schemas)
    return [v for v in lists[0] if all(_holds(each, v) for each in lists[1:]) and _is_of(v, types)]


def _holds(values: list[Any], value: Any) -> bool:  # noqa: ANN401 -- JSON
    """True is not 1."""
    return any(each == value and isinstance(each, bool) is isinstance(value, bool) for each in values)


def _is_of(value: Any, kinds: list[str]) -> bool:  # noqa: ANN401 -- JSON
    match value:
        case None:
            return "null" in kinds
        case bool():
            return "boolean" in kinds
        case str():
            return "string" in kinds
        case list():
            return "array" in kinds
        case dict():
            return "object" in kinds
    return "number" in kinds or ("integer" in kinds and value == int(value))


def kinds(schemas: list[Json]) -> list[str]:
    """Types that all allow. Where none is said, the keywords tell; where they do not, it is text."""
    allowed: list[str] | None = None
    for schema in schemas:
        said = schema.get("type")
        if said is not None:
            these = [said] if isinstance(said, str) else list(said)
            allowed = these if allowed is None else _common(allowed, these)
    if allowed is not None:
        return allowed
    if any("enum" in schema or "const" in schema for schema in schemas):
        return list(TYPES)
    hints = [kind for schema in schemas for word, kind in TYPE_OF_KEYWORD.items() if word in schema]
    return [next(iter(hints), "string")]


def _common(left: list[str], right: list[str]) -> list[str]:
    common = [kind for kind in left if kind in right]
    if "integer" not in common and ("integer" in left + right and {"number"} & {*left, *right}):
        common += ["integer"] if _numbers(left) and _numbers(right) else []
    return common


def _numbers(kinds: list[str]) -> bool:
    return "integer" in kinds or "number" in kinds


def item(schema: Json, index: int) -> Any:  # noqa: ANN401 -- JSON
    prefix = schema.get("prefixItems", ())
    return prefix[index] if index < len(prefix) else schema.get("items", True)


def property_of(schema: Json, name: str) -> Any:  # noqa: ANN401 -- JSON
    properties = schema.get("properties", {})
    return properties[name] if name in properties else schema.get("additionalProperties", True)
