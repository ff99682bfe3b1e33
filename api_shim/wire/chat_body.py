"""The body of `POST /v1/chat/completions`, and what it means."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api_shim.wire.body import SERVED, Body
from api_shim.wire.service_tier import Urgency

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
NOT_TEXT = {"image_url": "image", "input_audio": "audio", "file": "file", "video_url": "video"}

MOST_MESSAGES = MOST_PARTS = 2048
MOST_TOOLS = 128
MOST_BIASES = 4096


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Stops = Annotated[
    list[Annotated[str, StringConstraints(min_length=1)]],
    Field(max_length=4),
    BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Cap = Annotated[int, Field(ge=1)]


ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Verbosity = Literal["low", "medium", "high"]


class StreamOptions(Body):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None
    continuous_usage_stats: bool | None = Field(None, description="as in vLLM: usage so far on every chunk")


Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]


class Sampling(Urgency):
    """What chat and plain completions have in common."""

    model: Annotated[str, Field(json_schema_extra={SERVED: "models"})]
    n: int | None = Field(None, ge=1, le=128)
    stop: Stops | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, max_length=MOST_BIASES
    )
    seed: Int64 | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    metadata: Metadata | None = None
    max_tokens: Cap | None = None
    min_tokens: int | None = Field(None, ge=0, description="as in vLLM: no end before this many")
    ignore_eos: bool | None = Field(None, description="as in vLLM: go on to the cap")
    log: bool | None = Field(None, description="the platform's request tracing")

    @model_validator(mode="after")
    def _options_need_a_stream(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise at("stream_options", "the option is only allowed when 'stream' is true")
        return self

    @property
    def samples(self) -> int:
        return 1 if self.n is None else self.n

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def continuous_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.continuous_usage_stats)


def at(param: str | None, message: str) -> PydanticCustomError:
    """None: where it was found."""
    return PydanticCustomError("invalid", "{message}", {"message": message, "param": param})


class ContentPart(Body):
    type: str
    text: str | None = None
    refusal: str | None = None

    @model_validator(mode="after")
    def _is_text(self) -> Self:
        if self.type in NOT_TEXT:
            raise PydanticCustomError(
                "part", "this model takes no {kind} input, only text parts", {"kind": NOT_TEXT[self.type]}
            )
        if self.type not in {"text", "refusal"}:
            raise PydanticCustomError(
                "part", "parts are of type 'text', not {kind}", {"kind": repr(self.type)}
            )
        if (self.text if self.type == "text" else self.refusal) is None:
            raise PydanticCustomError("part", "a part of type '{kind}' needs its {kind}", {"kind": self.type})
        return self


def _as_parts(value: object) -> object:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class CalledFunction(Body):
    name: str
    arguments: str


class ToolCall(Body):
    id: str
    type: str | None = None
    function: CalledFunction | None = None


class Message(Body):
    role: Role
    content: (
        Annotated[
            list[ContentPart],
            Field(max_length=MOST_PARTS),
            BeforeValidator(_as_parts, json_schema_input_type=str | list[ContentPart]),
        ]
        | None
    ) = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[ToolCall] | None = Field(None, max_length=MOST_TOOLS)
    function_call: CalledFunction | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and not (
            self.role == "assistant" and (self.tool_calls or self.function_call)
        ):
            raise PydanticCustomError(
                "content", "a message of role '{role}' needs content", {"role": self.role}
            )
        return self

    @property
    def text(self) -> str:
        return "".join(
            (part.text if part.type == "text" else part.refusal) or "" for part in self.content or ()
        )

    def written(self) -> Iterator[str]:
        """Everything in it that the model reads."""
        yield self.text
        if self.name:
            yield self.name
        for call in self.tool_calls or ():
            if call.function is not None:
                yield call.function.name
                yield call.function.arguments
        if self.function_call is not None:
            yield self.function_call.name
            yield self.function_call.arguments


FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Function(Body):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Body):
    type: Literal["function"]
    function: Function


class JsonSchema(Body):
    name: FunctionName
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise at(
                "response_format.json_schema", "'json_schema' is required where the type is 'json_schema'"
            )
        return self


class NamedFunction(Body):
    name: str


class ToolChoice(Body):
    type: Literal["none", "auto", "required", "function"]
    function: NamedFunction | None = None

    @model_validator(mode="after")
    def _has_its_function(self) -> Self:
        if self.type == "function" and self.function is None:
            raise at("tool_choice.function", "'function' is required where the type is 'function'")
        return self

    @property
    def must_call(self) -> bool:
        return self.type in {"required", "function"}


def as_choice(value: object) -> object:
    """One sentence, where a union would give one for each of its members."""
    if isinstance(value, dict):
        return value
    if value in ("none", "auto", "required"):
        return {"type": value}
    raise PydanticCustomError("choice", "it is 'none', 'auto', 'required' or a function of 'tools'")


class ChatBody(Sampling):
    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_completion_tokens: Cap | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = Field(None, max_length=MOST_TOOLS)
    tool_choice: (
        Annotated[
            ToolChoice,
            BeforeValidator(
                as_choice, json_schema_input_type=Literal["none", "auto", "required"] | ToolChoice
            ),
        ]
        | None
    ) = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: ReasoningEffort | None = None
    verbosity: Verbosity | None = None
    store: bool | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise at("top_logprobs", "'logprobs' must be true for it")
        caps = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(caps) > 1:
            raise at("max_tokens", "'max_tokens' and 'max_completion_tokens' differ: state one of them")
        return self

    @model_validator(mode="after")
    def _chooses_from_its_tools(self) -> Self:
        choice = self.tool_choice
        if choice is None or not choice.must_call:
            return self
        if not self.tools:
            raise at("tool_choice", "'tool_choice' is only allowed when 'tools' are specified")
        if choice.function is not None and choice.function.name not in self.tool_names:
            raise at("tool_choice", f"'{choice.function.name[:64]}' is no function of 'tools'")
        return self

    @model_validator(mode="after")
    def _answers_have_calls(self) -> Self:
        called: set[str] = set()
        for index, message in enumerate(self.messages):
            called.update(call.id for call in message.tool_calls or ())
            if message.role == "tool" and message.tool_call_id not in called:
                raise at(
                    f"messages[{index}].tool_call_id",
                    "a message of role 'tool' must answer a tool call of an earlier assistant message",
                )
        return self

    @property
    def cap(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def tool_names(self) -> list[str]:
        return [tool.function.name for tool in self.tools or ()]

    @property
    def called(self) -> tuple[str, ...]:
        """The functions whose results stand after the last message of the user, in order."""
        names = {
            call.id: call.function.name
            for message in self.messages
            for call in message.tool_calls or ()
            if call.function is not None
        }
        turn: list[str] = []
        for message in self.messages:
            if message.role == "user":
                turn.clear()
            elif message.role == "tool":
                turn.append(names.get(message.tool_call_id or "", ""))
        return tuple(turn)

    def prompt_texts(self) -> Iterator[str]:
        """Messages and tools, as far as they are text; the template comes on top."""
        for message in self.messages:
            yield from message.written()
        for tool in self.tools or ():
            yield json.dumps(tool.function.model_dump(exclude_none=True))

    @property
    def last_user_text(self) -> str:
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")
