"""What a probe writes down of a request: our own columns of measured requests, and what a client alone sees.

All times of a row count from `sent_s`, which counts from the first request of the probe.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from api_shim.probe.endpoint import Heard
from api_shim.probe.ledger import Tokens

REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid")


@dataclass
class ProbedRequest:
    """Of a chat. The first six are what `e80sim.measured` reads."""

    number: int
    arrival_s: float
    input_tokens: int = 0
    output_tokens: int = 0
    ttft_ms: float | None = None
    """To the first event with content or reasoning."""
    e2e_ms: float | None = None
    """To the end of the answer."""
    tpot_ms: float | None = None
    """None where all tokens came in one read."""
    cached_tokens: int | None = None
    error: str | None = None
    cell: str = ""
    purpose: str = ""
    asked_prompt_tokens: int = 0
    asked_output_tokens: int = 0
    in_flight: int = 0
    """Others under way when it was sent."""
    intended_s: float | None = None
    """When it was due, where that was planned."""
    status: int | None = None
    request_id: str | None = None
    finish_reason: str | None = None
    connection: str = "unknown"
    """new or reused, where the client tells."""
    dns_ms: float | None = None
    """Before it was sent."""
    connect_ms: float | None = None
    tls_ms: float | None = None
    headers_ms: float | None = None
    """To the end of the headers."""
    first_byte_ms: float | None = None
    """Of the body."""
    last_token_ms: float | None = None
    chunks_ms: list[float] = field(default_factory=list)
    """When events with content came, a time for each read."""

    def as_line(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass
class RoundTrip:
    """Of a GET, which costs no tokens."""

    number: int
    sent_s: float
    total_ms: float | None
    connection: str = "unknown"
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    status: int | None = None
    error: str | None = None

    def as_line(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def connection_of(heard: Heard) -> dict[str, Any]:
    known = {None: "unknown", True: "new", False: "reused"}
    return {
        "connection": known[heard.in_new_connection],
        **{k: rounded(v) for k, v in heard.set_up_ms.items()},
    }


def fill(row: ProbedRequest, heard: Heard) -> Tokens | None:
    """What an answer says. Returns its usage, where it tells."""
    row.status, row.error = heard.status, heard.error
    row.request_id = next((heard.headers[name] for name in REQUEST_IDS if name in heard.headers), None)
    for name, value in connection_of(heard).items():
        setattr(row, name, value)
    if heard.headers_s is not None:
        row.headers_ms = since(heard, heard.headers_s)
    if heard.chunks:
        row.first_byte_ms = since(heard, heard.chunks[0][0])
    if heard.status != 200:
        row.error = row.error or f"{heard.status} {message_of(heard.body)}".strip()
        return None
    usage = _read_stream(row, heard)
    row.e2e_ms = since(heard, heard.ended_s)
    if usage is None:
        row.error = row.error or "the answer does not state its usage"
        return None
    row.input_tokens, row.output_tokens = usage
    if row.ttft_ms is None and row.error is None:
        row.error = "the answer has no token"
    if row.ttft_ms is not None and row.last_token_ms is not None and len(row.chunks_ms) > 1:
        row.tpot_ms = rounded((row.last_token_ms - row.ttft_ms) / max(1, row.output_tokens - 1))
    return usage


def _read_stream(row: ProbedRequest, heard: Heard) -> Tokens | None:
    usage = None
    for at_s, event in events(heard.chunks):
        if event.get("error"):
            row.error = f"in the stream: {_message(event)}"
        if isinstance(event.get("usage"), Mapping):
            usage = _usage(row, event["usage"]) or usage
        for choice in event.get("choices") or ():
            row.finish_reason = choice.get("finish_reason") or row.finish_reason
            if _has_token(choice.get("delta") or {}):
                at_ms = since(heard, at_s)
                row.ttft_ms = at_ms if row.ttft_ms is None else row.ttft_ms
                row.last_token_ms = at_ms
                if not row.chunks_ms or row.chunks_ms[-1] != at_ms:
                    row.chunks_ms.append(at_ms)
    return usage


def _has_token(delta: Mapping[str, Any]) -> bool:
    return any(delta.get(name) for name in ("content", "reasoning_content", "reasoning", "tool_calls"))


def _usage(row: ProbedRequest, usage: Mapping[str, Any]) -> Tokens | None:
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(output, int):
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    row.cached_tokens = min(cached, prompt - 1) if isinstance(cached, int) else None
    return Tokens(prompt, output)


def events(chunks: list[tuple[float, bytes]]) -> Iterator[tuple[float, dict[str, Any]]]:
    """Server-sent events with an object, each with when the read ended that completed it."""
    rest = b""
    for at_s, chunk in chunks:
        rest += chunk.replace(b"\r\n", b"\n")
        *whole, rest = rest.split(b"\n\n")
        for block in whole:
            event = _object(block)
            if event is not None:
                yield at_s, event


def _object(block: bytes) -> dict[str, Any] | None:
    data = b"".join(line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:"))
    try:
        found = json.loads(data)
    except ValueError:  # [DONE], a comment, or nothing
        return None
    return found if isinstance(found, dict) else None


def message_of(body: bytes) -> str:
    """What an answer of an error says, in a line."""
    try:
        found = json.loads(body)
    except ValueError:
        return " ".join(body.decode(errors="replace").split())[:200]
    return _message(found)


def _message(found: object) -> str:
    told = found.get("error", found) if isinstance(found, Mapping) else found
    text = told.get("message", told) if isinstance(told, Mapping) else told
    return " ".join(str(text).split())[:300]


def since(heard: Heard, at_s: float) -> float:
    """Milliseconds after it was sent."""
    return rounded(1e3 * (at_s - heard.sent_s))


def rounded(ms: float) -> float:
    """To a tenth of a microsecond, which no client sees."""
    return round(ms, 4)
