"""`POST /v1/chat/completions`."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api_shim.content.chat_template import template_of
from api_shim.content.plan import CallableTool
from api_shim.content.prompt_tokens import TokenIds, chat_tokens
from api_shim.content.reasoning import length_factor, reasoning_ratio
from api_shim.content.schemas.graph import UnmetSchemaError
from api_shim.content.schemas.schema import Schema, any_object, arguments_of, schema_of
from api_shim.exchange.asker import Asker
from api_shim.exchange.call_form import CallForm
from api_shim.exchange.chunk_writer import ChatWriter, as_json, chat_logprobs
from api_shim.exchange.exchange import Exchange
from api_shim.exchange.stamps import usage
from api_shim.generating import CountedPrompt, Generating, from_body_alone
from api_shim.routes.common import (
    ANSWER_HEADERS,
    Encode,
    StreamForm,
    ask_of,
    envelope,
    event_stream,
    in_one_go,
    json_text,
    respond,
    running_usage,
)
from api_shim.routes.described import add_generating, api_router
from api_shim.shim import ServedModel, Shim
from api_shim.wire.answers import ChatCompletion, ChatCompletionChunk
from api_shim.wire.body import parse
from api_shim.wire.chat_body import ChatBody, CustomTool, ResponseFormat, Tool
from api_shim.wire.errors import bad_value

Json = dict[str, Any]


async def create_chat_completion(request: Request) -> Response:
    return await respond(request, CHAT, _stream)


class Understood(NamedTuple):
    body: ChatBody
    model: ServedModel
    prompt_tokens: int
    messages: tuple[tuple[str, str], ...]
    """(role, text)"""
    tools: tuple[CallableTool, ...]
    form: Schema | None


def _understood(shim: Shim, raw: bytes) -> Understood:
    """Raises ApiError."""
    return meaning_of(shim, parse(ChatBody, raw), SchemaPlaces())


class SchemaPlaces(NamedTuple):
    """Where schemas stand in a body, for those who sent a wrong one."""

    parameters: str = "tools[{index}].function.parameters"
    form: str = "response_format.json_schema.schema"
    form_name: str = "response_format"


def meaning_of(shim: Shim, body: ChatBody, places: SchemaPlaces) -> Understood:
    """Raises ApiError."""
    model = shim.model(body.model)
    tools, form = _tools(body, places), _form(body.response_format, places)
    messages = tuple([(message.role, message.text) for message in body.messages])
    return Understood(body, model, count_prompt(model, body), messages, tools, form)


def chat_prompts(shim: Shim, asker: Asker, understood: Understood) -> Iterator[CountedPrompt]:
    body, model, prompt_tokens = understood.body, understood.model, understood.prompt_tokens
    ask = ask_of(
        shim,
        asker,
        body,
        model,
        understood.messages,
        prompt_tokens,
        body.cap,
        length_factor=length_factor(model.spec.llm, body.reasoning_effort, body.verbosity),
        **_form_of(understood),
    )
    yield CountedPrompt(ask, prompt_tokens, partial(_written, model, body))


def _written(model: ServedModel, body: ChatBody) -> TokenIds:
    messages = ((message.role, message.written()) for message in body.messages)
    return chat_tokens(model.vocabulary, template_of(model.spec.llm), body.tool_texts(), messages)


def count_prompt(model: ServedModel, body: ChatBody) -> int:
    count = model.vocabulary.count
    text_tokens = sum([count(text) for text in body.prompt_texts()])
    return text_tokens + template_of(model.spec.llm).tokens(len(body.messages))


def _form_of(understood: Understood) -> Json:
    """The fields of a `ContentAsk` that only a conversation has."""
    body, model, tools = understood.body, understood.model, understood.tools
    llm, choice = model.spec.llm, body.choice
    if choice is not None and choice.names is not None:
        tools = tuple(tool for tool in tools if tool.name in choice.names)
    if choice is not None and choice.type == "none":
        tools = ()
    return {
        "tools": tools,
        "as_chat": partial(body.passed_on, {tool.name for tool in tools}),
        "must_call": choice is not None and choice.must_call,
        "most_calls": 1 if body.parallel_tool_calls is False or body.functions is not None else None,
        "called": body.called,
        "form": understood.form,
        "reasoning_per_token": reasoning_ratio(llm, body.reasoning_effort),
        "call_lead": partial(template_of(llm).call_lead, model.vocabulary),
    }


def _tools(body: ChatBody, places: SchemaPlaces) -> tuple[CallableTool, ...]:
    """Raises ApiError where a schema is none, or cannot be met; so does `_form`."""
    place = places.parameters if body.functions is None else "functions[{index}].parameters"
    return tuple([_callable(tool, index, place) for index, tool in enumerate(body.callable_tools)])


def _callable(tool: Tool, index: int, place: str) -> CallableTool:
    described = tool.described
    if isinstance(described, CustomTool):
        return CallableTool(described.name, _input(described, index), takes_text=True)
    try:
        return CallableTool(described.name, arguments_of(described.parameters))
    except UnmetSchemaError as reason:
        message = f"Invalid schema for function '{described.name}': {reason}."
        raise bad_value(place.format(index=index), message, "invalid_function_parameters") from None


def _input(tool: CustomTool, index: int) -> Schema:
    """What its input satisfies: a text as JSON has it. Raises ApiError."""
    grammar = None if tool.format is None else tool.format.grammar
    if grammar is None:
        return schema_of({"type": "string"})
    place = f"tools[{index}].custom.format.grammar"
    if grammar.syntax == "lark":
        message = f"Invalid grammar for tool '{tool.name}': only the syntax 'regex' is simulated."
        raise bad_value(f"{place}.syntax", message, "invalid_grammar")
    try:
        return schema_of({"type": "string", "pattern": f"^(?:{grammar.definition})$"})
    except UnmetSchemaError as reason:
        message = f"Invalid grammar for tool '{tool.name}': {reason}."
        raise bad_value(f"{place}.definition", message, "invalid_grammar") from None


def _form(asked: ResponseFormat | None, places: SchemaPlaces) -> Schema | None:
    if asked is None or asked.type == "text":
        return None
    if asked.json_schema is None or asked.json_schema.schema_ is None:
        return any_object()
    try:
        return schema_of(asked.json_schema.schema_)
    except UnmetSchemaError as reason:
        message = f"Invalid schema for {places.form_name} '{asked.json_schema.name}': {reason}."
        raise bad_value(places.form, message, "invalid_schema") from None


def _stream(exchanges: list[Exchange], understood: Understood, asked: StreamForm) -> Response:
    (exchange,), body = exchanges, understood.body
    logprobs = chat_logprobs(body.top_logprobs or 0) if body.logprobs else None
    writer = ChatWriter(
        envelope(exchange, "chatcmpl-", "chat.completion.chunk", as_json),
        logprobs,
        with_usage=body.include_usage,
        running=running_usage(exchange, body),
        calls=_call_form(exchange, body),
        whole_calls=asked.from_8080,
    )
    return event_stream(exchange, writer, body, asked)


async def _answer(exchanges: list[Exchange], understood: Understood) -> bytes:
    (exchange,), body = exchanges, understood.body
    head, choices = _head(exchange, body), partial(_choices, exchange, body)
    return await json_text(exchanges, head, choices, logprobs=bool(body.logprobs))


def _head(exchange: Exchange, body: ChatBody) -> str:
    envelope_ = envelope(exchange, "chatcmpl-", "chat.completion", in_one_go)
    used, tier = usage(exchange.call, exchange.plan.reasoning_tokens), body.served_tier
    tier_ = "null" if tier is None else f'"{tier}"'
    return f'{envelope_},"usage":{used.json()},"service_tier":{tier_}'


def _choices(exchange: Exchange, body: ChatBody, encode: Encode) -> Iterator[str]:
    entries, calls = chat_logprobs(body.top_logprobs or 0), _call_form(exchange, body)
    plan = exchange.plan
    reason = calls.finish_reason(plan.finish_reason)
    for index in range(len(plan.choices)):
        message, logprobs = _message(exchange, index, calls, encode), "null"
        if body.logprobs:
            text = [each.pieces for each in plan.stretches(index) if each.part.kind == "text"]
            logprobs = encode(entries(text[0], 0)) if text else logprobs
        yield f'{{"index":{index},"message":{message},"logprobs":{logprobs},"finish_reason":"{reason}"}}'


def _call_form(exchange: Exchange, body: ChatBody) -> CallForm:
    customs = frozenset([tool.name for tool in body.callable_tools if tool.type == "custom"])
    return CallForm(exchange.shim.new_id, customs, older=body.functions is not None)


def _message(exchange: Exchange, choice: int, calls: CallForm, encode: Encode) -> str:
    plan = exchange.plan
    said = f'{{"role":"assistant","content":{encode(plan.joined(choice, "text"))},"refusal":null'
    reasoning, called = plan.joined(choice, "reasoning"), calls.in_message(plan.calls(choice))
    if reasoning is not None:
        said += f',"reasoning":{encode(reasoning)}'
    return f"{said},{encode(called)[1:]}" if called else said + "}"


CHAT = Generating("messages", from_body_alone(_understood), chat_prompts, _answer)
router = api_router("chat", prefix="/v1")
add_generating(
    router,
    "/chat/completions",
    create_chat_completion,
    body=ChatBody,
    answer=ChatCompletion,
    event=ChatCompletionChunk,
    headers=ANSWER_HEADERS,
    summary="Answer a conversation",
)
