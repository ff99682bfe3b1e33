"""The body of `POST /v1/chat/completions`, and what it means."""

import json
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api_shim.wire.body import SERVED, Body
from api_shim.wire.service_tier import Urgency

T = TypeVar("T")
Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
NOT_TEXT = {"image_url": "image", "input_audio": "audio", "file": "file", "video_url": "video"}

MOST_MESSAGES = MOST_PARTS = 2048
MOST_TOOLS = 128
MOST_BIASES = 4096
WORDS_DEPEND_ON = {
    *("messages", "stop", "temperature", "top_p", "frequency_penalty", "presence_penalty", "logit_bias"),
    *("seed", "response_format", "parallel_tool_calls", "reasoning_effort", "verbosity"),
}
"""Of the members of a body. Tools and their choice do not always stand where they say so."""


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


class CalledCustom(Body):
    name: str
    input: str


class ToolCall(Body):
    id: str
    type: str | None = None
    function: CalledFunction | None = None
    custom: CalledCustom | None = None

    @property
    def called(self) -> tuple[str, str] | None:
        """(name, arguments or input)"""
        if self.function is not None:
            return self.function.name, self.function.arguments
        return None if self.custom is None else (self.custom.name, self.custom.input)


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
            yield from call.called or ()
        if self.function_call is not None:
            yield self.function_call.name
            yield self.function_call.arguments


FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Function(Body):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Grammar(Body):
    syntax: Literal["lark", "regex"]
    definition: str


class CustomFormat(Body):
    type: Literal["text", "grammar"]
    grammar: Annotated[Grammar | None, Field(validate_default=True)] = None

    @field_validator("grammar")
    @classmethod
    def _is_there_if_named(cls, value: Grammar | None, info: ValidationInfo) -> Grammar | None:
        return _required_by_type(value, info)


class CustomTool(Body):
    """Its input is text, not JSON."""

    name: FunctionName
    description: str | None = None
    format: CustomFormat | None = None


class Tool(Body):
    type: Literal["function", "custom"]
    function: Annotated[Function | None, Field(validate_default=True)] = None
    custom: Annotated[CustomTool | None, Field(validate_default=True)] = None

    @field_validator("function", "custom")
    @classmethod
    def _is_there_if_named(cls, value: T | None, info: ValidationInfo) -> T | None:
        return _required_by_type(value, info)

    @property
    def described(self) -> Function | CustomTool:
        found = self.custom if self.type == "custom" else self.function
        assert found is not None
        return found

    @property
    def name(self) -> str:
        return self.described.name


def _required_by_type(value: T | None, info: ValidationInfo) -> T | None:
    """The member that `type` names cannot be left out."""
    if value is None and info.data.get("type") == info.field_name:
        raise PydanticCustomError("missing", "it is required")
    return value


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


class NamedTool(Body):
    type: Literal["function", "custom"]
    function: NamedFunction | None = None
    custom: NamedFunction | None = None

    @property
    def name(self) -> str | None:
        named = self.custom if self.type == "custom" else self.function
        return None if named is None else named.name


class AllowedTools(Body):
    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MOST_TOOLS)


class ToolChoice(Body):
    type: Literal["none", "auto", "required", "function", "custom", "allowed_tools"]
    function: NamedFunction | None = None
    custom: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None

    @model_validator(mode="after")
    def _has_what_its_type_names(self) -> Self:
        if self.type in {"function", "custom", "allowed_tools"} and getattr(self, self.type) is None:
            raise at(f"tool_choice.{self.type}", f"'{self.type}' is required where the type is '{self.type}'")
        return self

    @property
    def must_call(self) -> bool:
        allowed = self.allowed_tools
        return self.type in {"required", "function", "custom"} or (
            allowed is not None and allowed.mode == "required"
        )

    @property
    def names(self) -> list[str] | None:
        """The tools that it leaves; None: all."""
        if self.allowed_tools is not None:
            return [tool.name or "" for tool in self.allowed_tools.tools]
        named = self.custom if self.type == "custom" else self.function
        return None if named is None else [named.name]


