"""Counting tokens with the vocabularies of the catalogued LLMs, offline.

User text is ordinary text: what looks like a special token in it is not one. Of `quicktok-v1` the code is
MIT; the Llama vocabulary that it carries is under the Meta Llama 3 Community Licence.
"""

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from traffic.fallback_tokenizers import fallback

VOCABULARIES = {"llama": "llama3", "gpt-oss": "o200k_harmony"}
"""By the family an LLM's catalogue name begins with."""
DEFAULT_VOCABULARY = "llama3"


class _Tokenizer(Protocol):
    """What is used of quicktok's."""

    def count(self, text: str) -> int: ...

    def encode_ordinary(self, text: str) -> list[int]: ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes: ...

    def decode_single_token_bytes(self, id: int) -> bytes: ...  # noqa: A002 -- quicktok's name


class Vocabulary:
    """Text to token numbers and back, exactly as the model's own tokenizer does it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tokenizer = _tokenizer(name)

    def count(self, text: str) -> int:
        return self._tokenizer.count(text)

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode_ordinary(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """Raises KeyError for a number that is no token."""
        return self._tokenizer.decode_bytes(tokens).decode(errors="replace")

    def token_bytes(self, token: int) -> bytes:
        return self._tokenizer.decode_single_token_bytes(token)


def _tokenizer(name: str) -> _Tokenizer:
    """Loading takes up to a second."""
    try:
        from quicktok import get_encoding  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        return fallback(name)
    tokenizer: _Tokenizer = get_encoding(name)
    return tokenizer


@cache
def vocabulary(name: str) -> Vocabulary:
    """Each is loaded once in a process."""
    return Vocabulary(name)


@cache
def vocabulary_of(llm: str) -> Vocabulary:
    """Of an LLM of the catalogue; Llama's where its family is not known."""
    names = [name for family, name in VOCABULARIES.items() if llm.startswith(family)]
    return vocabulary(names[0] if names else DEFAULT_VOCABULARY)
