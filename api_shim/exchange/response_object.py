"""A response as clients see it, from its creation to its end: JSON, made once and then sent and stored."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from api_shim.content.logprobs import chat_entries
from api_shim.content.plan import ContentPlan, Part, Stretch
from api_shim.content.reasoning import DEFAULT_VERBOSITY
from api_shim.exchange.stamps import Usage
from api_shim.wire.errors import ApiError
from api_shim.wire.responses.body import ResponseBody, TextOptions
from api_shim.wire.responses.items import ItemIds, ItemStatus, sealed

Json = dict[str, Any]
NO_USAGE: Json = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}
ERROR_CODES = {429: "rate_limit_exceeded", 400: "invalid_prompt"}
"""By status, of those that OpenAI's response object knows; anything else is the server's fault."""


class OutputForm(NamedTuple):
    """How the items of an answer are shown."""

    ids: ItemIds
    logprobs: int | None = None
    """How many alternatives each token has; None: no log probabilities."""
    seals_reasoning: bool = False

    def item(self, index: int, part: Part, pieces: list[str], status: ItemStatus) -> Json:
        """`pieces` are those of the part that are there."""
        if part.kind == "call":
            return {**self._call(index, part), "arguments": "".join(pieces), "status": status}
        if part.kind == "reasoning":
            text = "".join(pieces)
            item = self._reasoning(index)
            item["content"] = [{"type": "reasoning_text", "text": text}]
            return {**item, "encrypted_content": sealed(text)} if self.seals_reasoning else item
        return self._message(index, [self.text_part(pieces)], status)

    def beginning(self, index: int, part: Part) -> Json:
        """The item before anything is in it."""
        if part.kind == "call":
            return {**self._call(index, part), "arguments": "", "status": "in_progress"}
        return self._reasoning(index) if part.kind == "reasoning" else self._message(index, [], "in_progress")

    def text_part(self, pieces: list[str]) -> Json:
        return {
            "type": "output_text",
            "text": "".join(pieces),
            "annotations": [],
            "logprobs": self.entries(pieces),
        }

    def entries(self, pieces: list[str]) -> list[Json]:
        return [] if self.logprobs is None else chat_entries(pieces, self.logprobs)

    def item_id(self, index: int, part: Part) -> str:
        return self.ids.of(index, KIND_OF_PART[part.kind])

    def _message(self, index: int, content: list[Json], status: ItemStatus) -> Json:
        return {
            "id": self.ids.of(index, "message"),
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _call(self, index: int, part: Part) -> Json:
        return {
            "id": self.ids.of(index, "function_call"),
            "type": "function_call",
            "call_id": self.ids.call(index),
            "name": part.name,
        }

    def _reasoning(self, index: int) -> Json:
        return {"id": self.ids.of(index, "reasoning"), "type": "reasoning", "summary": [], "content": []}


KIND_OF_PART = {"text": "message", "call": "function_call", "reasoning": "reasoning"}


def visible(plan: ContentPlan) -> Iterator[tuple[int, Stretch]]:
    """The parts of an answer with their places in `output`: a call is none before it has its name."""
    for index, stretch in enumerate(plan.stretches(0)):
        if stretch.part.kind != "call" or stretch.part.named <= stretch.part.stop:
            yield index, stretch


def output_items(plan: ContentPlan, form: OutputForm) -> list[Json]:
    last_status: ItemStatus = "incomplete" if plan.finish_reason == "length" else "completed"
    stop = plan.output_tokens
    return [
        form.item(index, part, pieces, last_status if part.stop == stop else "completed")
        for index, (part, _, pieces) in visible(plan)
    ]


def response_head(body: ResponseBody, *, id_: str, model: str, created_s: int, effort: str | None) -> Json:
    """While it is made: what was asked for, with OpenAI's defaults, and no output. Every key is there."""
    text = body.text or TextOptions()
    return {
        "id": id_,
        "object": "response",
        "created_at": created_s,
        "completed_at": None,
        "status": "in_progress",
        "background": bool(body.background),
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "model": model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "conversation": None if body.conversation is None else {"id": body.conversation.id},
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": {"effort": effort, "summary": None},
        "safety_identifier": body.safety_identifier,
        "service_tier": body.served_tier or "default",
        "store": body.stored,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {
            "format": {"type": "text"} if text.format is None else text.format.shown(),
            "verbosity": text.verbosity or DEFAULT_VERBOSITY,
        },
        "tool_choice": "auto" if body.tool_choice is None else body.tool_choice.shown(),
        "tools": [tool.model_dump() for tool in body.tools or ()],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "truncation": body.truncation or "disabled",
        "usage": None,
        "user": body.user,
        "metadata": body.metadata or {},
    }


def for_8080(response: Json) -> Json:
    """8080's own client takes no string as a choice, and no response without usage."""
    choice = response["tool_choice"]
    return {
        **response,
        "tool_choice": {"type": "string", "value": choice} if isinstance(choice, str) else choice,
        "usage": response["usage"] or NO_USAGE,
    }


def answered(head: Json, output: list[Json], *, cut: bool, usage: Usage, completed_s: int) -> Json:
    """`cut` by a cap of tokens, or by the context."""
    return {
        **head,
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else completed_s,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output,
        "usage": response_usage(usage),
    }


def failed(head: Json, error: ApiError) -> Json:
    code = ERROR_CODES.get(error.status, "server_error")
    return {**head, "status": "failed", "error": {"code": code, "message": error.message}}


def cancelled(head: Json) -> Json:
    return {**head, "status": "cancelled"}


def response_usage(usage: Usage) -> Json:
    """By the names of this dialect, with the platform's five members."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.output,
        "prefill_tokens": usage.prompt - usage.cached,
        "decode_tokens": usage.output,
        "prefill_rate": usage.prefill_rate,
        "decode_rate": usage.decode_rate,
        "total_time": usage.total_s,
    }
