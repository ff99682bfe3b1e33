"""A mapping whose `kind` names the class that reads it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    Discriminator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from pydantic_core.core_schema import ValidationInfo

from e80sim.choices.later import Later

ModelT = TypeVar("ModelT", bound=BaseModel)


def by_kind(*classes: type[ModelT]) -> dict[str, type[ModelT]]:
    """A table of these classes, or a line for one: each has a field `kind: Literal["its_name"]`."""
    return {_kind_of(one): one for one in classes}


def loaded(one: type[ModelT] | Later) -> type[ModelT]:
    """The class of a line in a table."""
    return one.annotation if isinstance(one, Later) else one


def _kind_of(model: type[BaseModel]) -> str:
    (kind,) = get_args(model.model_fields["kind"].annotation)
    return str(kind)


@dataclass(frozen=True, eq=False)
class OneOf:
    """`Annotated[ArrivalProcess, OneOf(ARRIVALS)]`: what pydantic would do for a union told apart by `kind`.

    Scenarios load quicker than with unions, of which every branch is compiled: here only what a file uses is.
    """

    table: Mapping[str, type[BaseModel] | Later]
    plain: type[BaseModel] | None = None
    """What reads a mapping without a kind, where there may be one."""

    @property
    def classes(self) -> list[type[BaseModel]]:
        return [*([] if self.plain is None else [self.plain]), *self._table.values()]

    @property
    def _table(self) -> dict[str, type[BaseModel]]:
        """With whatever was to be loaded later."""
        return {kind: loaded(one) for kind, one in self.table.items()}

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        # Serialised as what it is, not as the type that the field names.
        return core_schema.with_info_before_validator_function(self._read, core_schema.any_schema())

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(self._union().core_schema)

    def _read(self, value: Any, info: ValidationInfo) -> BaseModel:  # noqa: ANN401 -- whatever the file holds
        kind = _kind_in(value)
        chosen = self.plain if kind is None else self.table.get(kind)
        if chosen is not None:
            try:
                return loaded(chosen).model_validate(value, context=info.context)
            except ValidationError:
                pass  # to be told by the union, whose errors say in which of the kinds they are
        found: BaseModel = self._union().validate_python(value, context=info.context)
        return found

    def _union(self) -> TypeAdapter[Any]:
        table = self._table
        union: Any = Union[tuple(table.values())]  # noqa: UP007 -- of classes known at run time only
        if self.plain is None:
            return TypeAdapter(Annotated[union, Discriminator("kind")])
        plain = self.plain
        tagged = [Annotated[one, Tag(kind)] for kind, one in table.items()]
        union = Union[Annotated[plain, Tag(plain.__name__)], *tagged]
        told = Discriminator(
            lambda value: _kind_in(value) or plain.__name__,
            custom_error_type="kind_or_none",
            custom_error_message=f"without a kind it has {' and '.join(map(repr, plain.model_fields))}, "
            f"and its kind can be {' or '.join(map(repr, table))}",
        )
        return TypeAdapter(Annotated[union, told])


def _kind_in(value: object) -> str | None:
    """As stated, None where it is not; text, whatever it is: only text is in a table."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return None if kind is None else str(kind)


def models_of(field: FieldInfo) -> Iterator[type[BaseModel]]:
    """The classes that read this field's value, or the values in it."""
    return _models(field.annotation, field.metadata)


def _models(annotation: Any, metadata: Iterable[object] = ()) -> Iterator[type[BaseModel]]:  # noqa: ANN401 -- any type expression
    choice = next((marker for marker in metadata if isinstance(marker, OneOf | Later)), None)
    if isinstance(choice, Later):
        yield from _models(choice.annotation)
    elif choice is not None:
        yield from choice.classes
    elif get_origin(annotation) is Annotated:
        yield from _models(annotation.__origin__, annotation.__metadata__)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for inner in get_args(getattr(annotation, "__value__", annotation)):  # a `type` alias has a value
            yield from _models(inner)
