"""Choices are what pydantic's own unions and literals would be, but for the table that may grow."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from e80sim.choices import KeyOf, Later, OneOf, by_kind, models_of


class Shape(BaseModel, extra="forbid"):
    kind: str


class Circle(Shape):
    kind: Literal["circle"] = "circle"
    radius: float = Field(gt=0)


class Square(Shape):
    kind: Literal["square"] = "square"
    side: float = 1.0


class Point(Shape):
    kind: Literal["point"] = "point"


SHAPES: dict[str, type[Shape]] = by_kind(Circle, Square)
COLOURS = {"red": 0xFF0000, "green": 0x00FF00}


class Drawing(BaseModel):
    shape: Annotated[Shape, OneOf(SHAPES)]
    more: dict[str, Annotated[Shape, OneOf(SHAPES)]] = {}
    colour: Annotated[str, KeyOf(COLOURS)] = "red"


class Usual(BaseModel):
    """The same, as pydantic has it."""

    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    more: dict[str, Annotated[Circle | Square, Field(discriminator="kind")]] = {}
    colour: Literal["red", "green"] = "red"


def errors(model: type[BaseModel], raw: object) -> list[Any]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(raw)
    return [{**error, "url": None} for error in caught.value.errors()]


@pytest.mark.parametrize(
    "raw",
    [
        {"shape": {"kind": "circle", "radius": -1}},
        {"shape": {"kind": "circle", "radius": 1, "colour": "red"}},
        {"shape": {"kind": "cube"}},
        {"shape": {"kind": ["circle"]}},
        {"shape": {"radius": 1}},
        {"shape": 7},
        {
            "shape": {"kind": "square"},
            "more": {"a": {"kind": "circle"}, "b": {"kind": "square", "side": "x"}},
        },
        {"shape": {"kind": "square"}, "colour": "blue"},
        {"shape": {"kind": "square"}, "colour": ["red"]},
    ],
)
def test_errors_are_those_of_a_union(raw: object) -> None:
    assert errors(Drawing, raw) == errors(Usual, raw)


def test_the_json_schema_is_that_of_a_union() -> None:
    mine, usual = Drawing.model_json_schema(), Usual.model_json_schema()
    assert {**mine, "title": "", "description": ""} == {**usual, "title": "", "description": ""}


def test_a_value_is_written_as_what_it_is_and_read_again() -> None:
    drawing = Drawing.model_validate(
        {"shape": {"kind": "circle", "radius": 2}, "more": {"a": Square(side=3)}}
    )
    written = drawing.model_dump(mode="json", exclude_unset=True)
    assert written == {"shape": {"kind": "circle", "radius": 2.0}, "more": {"a": {"side": 3.0}}}
    assert Drawing.model_validate(drawing.model_dump()) == drawing


def test_a_line_in_the_table_is_a_choice_at_once() -> None:
    raw = {"shape": {"kind": "point"}, "colour": "blue"}
    assert len(errors(Drawing, raw)) == 2
    SHAPES.update(by_kind(Point))
    COLOURS["blue"] = 0x0000FF
    try:
        assert Drawing.model_validate(raw).shape == Point()
        assert "Point" in Drawing.model_json_schema()["$defs"]
        assert Drawing.model_json_schema()["properties"]["colour"]["enum"] == ["red", "green", "blue"]
        assert list(models_of(Drawing.model_fields["shape"])) == [Circle, Square, Point]
        assert list(models_of(Drawing.model_fields["more"])) == [Circle, Square, Point]
    finally:
        del SHAPES["point"], COLOURS["blue"]


def test_without_a_kind_there_may_be_a_class_of_its_own() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[BaseModel, OneOf(SHAPES, plain=Usual)])
    plain = adapter.validate_python({"shape": {"kind": "square"}})
    assert plain == Usual(shape=Square())
    assert adapter.validate_python({"kind": "square"}) == Square()
    with pytest.raises(ValidationError, match="its kind can be 'circle' or 'square'"):
        adapter.validate_python({"kind": "cube"})
    with pytest.raises(ValidationError, match=r"Usual\.shape\.circle\.radius"):
        adapter.validate_python({"shape": {"kind": "circle", "radius": 0}})


def test_words_beside_a_table_are_choices_too() -> None:
    adapter = TypeAdapter(Annotated[str, KeyOf(COLOURS, beside=("auto",))])
    assert adapter.validate_python("auto") == "auto"
    with pytest.raises(ValidationError, match="'auto', 'red' or 'green'"):
        adapter.validate_python("blue")


AnyShape = Annotated[Shape, OneOf(SHAPES)]


class Frame(BaseModel):
    circle: Annotated[Any, Later(__name__, "Circle")] | None = None
    shapes: dict[str, Annotated[Any, Later(__name__, "AnyShape")]] = {}


class UsualFrame(BaseModel):
    circle: Circle | None = None
    shapes: dict[str, AnyShape] = {}


@pytest.mark.parametrize(
    "raw",
    [
        {"circle": {"radius": 0}},
        {"circle": {"radius": 1, "colour": "red"}},
        {"circle": 3},
        {"shapes": {"a": {"kind": "cube"}, "b": {"kind": "circle", "radius": -1}}},
        {"shapes": {"a": {}}},
        {"shapes": {"a": None}},
    ],
)
def test_what_loads_later_errs_as_if_it_were_there(raw: object) -> None:
    assert errors(Frame, raw) == errors(UsualFrame, raw)


def test_what_loads_later_is_read_written_and_described_as_if_it_were_there() -> None:
    raw = {"circle": {"radius": 2}, "shapes": {"a": {"kind": "square", "side": 3.0}}}
    frame = Frame.model_validate(raw)
    assert (frame.circle, frame.shapes) == (Circle(radius=2), {"a": Square(side=3)})
    assert frame.model_dump(mode="json", exclude_unset=True) == {**raw, "circle": {"radius": 2.0}}
    assert Frame.model_validate({"circle": Circle(radius=2)}).circle == Circle(radius=2)
    for name in ("circle", "shapes"):
        assert list(models_of(Frame.model_fields[name])) == list(models_of(UsualFrame.model_fields[name]))
    mine, usual = Frame.model_json_schema(), UsualFrame.model_json_schema()
    assert mine["$defs"] == usual["$defs"]
    for name, described in usual["properties"].items():
        assert {**mine["properties"][name], "title": ""} == {**described, "title": ""}


def test_what_is_not_stated_is_not_loaded() -> None:
    class Never(BaseModel):
        nothing: Annotated[Any, Later("e80sim.there_is_no_such_module", "Nothing")] | None = None

    assert Never().nothing is None
    assert Never.model_validate({"nothing": None}).nothing is None
    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
        Never.model_validate({"nothing": {}})
