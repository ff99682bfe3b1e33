"""What all sections of a scenario have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Text = Annotated[str, StringConstraints(max_length=1000)]


def no_items() -> list[Any]:
    """The default of a list, as `list`, whose signature pydantic reads by a tokenizer: 8 ms."""
    return []


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)
