"""The body of `POST /v1/responses`, and the body of a chat that it comes to."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from api_shim.wire.body import SERVED, Body
from api_shim.wire.chat_body import (
    MOST_TOOLS,
    AllowedTools,
    ChatBody,
    Function,
    FunctionName,
    JsonSchema,
    Message,
    Metadata,
    NamedFunction,
    NamedTool,
    ReasoningEffort,
    ResponseFormat,
    Tool,
    ToolChoice,
    Verbosity,
    as_choice,
    at,
)
from api_shim.wire.responses.items import MOST_ITEMS, InputItem
from api_shim.wire.service_tier import Urgency

Json = dict[str, Any]
LEAST_OUTPUT_TOKENS = 16
"""OpenAI's."""
LOGPROBS = "message.output_text.logprobs"
SEALED_REASONING = "reasoning.encrypted_content"
Include = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "web_search_call.action.sources",
    "web_search_call.results",
]
"""All but the first two are of tools and inputs that are not taken, so they add nothing."""
StoredId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
TemplateValue = str | int | float | bool


def as_items(value: object) -> object:
    """A text is one message of the user."""
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


def _as_id(value: object) -> object:
    """A conversation may be named by its id, or by an object that has it."""
    return {"id": value} if isinstance(value, str) else value


def _only_functions(value: object) -> object:
    if isinstance(value, str) and value != "function":
        raise at(None, f"only tools of type 'function' are simulated, not '{value[:64]}'")
    return value


def _refused(value: object) -> object:
    """OpenAI keeps prompts in its dashboard; this platform has templates for it."""
    if value is not None:
        raise at(None, "stored prompts are not known here: use 'template' and 'inputs', or 'input'")
    return value


class ConversationId(Body):
    id: StoredId


class FlatFunction(Body):
    """A tool, whose name stands beside its type."""

    type: Annotated[
        Literal["function"], BeforeValidator(_only_functions, json_schema_input_type=Literal["function"])
    ]
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class AllowedTool(Body):
    type: Literal["function"]
    name: str


class FlatToolChoice(Body):
    type: Literal["none", "auto", "required", "function", "allowed_tools"]
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[AllowedTool] | None = Field(None, max_length=MOST_TOOLS)

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        if self.type == "function" and self.name is None:
            raise at("tool_choice.name", "'name' is required where the type is 'function'")
        if self.type == "allowed_tools" and (self.mode is None or not self.tools):
            raise at("tool_choice", "'mode' and 'tools' are required where the type is 'allowed_tools'")
        return self

    @property
    def names(self) -> list[str]:
        """The functions that it names, as its type has it."""
        if self.type == "allowed_tools":
            return [tool.name for tool in self.tools or ()]
        return [self.name] if self.type == "function" and self.name is not None else []

    @property
    def must_call(self) -> bool:
        return self.type in {"required", "function"} or (
            self.type == "allowed_tools" and self.mode == "required"
        )

    def shown(self) -> str | Json:
        if self.type in {"none", "auto", "required"}:
            return self.type
        return self.model_dump(exclude_none=True)


class TextFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    name: FunctionName | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        for name, value in (("name", self.name), ("schema", self.schema_)):
            if self.type == "json_schema" and value is None:
                raise at(f"text.format.{name}", f"'{name}' is required where the type is 'json_schema'")
        return self

    def shown(self) -> Json:
        if self.type != "json_schema":
            return {"type": self.type}
        return {
            "type": self.type,
            "description": self.description,
            "name": self.name,
            "schema": self.schema_,
            "strict": bool(self.strict),
        }


class TextOptions(Body):
    format: TextFormat | None = None
    verbosity: Verbosity | None = None


class ReasoningOptions(Body):
    effort: ReasoningEffort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = Field(
        None, description="taken without effect: the reasoning itself is shown"
    )
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class ResponseStreamOptions(Body):
    include_obfuscation: bool | None = None