def as_choice(value: object) -> object:
    """One sentence, where a union would give one for each of its members."""
    if isinstance(value, dict):
        return value
    if value in ("none", "auto", "required"):
        return {"type": value}
    raise PydanticCustomError("choice", "it is 'none', 'auto', 'required' or a function of 'tools'")


def _as_older_choice(value: object) -> object:
    if isinstance(value, dict):
        return {"type": "function", "function": value}
    if value in ("none", "auto"):
        return {"type": value}
    raise PydanticCustomError("choice", "it is 'none', 'auto' or {'name': ...} of one of 'functions'")


def _choose(param: str, choice: ToolChoice | None, tools_param: str, tools: list[Tool] | None) -> None:
    """Raises PydanticCustomError where the choice leaves nothing to call that is offered."""
    if choice is None or (choice.names is None and not choice.must_call):
        return
    if not tools:
        raise at(param, f"'{param}' is only allowed when '{tools_param}' are specified")
    known = {tool.name for tool in tools}
    for name in choice.names or ():
        if name not in known:
            raise at(param, f"'{name[:64]}' is no function of '{tools_param}'")


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
    functions: list[Function] | None = Field(
        None, min_length=1, max_length=MOST_TOOLS, description="what `tools` were before"
    )
    function_call: (
        Annotated[
            ToolChoice,
            BeforeValidator(_as_older_choice, json_schema_input_type=Literal["none", "auto"] | NamedFunction),
        ]
        | None
    ) = Field(None, description="what `tool_choice` was before")
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
        if self.functions is not None and self.tools is not None:
            raise at("functions", "state 'tools' or 'functions', not both")
        _choose("tool_choice", self.tool_choice, "tools", self.tools)
        older = None if self.functions is None else self.callable_tools
        _choose("function_call", self.function_call, "functions", older)
        return self

    @model_validator(mode="after")
    def _answers_have_calls(self) -> Self:
        called: set[str] = set()
        for index, message in enumerate(self.messages):
            called.update(call.id for call in message.tool_calls or ())
            if message.role == "function" and not message.name:
                raise at(f"messages[{index}].name", "a message of role 'function' needs the function's name")
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
    def callable_tools(self) -> list[Tool]:
        """In either way to state them."""
        if self.functions is None:
            return self.tools or []
        return [Tool.model_construct(type="function", function=function) for function in self.functions]

    @property
    def choice(self) -> ToolChoice | None:
        return self.tool_choice if self.functions is None else self.function_call

    @property
    def called(self) -> tuple[str, ...]:
        """The functions whose results stand after the last message of the user, in order."""
        names = {
            call.id: call.called[0]
            for message in self.messages
            for call in message.tool_calls or ()
            if call.called is not None
        }
        turn: list[str] = []
        for message in self.messages:
            if message.role == "user":
                turn.clear()
            elif message.role == "tool":
                turn.append(names.get(message.tool_call_id or "", ""))
            elif message.role == "function":
                turn.append(message.name or "")
        return tuple(turn)

    def passed_on(self, names: Collection[str]) -> dict[str, Any]:
        """What the words depend on, for another server to answer: with those tools that `names` holds."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_none=True, include=WORDS_DEPEND_ON)
        tools = [
            tool.model_dump(mode="json", exclude_none=True)
            for tool in self.callable_tools
            if tool.name in names
        ]
        return {**fields, "tools": tools} if tools else fields

    def prompt_texts(self) -> Iterator[str]:
        """Messages and tools, as far as they are text; the template comes on top."""
        for message in self.messages:
            yield from message.written()
        yield from self.tool_texts()

    def tool_texts(self) -> Iterator[str]:
        for tool in self.callable_tools:
            yield json.dumps(tool.described.model_dump(exclude_none=True))

    @property
    def last_user_text(self) -> str:
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")
