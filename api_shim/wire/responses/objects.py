"""The shapes of responses, their items and events, for the API's description: they are written without them.

The tests hold what is written against these models, every member in turn.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from api_shim.wire.answers import TokenLogprob
from api_shim.wire.responses.items import ItemStatus
from api_shim.wire.service_tier import ServiceTier

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class OutputText(BaseModel):
    type: Literal["output_text"]
    text: str
    annotations: list[Any] = Field(description="none, ever")
    logprobs: list[TokenLogprob]


class OutputMessage(BaseModel):
    id: str
    type: Literal["message"]
    status: ItemStatus
    role: Literal["assistant"]
    content: list[OutputText]


class OutputCall(BaseModel):
    id: str
    type: Literal["function_call"]
    status: ItemStatus
    call_id: str = Field(description="what the function's result has to name")
    name: str
    arguments: str = Field(description="JSON that satisfies the function's `parameters`")


class ReasoningText(BaseModel):
    type: Literal["reasoning_text"]
    text: str


class OutputReasoning(BaseModel):
    id: str
    type: Literal["reasoning"]
    summary: list[Any] = Field(description="none, ever: the reasoning itself is shown")
    content: list[ReasoningText]
    encrypted_content: str = Field("", description="where `include` asks for it; encoded, not encrypted")


OutputItem = Annotated[OutputMessage | OutputCall | OutputReasoning, Field(discriminator="type")]


class InputTokensDetails(BaseModel):
    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(BaseModel):
    reasoning_tokens: int


class ResponseUsage(BaseModel):
    """OpenAI's members, and the platform's five; times and rates are simulated."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int
    prefill_tokens: int = 0
    decode_tokens: int = 0
    prefill_rate: float = Field(0.0, description="tokens per second; 0 where nothing can be divided")
    decode_rate: float = Field(0.0, description="tokens per second; 0 where nothing can be divided")
    total_time: float = Field(0.0, description="seconds inside the platform")


class ResponseFault(BaseModel):
    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class CutBecause(BaseModel):
    reason: Literal["max_output_tokens"]


class ConversationRef(BaseModel):
    id: str


class EffectiveReasoning(BaseModel):
    effort: str | None = Field(description="null: the model does not reason")
    summary: None


class EffectiveText(BaseModel):
    format: dict[str, Any]
    verbosity: str


class ResponseObject(BaseModel):
    id: str
    object: Literal["response"]
    created_at: int = Field(description="seconds since 1970, on the simulated clock")
    completed_at: int | None
    status: Status
    background: bool
    error: ResponseFault | None
    incomplete_details: CutBecause | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: str | None
    conversation: ConversationRef | None
    prompt_cache_key: str | None
    reasoning: EffectiveReasoning
    safety_identifier: str | None
    service_tier: ServiceTier
    store: bool
    temperature: float
    text: EffectiveText
    tool_choice: str | dict[str, Any] = Field(description="an object for 8080's own client")
    tools: list[dict[str, Any]]
    top_logprobs: int
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsage | None = Field(description="null until it is over")
    user: str | None
    metadata: dict[str, str]


class _Event(BaseModel):
    sequence_number: int


class ResponseStateEvent(_Event):
    type: Literal[
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    response: ResponseObject


class OutputItemEvent(_Event):
    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: OutputItem


class ContentPartEvent(_Event):
    type: Literal["response.content_part.added", "response.content_part.done"]
    item_id: str
    output_index: int
    content_index: int
    part: OutputText


class OutputTextDeltaEvent(_Event):
    type: Literal["response.output_text.delta"]
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[TokenLogprob]


class OutputTextDoneEvent(_Event):
    type: Literal["response.output_text.done"]
    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[TokenLogprob]


class ReasoningTextDeltaEvent(_Event):
    type: Literal["response.reasoning_text.delta"]
    item_id: str
    output_index: int
    content_index: int
    delta: str


class ReasoningTextDoneEvent(_Event):
    type: Literal["response.reasoning_text.done"]
    item_id: str
    output_index: int
    content_index: int
    text: str


class ArgumentsDeltaEvent(_Event):
    type: Literal["response.function_call_arguments.delta"]
    item_id: str
    output_index: int
    delta: str


class ArgumentsDoneEvent(_Event):
    type: Literal["response.function_call_arguments.done"]
    item_id: str
    output_index: int
    name: str
    arguments: str


class ResponseEvent(
    RootModel[
        Annotated[
            ResponseStateEvent
            | OutputItemEvent
            | ContentPartEvent
            | OutputTextDeltaEvent
            | OutputTextDoneEvent
            | ReasoningTextDeltaEvent
            | ReasoningTextDoneEvent
            | ArgumentsDeltaEvent
            | ArgumentsDoneEvent,
            Field(discriminator="type"),
        ]
    ]
):
    """`sequence_number` counts from 0 through the stream, which ends with the last event."""


class ResponseDeleted(BaseModel):
    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True