class ResponseBody(Urgency):
    model: Annotated[
        str | None,
        Field(json_schema_extra={SERVED: "models"}, description="required, unless the template names one"),
    ] = None
    input: (
        Annotated[
            list[InputItem],
            Field(max_length=MOST_ITEMS),
            BeforeValidator(as_items, json_schema_input_type=str | list[InputItem]),
        ]
        | None
    ) = None
    template: str | None = Field(None, description="of the scenario's `serve.templates`, instead of `input`")
    inputs: dict[str, TemplateValue] | None = Field(
        None, max_length=100, description="what stands in the template's places"
    )
    instructions: str | None = None
    previous_response_id: StoredId | None = None
    conversation: (
        Annotated[
            ConversationId,
            BeforeValidator(_as_id, json_schema_input_type=str | ConversationId),
        ]
        | None
    ) = None
    store: bool | None = Field(None, description="true, where it is left out")
    background: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    max_output_tokens: Annotated[int, Field(ge=LEAST_OUTPUT_TOKENS)] | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    tools: list[FlatFunction] | None = Field(None, max_length=MOST_TOOLS)
    tool_choice: (
        Annotated[
            FlatToolChoice,
            BeforeValidator(
                as_choice, json_schema_input_type=Literal["none", "auto", "required"] | FlatToolChoice
            ),
        ]
        | None
    ) = None
    parallel_tool_calls: bool | None = None
    metadata: Metadata | None = None
    include: list[Include] | None = Field(None, max_length=16)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_logprobs: int | None = Field(None, ge=0, le=20)
    safety_identifier: Annotated[str, StringConstraints(max_length=64)] | None = None
    prompt_cache_key: str | None = None
    user: str | None = None
    log: bool | None = Field(None, description="the platform's request tracing")
    prompt: Annotated[None, BeforeValidator(_refused, json_schema_input_type=None)] = Field(
        None, description="OpenAI's stored prompts: refused"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise at("stream_options", "the option is only allowed when 'stream' is true")
        if self.previous_response_id is not None and self.conversation is not None:
            raise at(
                "previous_response_id",
                "'previous_response_id' and 'conversation' both say what came before: give one of them",
            )
        if self.background and self.store is False:
            raise at("store", "a background response is stored: 'store' cannot be false")
        if self.template is not None and self.input is not None:
            raise at("template", "'template' and 'input' both say what is asked: give one of them")
        if self.inputs is not None and self.template is None:
            raise at("inputs", "'inputs' are for a 'template'")
        return self

    @model_validator(mode="after")
    def _chooses_from_its_tools(self) -> Self:
        choice, names = self.tool_choice, {tool.name for tool in self.tools or ()}
        if choice is None:
            return self
        if choice.must_call and not names:
            raise at("tool_choice", "'tool_choice' is only allowed when 'tools' are specified")
        for name in choice.names:
            if name not in names:
                raise at("tool_choice", f"'{name[:64]}' is no function of 'tools'")
        return self

    @property
    def stored(self) -> bool:
        return self.store is not False

    @property
    def conversation_id(self) -> str | None:
        return None if self.conversation is None else self.conversation.id

    @property
    def with_logprobs(self) -> bool:
        return LOGPROBS in (self.include or ())

    @property
    def seals_reasoning(self) -> bool:
        return SEALED_REASONING in (self.include or ())

    def as_chat(self, model: str, messages: Sequence[Message]) -> ChatBody:
        """The same asked of the chat endpoint; everything in it has been checked here."""
        return ChatBody.model_construct(
            model=model,
            messages=list(messages),
            max_completion_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stream=self.stream,
            tools=[_nested(tool) for tool in self.tools] if self.tools else None,
            tool_choice=self._nested_choice(),
            parallel_tool_calls=self.parallel_tool_calls,
            response_format=self._response_format(),
            reasoning_effort=None if self.reasoning is None else self.reasoning.effort,
            verbosity=None if self.text is None else self.text.verbosity,
            metadata=self.metadata,
            user=self.user,
            log=self.log,
        )

    def _nested_choice(self) -> ToolChoice | None:
        choice = self.tool_choice
        if choice is None:
            return None
        named = [NamedFunction.model_construct(name=name) for name in choice.names]
        function = allowed = None
        if choice.type == "function":
            (function,) = named
        elif choice.type == "allowed_tools":
            tools = [NamedTool.model_construct(type="function", function=each) for each in named]
            allowed = AllowedTools.model_construct(mode=choice.mode or "auto", tools=tools)
        return ToolChoice.model_construct(type=choice.type, function=function, allowed_tools=allowed)

    def _response_format(self) -> ResponseFormat | None:
        asked = None if self.text is None else self.text.format
        if asked is None:
            return None
        schema = None
        if asked.name is not None and asked.type == "json_schema":
            schema = JsonSchema.model_construct(
                name=asked.name, description=asked.description, schema_=asked.schema_, strict=asked.strict
            )
        return ResponseFormat.model_construct(type=asked.type, json_schema=schema)


def _nested(tool: FlatFunction) -> Tool:
    function = Function.model_construct(
        name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict
    )
    return Tool.model_construct(type="function", function=function)
