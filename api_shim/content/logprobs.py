"""Log probabilities that a simulator can give: made up, deterministic, and in the right shape."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from api_shim.content.synthetic import NOUNS

Json = dict[str, Any]


def logprob_of(piece: str) -> float:
    """Between -1 and 0."""
    return -(crc32(piece.encode()) % 1000) / 1000


def alternatives(piece: str, count: int) -> list[tuple[str, float]]:
    """The `count` likeliest tokens, the chosen one first."""
    if not count:
        return []
    own, start = logprob_of(piece), crc32(piece.encode()) % len(NOUNS)
    others = [f" {NOUNS[(start + i) % len(NOUNS)]}" for i in range(count)]
    rest = [(other, round(own - 0.5 * (i + 1), 3)) for i, other in enumerate(others) if other != piece]
    return [(piece, own), *rest[: count - 1]]


def chat_entries(pieces: Sequence[str], top: int) -> list[Json]:
    return [
        {
            **_entry(piece, logprob_of(piece)),
            "top_logprobs": [_entry(*pair) for pair in alternatives(piece, top)],
        }
        for piece in pieces
    ]


def _entry(piece: str, logprob: float) -> Json:
    return {"token": piece, "logprob": logprob, "bytes": list(piece.encode())}


def completion_logprobs(pieces: Sequence[str], top: int, offset: int) -> Json:
    """The older shape; `offset` is how many letters stand before the first piece."""
    offsets = []
    for piece in pieces:
        offsets.append(offset)
        offset += len(piece)
    return {
        "tokens": list(pieces),
        "token_logprobs": [logprob_of(piece) for piece in pieces],
        "top_logprobs": [dict(alternatives(piece, top)) for piece in pieces] if top else None,
        "text_offset": offsets,
    }
