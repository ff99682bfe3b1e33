"""A part of a schema whose module loads, and whose validator is made, when a value is there to be read.

Most scenarios state few of the many sections, and loading the others would be a third of a check.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from pydantic_core.core_schema import ValidationInfo


@dataclass(frozen=True, eq=False)
class Later:
    """`Annotated[Any, Later("sim.scenario.limits", "Limits")]`: what pydantic would do for that class.

    Type checkers are to see the class itself, imported under `if TYPE_CHECKING`.
    """

    module: str
    name: str

    @property
    def annotation(self) -> Any:  # noqa: ANN401 -- any type expression
        return getattr(import_module(self.module), self.name)

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        # Serialised as what it is, not as the type that the field names.
        return core_schema.with_info_before_validator_function(self._read, core_schema.any_schema())

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        model = self._model
        if model is None:
            schema: CoreSchema = TypeAdapter(self.annotation).core_schema
        else:
            model.model_rebuild()
            schema = model.__pydantic_core_schema__
        return handler(core_schema.chain_schema([schema]))  # with what the schema itself says of its JSON

    @property
    def _model(self) -> type[BaseModel] | None:
        named = self.annotation
        return named if isinstance(named, type) and issubclass(named, BaseModel) else None

    def _read(self, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 -- whatever the file holds
        model = self._model
        if model is not None:
            return model.model_validate(value, context=info.context)
        return TypeAdapter(self.annotation).validate_python(value, context=info.context)
