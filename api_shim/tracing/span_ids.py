"""The ids of a trace and its spans, as OpenTelemetry and W3C's `traceparent` have them.

They are made of the id of our own trace, hence the same whenever they are asked for.
"""

import re
from hashlib import blake2b

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
"""https://www.w3.org/TR/trace-context/"""
REQUEST = "request"
"""The span of the request itself."""


def valid_traceparent(header: str | None) -> str:
    """Empty where it is none, which is ignored."""
    return header if header is not None and TRACEPARENT.fullmatch(header) else ""


def trace_number(own_id: str) -> int:
    """Of a trace that nobody else has begun."""
    return _number(own_id, "trace", 16)


def span_number(own_id: str, name: str = REQUEST) -> int:
    return _number(own_id, name, 8)


def traceparent_within(parent: str, own_id: str, *, sampled: bool) -> str:
    """For what happens within the request of our trace, which may be part of a client's own (`parent`)."""
    trace = parent.split("-")[1] if parent else f"{trace_number(own_id):032x}"
    return f"00-{trace}-{span_number(own_id):016x}-{int(sampled):02x}"


def trace_of(traceparent: str) -> str:
    """The part that all of one trace share; empty of none."""
    return traceparent.split("-")[1] if traceparent else ""


def _number(own_id: str, name: str, size_bytes: int) -> int:
    digest = blake2b(f"{own_id} {name}".encode(), digest_size=size_bytes).digest()
    return int.from_bytes(digest, "big") or 1
