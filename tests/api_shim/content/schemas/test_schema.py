"""JSON for a schema: valid whatever seed and length, of about the length asked for, or refused with a reason.

The product checks what it makes with one library; these tests judge it with another.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it comes without types

from api_shim.content.schemas.graph import UnmetSchemaError
from api_shim.content.schemas.schema import any_object, arguments_of, schema_of
from traffic.tokens import vocabulary

LLAMA3 = vocabulary("llama3")
STEP = {
    "type": "object",
    "properties": {"explanation": {"type": "string"}, "output": {"type": "string"}},
    "required": ["explanation", "output"],
    "additionalProperties": False,
}
FORMATS = ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid")
SCHEMAS: dict[str, Any] = {
    "flat": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["c", "f"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    "definitions": {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 2}},
        "required": ["steps"],
        "$defs": {"step": STEP},
    },
    "recursive": {
        "type": "object",
        "properties": {"value": {"type": "number"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["value", "next"],
        "additionalProperties": False,
    },
    "tree": {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}, "label": {"maxLength": 9}},
        "required": ["children", "label"],
    },
    "formats": {
        "type": "object",
        "properties": {name: {"type": "string", "format": name} for name in FORMATS},
        "required": list(FORMATS),
    },
    "pattern": {"type": "string", "pattern": r"^[A-Z]{2}-\d{4}(-[a-f0-9]{2,8})?$", "minLength": 9},
    "unanchored": {"type": "string", "pattern": r"\d+\.\w(a|bc)*[^x-z]", "maxLength": 40},
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"a": {"minimum": 5}, "b": {"const": "x"}}, "required": ["b"]},
        ]
    },
    "one of": {
        "oneOf": [
            {"properties": {"kind": {"const": "cat"}, "n": {"multipleOf": 3}}, "required": ["kind", "n"]},
            {
                "properties": {"kind": {"const": "dog"}, "s": {"multipleOf": 0.1, "exclusiveMinimum": 0}},
                "required": ["kind", "s"],
            },
        ]
    },
    "beside a reference": {
        "$defs": {"base": {"type": "object", "properties": {"x": {"type": "integer"}}}},
        "$ref": "#/$defs/base",
        "required": ["x"],
        "properties": {"x": {"maximum": -3}},
    },
    "types": {"type": "array", "minItems": 3, "maxItems": 5, "items": {"type": ["integer", "null"]}},
    "tuple": {
        "type": "array",
        "prefixItems": [{"const": 1}, {"type": "boolean"}],
        "items": False,
        "minItems": 2,
    },
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    "a branch that cannot be": {
        "anyOf": [{"type": "integer", "minimum": 5, "maximum": 3}, {"const": "fine"}]
    },
    "left to the check": {
        "type": "array",
        "uniqueItems": True,
        "minItems": 3,
        "items": {"type": "integer", "minimum": 0, "maximum": 5},
    },
    "long text": {"type": "string", "minLength": 300, "maxLength": 310},
    "open bounds": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.01},
    "anything": {},
}


def judge(schema: Any) -> Any:
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("name", SCHEMAS)
def test_json_is_valid_for_every_seed_and_length(name: str) -> None:
    schema, validator = schema_of(SCHEMAS[name]), judge(SCHEMAS[name])
    for seed in range(25):
        for tokens in (1, 10, 80):
            validator.validate(json.loads(schema.json(seed, tokens, LLAMA3)))


def test_the_same_seed_gives_the_same_text_and_another_seed_another() -> None:
    schema = schema_of(SCHEMAS["flat"])
    texts = [schema.json(seed, 50, LLAMA3) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("name", ["flat", "definitions", "tree", "anything"])
@pytest.mark.parametrize("tokens", [60, 250, 1000])
def test_json_is_about_as_long_as_asked_where_the_schema_leaves_it_open(name: str, tokens: int) -> None:
    lengths = [LLAMA3.count(schema_of(SCHEMAS[name]).json(seed, tokens, LLAMA3)) for seed in range(10)]
    assert all(0.8 * tokens <= length <= 1.2 * tokens for length in lengths), lengths


def test_what_cannot_be_longer_is_as_long_as_it_is() -> None:
    assert schema_of({"const": [1, 2]}).json(7, 500, LLAMA3) == "[1, 2]"


@pytest.mark.parametrize("seed", range(20))
def test_what_may_be_empty_holds_one_thing_for_calls_but_for_a_cap_that_leaves_no_room(seed: int) -> None:
    """A list of objects that need more than the 12 tokens which a call's arguments are to take."""
    tasks = {"type": "object", "properties": {"tasks": {"type": "array", "items": STEP}}}
    (step,) = json.loads(schema_of(tasks).json(seed, 12, LLAMA3))["tasks"]
    assert step.keys() == {"explanation", "output"}
    assert schema_of(tasks).json(seed, 0, LLAMA3) == "{}"
    whole = {"type": "object", "properties": {"next": {"$ref": "#"}, "step": STEP}}
    assert len(json.loads(schema_of(whole).json(seed, 12, LLAMA3))) in {1, 2}


def test_any_object_holds_text_of_about_the_length() -> None:
    text = any_object().json(3, 200, LLAMA3)
    value = json.loads(text)
    assert value
    assert all(isinstance(each, str) for each in value.values())
    assert 160 <= LLAMA3.count(text) <= 240


