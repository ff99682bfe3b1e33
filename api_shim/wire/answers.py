"""The shapes of what is answered, for the API's description: answers and chunks are written without them.

The tests hold what is written against these models, every member in turn.
"""

from typing import Literal

from pydantic import BaseModel, Field

from api_shim.wire.service_tier import ServiceTier

FinishReason = Literal["stop", "length"]
ChatFinishReason = Literal["stop", "length", "tool_calls", "function_call"]


class PromptTokensDetails(BaseModel):
    cached_tokens: int
    audio_tokens: int


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class UsageSoFar(BaseModel):
    """As in vLLM: on each chunk of a stream that asked for `continuous_usage_stats`."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Usage(UsageSoFar):
    """OpenAI's members, and the platform's five; times and rates are simulated."""

    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails
    prefill_tokens: int
    decode_tokens: int
    prefill_rate: float = Field(description="tokens per second; 0 where nothing can be divided")
    decode_rate: float = Field(description="tokens per second; 0 where nothing can be divided")
    total_time: float = Field(description="seconds inside the platform")


class Envelope(BaseModel):
    """What answers and chunks begin with."""

    id: str
    created: int = Field(description="seconds since 1970, on the simulated clock")
    model: str
    system_fingerprint: str = Field(description="the same for the same scenario")


class AlternativeToken(BaseModel):
    token: str
    logprob: float = Field(description="made up, the same for the same token")
    bytes: list[int]


class TokenLogprob(AlternativeToken):
    top_logprobs: list[AlternativeToken]


class ChatLogprobs(BaseModel):
    content: list[TokenLogprob]
    refusal: None


class MadeCall(BaseModel):
    name: str
    arguments: str = Field(description="JSON that satisfies the function's `parameters`")


class MadeInput(BaseModel):
    name: str
    input: str = Field(description="text, which the tool's grammar matches if it has one")


class MadeToolCall(BaseModel):
    id: str
    type: Literal["function", "custom"]
    function: MadeCall | None = Field(None, description="where the type is `function`")
    custom: MadeInput | None = Field(None, description="where the type is `custom`")


class AnswerMessage(BaseModel):
    role: Literal["assistant"]
    content: str | None = Field(description="null where functions are called")
    refusal: None
    reasoning: str = Field("", description="of models that reason")
    tool_calls: list[MadeToolCall] = Field([], description="absent where none is called")
    function_call: MadeCall | None = Field(None, description="where the request has `functions`")


class ChatChoice(BaseModel):
    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinishReason


class ChatCompletion(Envelope):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: Usage
    service_tier: ServiceTier | None = Field(description="null where the request states none")


class CallDelta(BaseModel):
    name: str = Field("", description="in the first chunk of a call, as its id and type")
    arguments: str


class InputDelta(BaseModel):
    name: str = Field("", description="in the first chunk of a call, as its id and type")
    input: str


class ToolCallDelta(BaseModel):
    index: int
    id: str = ""
    type: Literal["function", "custom"] = "function"
    function: CallDelta | None = None
    custom: InputDelta | None = None


class Delta(BaseModel):
    role: Literal["assistant"] = Field("assistant", description="in the first chunk of a choice")
    content: str = Field("", description="absent in the last chunk of a choice, and beside what follows")
    reasoning: str = Field("", description="of models that reason")
    tool_calls: list[ToolCallDelta] = Field([], description="one, where functions are called")
    function_call: CallDelta | None = Field(None, description="where the request has `functions`")


class ChatChunkChoice(BaseModel):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinishReason | None


class ChatCompletionChunk(Envelope):
    object: Literal["chat.completion.chunk"]
    choices: list[ChatChunkChoice] = Field(description="empty in the chunk that holds the usage")
    usage: Usage | UsageSoFar | None = None


class TextLogprobs(BaseModel):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class TextChoice(BaseModel):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: FinishReason


class Completion(Envelope):
    object: Literal["text_completion"]
    choices: list[TextChoice]
    usage: Usage


class TextChunkChoice(BaseModel):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: FinishReason | None


class CompletionChunk(Envelope):
    object: Literal["text_completion"]
    choices: list[TextChunkChoice] = Field(description="empty in the chunk that holds the usage")
    usage: Usage | UsageSoFar | None = None


class ModelObject(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    provider: str = Field(description="the platform's own: whose hardware answers")


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelObject]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class ErrorDetails(BaseModel):
    message: str
    type: str
    param: str | None = Field(description="which parameter is at fault, as in `messages[0].content`")
    code: str | None


class ErrorAnswer(BaseModel):
    """OpenAI's: all four members, always."""

    error: ErrorDetails
