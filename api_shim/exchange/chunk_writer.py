"""The frames of a token stream as bytes, made from templates: a stream may carry 17,000 tokens per second."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

from api_shim.content.logprobs import chat_entries, completion_logprobs
from api_shim.content.plan import Part, Stretch
from api_shim.exchange.call_form import CallForm
from api_shim.wire.errors import ApiError

Json = dict[str, Any]
LogprobsOf = Callable[[Sequence[str], int], Json]
"""(pieces, letters before them) -> the object that stands under `logprobs`."""

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
TOKENS_AT_ONCE, LOGPROBS_AT_ONCE = 4096, 128
"""A few milliseconds of work."""


def frame(data: Json) -> bytes:
    return b"data: " + as_json(data).encode() + b"\n\n"


def comment(name: str, data: Json) -> bytes:
    """No client reads it by accident."""
    return f": {name} {as_json(data)}\n\n".encode()


def as_json(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))


@lru_cache(maxsize=1 << 16)
def quoted(piece: str) -> str:
    """For single tokens, which come again and again."""
    return json.dumps(piece)


ALL_TEXT = Part("text", 0, 0)


class ChunkWriter(Protocol):
    """One dialect: chat, plain completions, or responses."""

    end: bytes
    """What the stream ends with, after everything else."""
    prompt_param: str
    """Where the prompt stands in the body."""

    @property
    def tokens_at_once(self) -> int:
        """As many as are written without keeping the other connections waiting."""
        ...

    def opening(self, choice: int) -> bytes: ...

    def content(self, choice: int, stretch: Stretch, letters_before: int, *, one_by_one: bool) -> bytes: ...

    def closing(self, choice: int, finish_reason: str) -> bytes: ...

    def usage(self, usage: Json) -> bytes: ...

    def refused(self, error: ApiError) -> bytes:
        """Instead of the closings and the usage."""
        ...


class RunningUsage:
    """What the tokens of all choices so far come to, for the chunks of a client that wants it on each."""

    def __init__(self, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens
        self._completion_tokens = 0

    def grow(self, tokens: int) -> None:
        self._completion_tokens += tokens

    def json(self) -> Json:
        prompt, output = self._prompt_tokens, self._completion_tokens
        return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


class _Writer:
    """`envelope` is what all chunks share; `with_usage` puts `usage: null` on all but the last.

    With a `running` usage each chunk has that instead.
    """

    end = DONE

    def __init__(
        self,
        envelope: Json,
        logprobs: LogprobsOf | None,
        *,
        with_usage: bool,
        running: RunningUsage | None = None,
    ) -> None:
        self._envelope = envelope
        self._logprobs = logprobs
        self._running = running
        self._null_usage: Json = {"usage": None} if with_usage else {}
        self._templates: dict[tuple[int, int], tuple[str, str]] = {}
        """By choice and beginning of the part."""

    @property
    def tokens_at_once(self) -> int:
        return TOKENS_AT_ONCE if self._logprobs is None else LOGPROBS_AT_ONCE

    def _choice(self, choice: Json) -> bytes:
        usage = self._null_usage if self._running is None else {"usage": self._running.json()}
        return frame({**self._envelope, "choices": [choice], **usage})

    def _content_choice(self, choice: int, part: Part, text: str, logprobs: Json | None) -> Json:
        raise NotImplementedError

    def content(self, choice: int, stretch: Stretch, letters_before: int, *, one_by_one: bool) -> bytes:
        part, pieces = stretch.part, stretch.pieces
        if self._running is not None or self._logprobs_of(part) is not None:
            groups = [[piece] for piece in pieces] if one_by_one else [pieces]
            return b"".join(self._told_in_full(choice, part, groups, letters_before))
        before, after = self._template(choice, part)
        if one_by_one:
            return "".join(before + quoted(piece) + after for piece in pieces if piece).encode()
        text = "".join(pieces)
        return (before + json.dumps(text) + after).encode() if text else b""

    def _logprobs_of(self, part: Part) -> LogprobsOf | None:
        return self._logprobs if part.kind == "text" else None

    def _told_in_full(
        self, choice: int, part: Part, groups: Iterable[Sequence[str]], letters_before: int
    ) -> Iterator[bytes]:
        """Chunks that no template fits, because more than their text changes."""
        entries = self._logprobs_of(part)
        for group in groups:
            if self._running is not None:
                self._running.grow(len(group))
            text = "".join(group)
            if text or entries is not None:
                logprobs = None if entries is None else entries(group, letters_before)
                yield self._choice(self._content_choice(choice, part, text, logprobs))
            letters_before += len(text)

    def _template(self, choice: int, part: Part) -> tuple[str, str]:
        """A content frame, split where its text stands."""
        found = self._templates.get((choice, part.start))
        if found is None:
            mark = "\0"
            whole = self._choice(self._content_choice(choice, part, mark, None)).decode()
            before, _, after = whole.partition(json.dumps(mark))
            found = self._templates[choice, part.start] = (before, after)
        return found

    def usage(self, usage: Json) -> bytes:
        return frame({**self._envelope, "choices": [], "usage": usage})

    def refused(self, error: ApiError) -> bytes:
        return frame(error.body())


class ChatWriter(_Writer):
    """`whole_calls` sends each call in one chunk, when it is complete."""

    prompt_param = "messages"

    def __init__(
        self,
        envelope: Json,
        logprobs: LogprobsOf | None,
        *,
        with_usage: bool,
        running: RunningUsage | None = None,
        calls: CallForm,
        whole_calls: bool = False,
    ) -> None:
        super().__init__(envelope, logprobs, with_usage=with_usage, running=running)
        self._calls = calls
        self._whole_calls = whole_calls
        self._held: dict[int, str] = {}
        """Of the call that a choice is at, what has not been sent."""

    def opening(self, choice: int) -> bytes:
        return self._choice(
            {
                "index": choice,
                "delta": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": None,
            }
        )

    def content(self, choice: int, stretch: Stretch, letters_before: int, *, one_by_one: bool) -> bytes:
        part = stretch.part
        if part.kind != "call":
            return super().content(choice, stretch, letters_before, one_by_one=one_by_one)
        if self._whole_calls:
            return self._collected(choice, stretch)
        arguments = super().content(choice, stretch, letters_before, one_by_one=one_by_one)
        begins = stretch.start < part.named <= stretch.stop
        return self._call(choice, part, "") + arguments if begins else arguments

    def _collected(self, choice: int, stretch: Stretch) -> bytes:
        part = stretch.part
        if self._running is not None:
            self._running.grow(len(stretch.pieces))
        self._held[choice] = self._held.get(choice, "") + "".join(stretch.pieces)
        if stretch.stop < part.stop:
            return b""
        arguments = self._held.pop(choice)
        return self._call(choice, part, arguments) if part.named <= part.stop else b""

    def _call(self, choice: int, part: Part, arguments: str) -> bytes:
        """Its first chunk, which alone has id and name."""
        delta = self._calls.first_delta(part.number, part.name, arguments)
        return self._choice({"index": choice, "delta": delta, "logprobs": None, "finish_reason": None})

    def _content_choice(self, choice: int, part: Part, text: str, logprobs: Json | None) -> Json:
        delta: Json = {"content": text}
        if part.kind == "reasoning":
            delta = {"reasoning": text}
        elif part.kind == "call":
            delta = self._calls.further_delta(part.number, part.name, text)
        return {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": None}

    def closing(self, choice: int, finish_reason: str) -> bytes:
        reason = self._calls.finish_reason(finish_reason)
        return self._choice({"index": choice, "delta": {}, "logprobs": None, "finish_reason": reason})


class CompletionWriter(_Writer):
    prompt_param = "prompt"

    def __init__(
        self,
        envelope: Json,
        logprobs: LogprobsOf | None,
        *,
        with_usage: bool,
        running: RunningUsage | None = None,
        echo: str = "",
    ) -> None:
        super().__init__(envelope, logprobs, with_usage=with_usage, running=running)
        self._echo = echo

    def opening(self, choice: int) -> bytes:
        return self._choice(self._content_choice(choice, ALL_TEXT, self._echo, None)) if self._echo else b""

    def _content_choice(self, choice: int, part: Part, text: str, logprobs: Json | None) -> Json:
        del part  # plain completions are all text
        return {"index": choice, "text": text, "logprobs": logprobs, "finish_reason": None}

    def closing(self, choice: int, finish_reason: str) -> bytes:
        return self._choice({"index": choice, "text": "", "logprobs": None, "finish_reason": finish_reason})


def chat_logprobs(top: int) -> LogprobsOf:
    return lambda pieces, _before: {"content": chat_entries(pieces, top), "refusal": None}


def text_logprobs(top: int) -> LogprobsOf:
    return lambda pieces, before: completion_logprobs(pieces, top, before)
