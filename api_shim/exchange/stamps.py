"""What a response tells about its time: simulated stamps, lateness, usage and rate limits."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from api_shim.exchange.call import Call
from sim.node.kernel import Sequence as Made
from sim.platform.rate_limit import Headroom
from sim.time.units import PS_PER_MS, PS_PER_S

Json = dict[str, Any]
RawHeaders = list[tuple[bytes, bytes]]
"""As ASGI has them."""

STAMPS = (
    *("number", "place", "node", "sent_ps", "connected_ps", "arrived_ps", "admitted_ps", "started_ps"),
    *("first_ps", "last_ps", "first_seen_ps", "ended_ps"),
)
"""As the columns in a run's records are called."""
STAMP_HEADERS = {name: f"x-sim-{name.replace('_', '-')}".encode() for name in STAMPS}
LATENESS_HEADER = b"x-sim-lateness-ms"


def stamps(call: Call) -> Json:
    """By their names, without those that are not known."""
    ticket = call.ticket
    if ticket is None:
        return {}
    departure, node = ticket.departure, ticket.node
    started_ps, first_ps, last_ps = span_of(ticket.sequences)
    found = (
        call.request.number,
        call.request.place,
        -1 if node is None else node.index,
        departure.sent_ps,
        departure.connected_ps,
        departure.arrived_ps,
        ticket.admitted_ps,
        started_ps,
        first_ps,
        last_ps,
        ticket.first_seen_ps,
        ticket.ended_ps,
    )
    return {name: value for name, value in zip(STAMPS, found, strict=True) if value != -1}


def stamp_headers(call: Call, lateness_ps: int) -> RawHeaders:
    headers = [(STAMP_HEADERS[name], str(value).encode("latin-1")) for name, value in stamps(call).items()]
    headers.append((LATENESS_HEADER, b"%.3f" % (lateness_ps / PS_PER_MS)))
    return headers


def stamps_comment(call: Call, lateness_ps: int) -> bytes:
    """The same in a stream of events, where no client reads it by accident."""
    members = [
        f'"{name}":{json.dumps(value) if name == "place" else value},' for name, value in stamps(call).items()
    ]
    lateness_ms = round(lateness_ps / PS_PER_MS, 3)
    return f': x-sim {{{"".join(members)}"lateness_ms":{lateness_ms!r}}}\n\n'.encode()


def processing_ms(call: Call) -> int:
    """What the platform took, the network left out; so far, if it is not done."""
    ticket = call.ticket
    if ticket is None:
        return 0
    _, _, last_ps = span_of(ticket.sequences)
    until_ps = last_ps if last_ps >= 0 else call.clock.timeline.now
    return max(0, until_ps - ticket.departure.arrived_ps) // PS_PER_MS


class Usage(NamedTuple):
    """What an answer took, of all its choices; rates and times are the model's."""

    prompt: int
    """Tokens, as are the next three."""
    output: int
    cached: int
    """Of the prompt."""
    reasoning: int
    """Of the output."""
    prefill_rate: float
    """Tokens per second, as the next."""
    decode_rate: float
    total_s: float
    """Inside the platform."""

    def json(self) -> str:
        """OpenAI's members and the five that 8080's clients read. An encoder takes ten times as long."""
        prompt, output, cached, reasoning, prefill_rate, decode_rate, total_s = self
        return (
            f'{{"prompt_tokens":{prompt},"completion_tokens":{output},"total_tokens":{prompt + output},'
            f'"prompt_tokens_details":{{"cached_tokens":{cached},"audio_tokens":0}},'
            f'"completion_tokens_details":{{"reasoning_tokens":{reasoning},"audio_tokens":0,'
            '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},'
            f'"prefill_tokens":{prompt - cached},"decode_tokens":{output},"prefill_rate":{prefill_rate!r},'
            f'"decode_rate":{decode_rate!r},"total_time":{total_s!r}}}'
        )


def usage(call: Call, reasoning_tokens: int = 0) -> Usage:
    """Of a call that was answered."""
    ticket = call.ticket
    assert ticket is not None
    sequences = ticket.sequences
    prompt, output = call.request.prompt_tokens, sum([one.generated for one in sequences])
    cached = sequences[0].cached_tokens
    started, first, last = span_of(sequences)
    return Usage(
        prompt,
        output,
        cached,
        reasoning_tokens,
        _rate(prompt - cached, first - started),
        _rate(output - len(sequences), last - first),
        (last - ticket.departure.arrived_ps) / PS_PER_S,
    )


def added_usage(parts: Sequence[Usage]) -> Usage:
    """Of several prompts in one request; rates and reasoning are those of the first."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return first._replace(
        prompt=sum(part.prompt for part in parts),
        output=sum(part.output for part in parts),
        cached=sum(part.cached for part in parts),
        total_s=max(part.total_s for part in parts),
    )


def span_of(sequences: Sequence[Made]) -> tuple[int, int, int]:
    """When the first was started, had its first token, and the last had its last; -1: not yet."""
    if len(sequences) == 1:
        one = sequences[0]
        return one.started_ps, one.first_ps, one.last_ps
    return (
        min((one.started_ps for one in sequences), default=-1),
        min((one.first_ps for one in sequences), default=-1),
        max((one.last_ps for one in sequences), default=-1),
    )


def _rate(tokens: int, span_ps: int) -> float:
    """Tokens per second; 0 where nothing can be divided."""
    return round(tokens * PS_PER_S / span_ps, 3) if span_ps > 0 else 0.0


def limit_headers(headroom: Headroom | None, speed: float) -> dict[str, str]:
    """Durations are the client's: a server at twice the speed makes it wait half as long."""
    headers = {}
    for quantity, room in (headroom or {}).items():
        name = quantity.replace("_", "-")
        headers[f"x-ratelimit-limit-{name}"] = str(room.limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(room.remaining)
        headers[f"x-ratelimit-reset-{name}"] = duration(client_ms(room.reset_ps, speed))
    return headers


def retry_headers(retry_after_ps: int | None, speed: float) -> dict[str, str]:
    """Rounded up, so that a client which obeys is let in; nothing where waiting does not help."""
    if retry_after_ps is None:
        return {"x-should-retry": "false"}
    wait_ms = max(1, client_ms(retry_after_ps, speed))
    return {"retry-after": str(max(1, -(-wait_ms // 1000))), "retry-after-ms": str(wait_ms)}


def client_ms(span_ps: int, speed: float) -> int:
    """Whole milliseconds of the client's clock, rounded up."""
    ms_ps = PS_PER_MS * speed
    return int(-(-span_ps // ms_ps))


def duration(ms: int) -> str:
    """As Go prints it, and OpenAI's headers with it: `644ms`, `9.816s`, `6m0s`."""
    if ms < 1000:
        return f"{ms}ms"
    minutes, rest_ms = divmod(ms, 60_000)
    seconds = f"{rest_ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds
