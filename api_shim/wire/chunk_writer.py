"""The frames of a token stream as bytes, made from templates: a stream may carry 17,000 tokens per second."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from api_shim.wire.logprobs import chat_entries, completion_logprobs

Json = dict[str, Any]
LogprobsOf = Callable[[Sequence[str], int], Json]
"""(pieces, letters before them) -> the object that stands under `logprobs`."""

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def frame(data: Json) -> bytes:
    return b"data: " + _dumps(data).encode() + b"\n\n"


def comment(name: str, data: Json) -> bytes:
    """No client reads it by accident."""
    return f": {name} {_dumps(data)}\n\n".encode()


def _dumps(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))


@lru_cache(maxsize=1 << 16)
def _quoted(piece: str) -> str:
    return json.dumps(piece)


class ChunkWriter(Protocol):
    """One dialect: chat, or plain completions."""

    def opening(self, choice: int) -> bytes: ...

    def content(
        self, choice: int, pieces: Sequence[str], letters_before: int, *, one_by_one: bool
    ) -> bytes: ...

    def closing(self, choice: int, finish_reason: str) -> bytes: ...

    def usage(self, usage: Json) -> bytes: ...


class _Writer:
    """`envelope` is what all chunks share; `with_usage` puts `usage: null` on all but the last."""

    def __init__(self, envelope: Json, logprobs: LogprobsOf | None, *, with_usage: bool) -> None:
        self._envelope = envelope
        self._logprobs = logprobs
        self._null_usage: Json = {"usage": None} if with_usage else {}
        self._templates: dict[int, tuple[str, str]] = {}

    def _choice(self, choice: Json) -> bytes:
        return frame({**self._envelope, "choices": [choice], **self._null_usage})

    def _content_choice(self, choice: int, text: str, logprobs: Json | None) -> Json:
        raise NotImplementedError

    def content(self, choice: int, pieces: Sequence[str], letters_before: int, *, one_by_one: bool) -> bytes:
        if self._logprobs is not None:
            groups = [[piece] for piece in pieces] if one_by_one else [list(pieces)]
            chunks = []
            for group in groups:
                text = "".join(group)
                chunks.append(
                    self._choice(self._content_choice(choice, text, self._logprobs(group, letters_before)))
                )
                letters_before += len(text)
            return b"".join(chunks)
        before, after = self._template(choice)
        if one_by_one:
            return "".join(before + _quoted(piece) + after for piece in pieces if piece).encode()
        text = "".join(pieces)
        return (before + json.dumps(text) + after).encode() if text else b""

    def _template(self, choice: int) -> tuple[str, str]:
        """A content frame, split where its text stands."""
        found = self._templates.get(choice)
        if found is None:
            mark = "\0"
            whole = self._choice(self._content_choice(choice, mark, None)).decode()
            before, _, after = whole.partition(json.dumps(mark))
            found = self._templates[choice] = (before, after)
        return found

    def usage(self, usage: Json) -> bytes:
        return frame({**self._envelope, "choices": [], "usage": usage})


class ChatWriter(_Writer):
    def opening(self, choice: int) -> bytes:
        return self._choice(
            {
                "index": choice,
                "delta": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": None,
            }
        )

    def _content_choice(self, choice: int, text: str, logprobs: Json | None) -> Json:
        return {"index": choice, "delta": {"content": text}, "logprobs": logprobs, "finish_reason": None}

    def closing(self, choice: int, finish_reason: str) -> bytes:
        return self._choice({"index": choice, "delta": {}, "logprobs": None, "finish_reason": finish_reason})


class CompletionWriter(_Writer):
    def __init__(
        self, envelope: Json, logprobs: LogprobsOf | None, *, with_usage: bool, echo: str = ""
    ) -> None:
        super().__init__(envelope, logprobs, with_usage=with_usage)
        self._echo = echo

    def opening(self, choice: int) -> bytes:
        return self._choice(self._content_choice(choice, self._echo, None)) if self._echo else b""

    def _content_choice(self, choice: int, text: str, logprobs: Json | None) -> Json:
        return {"index": choice, "text": text, "logprobs": logprobs, "finish_reason": None}

    def closing(self, choice: int, finish_reason: str) -> bytes:
        return self._choice({"index": choice, "text": "", "logprobs": None, "finish_reason": finish_reason})


def chat_logprobs(top: int) -> LogprobsOf:
    return lambda pieces, _before: {"content": chat_entries(pieces, top), "refusal": None}


def text_logprobs(top: int) -> LogprobsOf:
    return lambda pieces, before: completion_logprobs(pieces, top, before)
