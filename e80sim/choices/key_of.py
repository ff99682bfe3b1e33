"""A word that names an entry of a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema


@dataclass(frozen=True, eq=False)
class KeyOf:
    """`Annotated[str, KeyOf(ROUTING)]`: what pydantic would do for a `Literal` of the table's keys."""

    table: Mapping[str, object] | Callable[[], Mapping[str, object]]
    """Or what finds it, where the table's module is dear to load and the word is seldom stated."""
    beside: tuple[str, ...] = ()
    """Words that are no entries, such as `auto`."""

    @property
    def words(self) -> list[str]:
        return [*self.beside, *self._entries()]

    def _entries(self) -> Mapping[str, object]:
        return self.table() if callable(self.table) else self.table

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._known, core_schema.str_schema())

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"enum": self.words, "type": "string"}

    def _known(self, value: Any) -> Any:  # noqa: ANN401 -- whatever the file holds
        if isinstance(value, str) and (value in self.beside or value in self._entries()):
            return value
        *others, last = map(repr, self.words)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
