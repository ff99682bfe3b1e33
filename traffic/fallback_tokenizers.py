"""The same two vocabularies from other packages, for machines that quicktok-v1 has no wheel for.

Llama 3: Meta's own file, which the package llama-models carries, through tiktoken's core. gpt-oss:
bpe-openai, since ordinary text has the same tokens in o200k_base and in o200k_harmony.
"""

from base64 import b64decode
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from warnings import catch_warnings, simplefilter

LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Where Llama 3 splits text before it looks for tokens, as its published tokenizer says."""


class Encoding(Protocol):
    """What both packages have, by tiktoken's names."""

    def encode_ordinary(self, text: str) -> list[int]: ...

    def decode_bytes(self, tokens: Sequence[int]) -> bytes: ...

    def decode_single_token_bytes(self, token: int) -> bytes: ...


class Fallback:
    """An encoding that can count."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding

    def count(self, text: str) -> int:
        return len(self._encoding.encode_ordinary(text))

    def encode_ordinary(self, text: str) -> list[int]:
        return self._encoding.encode_ordinary(text)

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return self._encoding.decode_bytes(list(ids))

    def decode_single_token_bytes(self, id: int) -> bytes:  # noqa: A002 -- as the others call it
        return self._encoding.decode_single_token_bytes(id)


def fallback(name: str) -> Fallback:
    """Raises ImportError with a sentence that says what to install."""
    try:
        return Fallback(_llama3() if name == "llama3" else _o200k())
    except ImportError as missing:
        raise ImportError(
            f"counting tokens needs the package quicktok-v1; in its place, llama-models with tiktoken (for "
            f"Llama) or bpe-openai (for gpt-oss) will do ({missing})"
        ) from None


def _llama3() -> Encoding:
    import tiktoken  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 -- may be absent

    spec = find_spec("llama_models")  # its file is wanted, not its code
    if spec is None or spec.origin is None:
        raise ImportError("llama-models is not installed")
    lines = (Path(spec.origin).parent / "llama3" / "tokenizer.model").read_bytes().splitlines()
    ranks = {b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    encoding: Encoding = tiktoken.Encoding(
        "llama3", pat_str=LLAMA3_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )
    return encoding


def _o200k() -> Encoding:
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # of how it opens its own data
        # It may be absent.
        from bpe_openai import get_encoding  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

        encoding: Encoding = get_encoding("o200k_base")
        encoding.encode_ordinary("")  # now it opens them
    return encoding
