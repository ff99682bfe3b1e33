"""The body of `POST /v1/completions`, which load tools still use."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from api_shim.wire.chat_body import Sampling

DEFAULT_MAX_TOKENS = 16
"""OpenAI's."""
TokenNumber = Annotated[int, Field(ge=0, lt=2**31)]
Prompt = str | list[int]


def _as_prompts(value: object) -> object:
    """One prompt is a list of one; a list of numbers is one prompt."""
    if isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], int)):
        return [value]
    return value


def _is_prompt(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, list) and all(type(token) is int for token in value)):
        return value
    raise PydanticCustomError("prompt_type", "a prompt is a string or an array of token numbers")


Prompts = Annotated[
    list[Annotated[Prompt, BeforeValidator(_is_prompt)]],
    Field(min_length=1, max_length=128),
    BeforeValidator(_as_prompts, json_schema_input_type=str | list[str] | list[int] | list[list[int]]),
]


class CompletionsBody(Sampling):
    prompt: Prompts
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = Field(None, ge=1, le=20)
    logprobs: int | None = Field(None, ge=0, le=5)

    @model_validator(mode="after")
    def _streams_one_prompt(self) -> Self:
        if self.stream and len(self.prompt) > 1:
            raise PydanticCustomError(
                "prompt", "{message}", {"message": "a stream takes one prompt", "param": "prompt"}
            )
        return self

    @property
    def cap(self) -> int | None:
        """None where the length is left open on purpose."""
        return self.max_tokens or (None if self.ignore_eos else DEFAULT_MAX_TOKENS)
