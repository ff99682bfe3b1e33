"""The names of what a span says, as OpenTelemetry's conventions for generative AI have them.

From docs/gen-ai/gen-ai-spans.md of open-telemetry/semantic-conventions-genai, status Development, as read in
2026. The constants of the package `opentelemetry-semantic-conventions` 0.66b2 are deprecated, and those that
replace them, too. There are no names for queueing, prefill and decode: ours begin with `sim.`.
"""

from collections.abc import Iterator
from http import HTTPStatus

from api_shim.exchange.exchange import ANSWERED
from api_shim.store.traces import Trace, TraceSpan

OPERATIONS = {"/v1/completions": "text_completion"}
HOSTED, INVOKE = "/hosted/", "invoke_agent"
"""Of an endpoint; all others have conversations."""
CHAT = "chat"
PROVIDER = "e80sim"
OPERATION_NAME = "gen_ai.operation.name"
REQUEST_SETTINGS = {
    "n": "gen_ai.request.choice.count",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
    "stop": "gen_ai.request.stop_sequences",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
}
PS_PER_S = 10**12
LEFT = {"cancelled"}

Attribute = str | bool | int | float | list[str]


def operation(trace: Trace) -> str:
    endpoint = trace.row.endpoint
    return INVOKE if endpoint.startswith(HOSTED) else OPERATIONS.get(endpoint, CHAT)


def of_request(trace: Trace) -> dict[str, Attribute]:
    row = trace.row
    found: dict[str, Attribute | None] = {
        OPERATION_NAME: operation(trace),
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.conversation.id": _conversation(trace),
        "gen_ai.request.model": row.model or None,
        "gen_ai.request.stream": True if row.streamed else None,
        **dict(_settings(trace)),
        "gen_ai.response.model": row.model if trace.finish_reasons else None,
        "gen_ai.response.finish_reasons": trace.finish_reasons or None,
        "gen_ai.response.time_to_first_chunk": (
            row.first_seen_ps / PS_PER_S if row.streamed and row.first_seen_ps is not None else None
        ),
        "gen_ai.usage.input_tokens": row.prompt_tokens or None,
        "gen_ai.usage.cache_read.input_tokens": cached_tokens(trace) or None,
        "gen_ai.usage.output_tokens": row.output_tokens or None,
        "error.type": error_type(trace),
        "http.request.method": "POST",
        "http.route": row.endpoint,
        "http.response.status_code": row.status or None,
        "sim.trace.id": row.id,
        "sim.request.id": row.request_id,
        "sim.project": row.project,
        "sim.key": trace.key,
        "sim.place": trace.place or None,
        "sim.outcome": row.outcome,
        "sim.began_ps": trace.began_ps,
        "sim.duration_ps": row.duration_ps,
    }
    return {name: value for name, value in found.items() if value is not None}


def _conversation(trace: Trace) -> str | None:
    """The id, which a body names alone or in an object."""
    named = trace.settings.get("conversation")
    found = named.get("id") if isinstance(named, dict) else named
    return found if isinstance(found, str) else None


def cached_tokens(trace: Trace) -> int:
    """As `usage` tells it: of each prompt what its first completion found."""
    first = (span.attributes for span in trace.spans if span.attributes.get("sample") == 0)
    return sum(int(attributes.get("cached_tokens", 0)) for attributes in first)


def of_stage(span: TraceSpan) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {f"sim.{name}": value for name, value in span.attributes.items()}
    return found | {"sim.began_ps": span.began_ps, "sim.ended_ps": span.ended_ps}


def error_type(trace: Trace) -> str | None:
    """A status of HTTP, or what became of a stream that had begun; None: it was answered."""
    row = trace.row
    if row.status >= HTTPStatus.BAD_REQUEST:
        return str(row.status)
    return None if row.outcome in ANSWERED else row.outcome


def failed(trace: Trace) -> bool:
    """By the server: not where a client was refused, or left."""
    row = trace.row
    if row.status >= HTTPStatus.BAD_REQUEST:
        return row.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return row.outcome not in ANSWERED | LEFT


def _settings(trace: Trace) -> Iterator[tuple[str, Attribute]]:
    for name, value in trace.settings.items():
        if name not in REQUEST_SETTINGS:
            continue
        if name == "stop":
            value = [value] if isinstance(value, str) else value  # noqa: PLW2901 -- its two forms in a body
            if isinstance(value, list) and all(isinstance(one, str) for one in value):
                yield REQUEST_SETTINGS[name], value
        elif isinstance(value, int | float):
            yield REQUEST_SETTINGS[name], value
