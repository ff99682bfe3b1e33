"""What a response tells about its time: simulated stamps, lateness, usage and rate limits."""

from typing import Any

from api_shim.exchange.call import Call
from sim.platform.rate_limit import Headroom
from sim.platform.ticket import Ticket
from sim.time.units import PS_PER_MS, PS_PER_S

Json = dict[str, Any]


def stamps(call: Call) -> Json:
    """By the names of the columns in a run's records, without those that are not known."""
    ticket = call.ticket
    if ticket is None:
        return {}
    departure, sequences = ticket.departure, ticket.sequences
    node = ticket.node
    found: Json = {
        "number": call.request.number,
        "place": call.request.place,
        "node": -1 if node is None else node.index,
        "sent_ps": departure.sent_ps,
        "connected_ps": departure.connected_ps,
        "arrived_ps": departure.arrived_ps,
        "admitted_ps": ticket.admitted_ps,
        "started_ps": min((s.started_ps for s in sequences), default=-1),
        "first_ps": min((s.first_ps for s in sequences), default=-1),
        "last_ps": max((s.last_ps for s in sequences), default=-1),
        "first_seen_ps": ticket.first_seen_ps,
        "ended_ps": ticket.ended_ps,
    }
    return {name: value for name, value in found.items() if value != -1}


def stamp_headers(call: Call, lateness_ps: int) -> dict[str, str]:
    headers = {f"x-sim-{name.replace('_', '-')}": str(value) for name, value in stamps(call).items()}
    headers["x-sim-lateness-ms"] = f"{lateness_ps / PS_PER_MS:.3f}"
    return headers


def processing_ms(call: Call) -> int:
    """What the platform took, the network left out; so far, if it is not done."""
    ticket = call.ticket
    if ticket is None:
        return 0
    last_ps = max((s.last_ps for s in ticket.sequences), default=-1)
    until_ps = last_ps if last_ps >= 0 else call.clock.timeline.now
    return max(0, until_ps - ticket.departure.arrived_ps) // PS_PER_MS


def usage(call: Call, reasoning_tokens: int = 0) -> Json:
    """OpenAI's members and the five that 8080's clients read; rates and times are the model's.

    `reasoning_tokens` are a part of the completion tokens.
    """
    ticket = call.ticket
    assert ticket is not None
    prompt, output = call.request.prompt_tokens, sum(s.generated for s in ticket.sequences)
    cached = ticket.sequences[0].cached_tokens
    started, first, last = _span(ticket)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "prefill_tokens": prompt - cached,
        "decode_tokens": output,
        "prefill_rate": _rate(prompt - cached, first - started),
        "decode_rate": _rate(output - len(ticket.sequences), last - first),
        "total_time": (last - ticket.departure.arrived_ps) / PS_PER_S,
    }


def added_usage(parts: list[Json]) -> Json:
    """Of several prompts in one request; rates, and details but for the cache, are those of the first."""
    added = dict(parts[0])
    cached = sum(part["prompt_tokens_details"]["cached_tokens"] for part in parts)
    added["prompt_tokens_details"] = {**added["prompt_tokens_details"], "cached_tokens": cached}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens", "prefill_tokens", "decode_tokens"):
        added[name] = sum(part[name] for part in parts)
    added["total_time"] = max(part["total_time"] for part in parts)
    return added


def _span(ticket: Ticket) -> tuple[int, int, int]:
    sequences = ticket.sequences
    return (
        min(s.started_ps for s in sequences),
        min(s.first_ps for s in sequences),
        max(s.last_ps for s in sequences),
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