def test_arguments_are_an_object_and_nulls_are_nothing_said() -> None:
    assert arguments_of(None).json(1, 20, LLAMA3) == "{}"
    assert arguments_of({}).json(1, 20, LLAMA3) == "{}"
    loose = {
        "properties": {"rows": {"type": "array", "items": None, "description": None}},
        "required": ["rows"],
    }
    value = json.loads(arguments_of(loose).json(1, 20, LLAMA3))
    assert isinstance(value["rows"], list)


DEEP = {
    str(level): {
        "type": "object",
        "properties": {"n": {"$ref": f"#/$defs/{level + 1}"}},
        "required": ["n"],
    }
    for level in range(80)
}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#"}, "leads back to itself"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "leads back to itself"),
        (
            {"type": "object", "properties": {"n": {"$ref": "#"}}, "required": ["n"]},
            "refers to itself without end",
        ),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "refers to itself without end"),
        (
            {"properties": {"a": {"type": "integer", "minimum": 5, "maximum": 3}}, "required": ["a"]},
            "at 'a' 'minimum' 5 is above 'maximum' 3",
        ),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "at 'a' it is required"),
        ({"type": "string", "enum": [1]}, "of the right type"),
        ({"allOf": [{"type": "string"}, {"type": "array"}]}, "no type is allowed"),
        ({"not": {}}, "none of the values"),
        ({"type": "string", "pattern": "^a$", "minLength": 3}, "none of the values"),
        ({"type": "string", "pattern": "a{100000}"}, "more than 4096 letters"),
        ({"type": "string", "pattern": "("}, "no JSON Schema"),
        ({"type": "strin"}, "no JSON Schema"),
        ({"$ref": "http://example.com/schema"}, "only references of the form"),
        ({"$ref": "#/$defs/none"}, "nothing stands at"),
        ({"type": "array", "minItems": 10**9}, "longer than any context"),
        ({"type": "string", "minLength": 10**9}, "longer than any context"),
        ({"type": "object", "minProperties": 10**9}, "longer than any context"),
        ({"$defs": {**DEEP, "80": {"type": "null"}}, "$ref": "#/$defs/0"}, "nested more than 64"),
        (
            {
                "allOf": [{"anyOf": [{"minimum": n} for n in range(17)]}] * 1
                + [{"anyOf": [{"maximum": n} for n in range(17)]}]
            },
            "more than 256 ways",
        ),
    ],
)
def test_a_schema_that_cannot_be_met_is_refused_with_the_reason(schema: Any, reason: str) -> None:
    with pytest.raises(UnmetSchemaError, match=reason):
        schema_of(schema)


def test_a_schema_written_from_its_end_is_read_or_refused_in_a_moment() -> None:
    """Each member needs the one before it, so that every round of measuring finds out about one only."""
    members: dict[str, Any] = {"0": {"type": "null"}}
    for number in range(1, 1200):
        members[str(number)] = {
            "required": ["n"],
            "properties": {"n": {"$ref": f"#/properties/{number - 1}"}},
        }
    with pytest.raises(UnmetSchemaError, match="nested too deeply"):
        schema_of({"type": "object", "properties": members, "required": list(members)})


def test_a_schema_has_a_bound() -> None:
    with pytest.raises(UnmetSchemaError, match="longer than 120,000 letters"):
        schema_of({"description": "x" * 120_000})


def test_a_pattern_with_nested_stars_stays_short() -> None:
    assert len(schema_of({"type": "string", "pattern": "^(((a*)*)*b*)*$"}).json(1, 5, LLAMA3)) < 5000


SCALARS = st.one_of(
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 30),
        st.integers(0, 30),
    ),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-50, 50),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low, more: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + more},
        st.integers(-9, 9),
        st.integers(1, 9),
    ),
    st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"enum": [1, "a", None, [2]]}, {"const": {"a": 1}}]
    ),
    st.sampled_from(FORMATS).map(lambda name: {"type": "string", "format": name}),
    st.sampled_from([r"^\d{3}$", "a+b?", r"^(yes|no)$"]).map(lambda p: {"type": "string", "pattern": p}),
    st.just({"$ref": "#/$defs/node"}),
)


def _object(properties: dict[str, Any], required: int, closed: bool) -> Any:
    names = list(properties)[:required]
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": not closed}


def _composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["id", "name", "items", "left", "right"])
    return st.one_of(
        st.builds(_object, st.dictionaries(names, inner, max_size=4), st.integers(0, 4), st.booleans()),
        st.builds(
            lambda items, low, more: {
                "type": "array",
                "items": items,
                "minItems": low,
                "maxItems": low + more,
            },
            inner,
            st.integers(0, 2),
            st.integers(0, 4),
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    schema=st.recursive(SCALARS, _composed, max_leaves=8),
    node=st.recursive(SCALARS, _composed, max_leaves=4),
    seed=st.integers(0, 2**64 - 1),
    tokens=st.integers(0, 300),
)
def test_law_whatever_is_answered_is_valid(schema: Any, node: Any, seed: int, tokens: int) -> None:
    """Over random schemas with a recursive definition; the refused ones refer to themselves without end."""
    whole = {"$defs": {"node": node}, **schema}
    try:
        text = schema_of(whole).json(seed, tokens, LLAMA3)
    except UnmetSchemaError as reason:
        assert "itself" in str(reason)  # noqa: PT017 -- what is valid is judged below
        return
    judge(whole).validate(json.loads(text))
