"""The frames of a token stream as bytes, made from templates: a stream may carry 17,000 tokens per second."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from json import JSONEncoder
from typing import Any, Protocol

from api_shim.content.logprobs import chat_entries, completion_logprobs
from api_shim.content.plan import Part, Stretch
from api_shim.exchange.call_form import CallForm
from api_shim.exchange.stamps import Usage
from api_shim.wire.errors import ApiError

Json = dict[str, Any]
LogprobsOf = Callable[[Sequence[str], int], Json]
"""(pieces, letters before them) -> the object that stands under `logprobs`."""

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
TOKENS_AT_ONCE, LOGPROBS_AT_ONCE = 4096, 128
"""A few milliseconds of work."""
ENCODER = JSONEncoder(separators=(",", ":"))


def as_json(data: object) -> str:
    return ENCODER.encode(data)


@lru_cache(maxsize=1 << 16)
def quoted(piece: str) -> str:
    """For single tokens, which come again and again."""
    return ENCODER.encode(piece)


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

    def usage(self, usage: Usage) -> bytes: ...

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

    def json(self) -> str:
        prompt, output = self._prompt_tokens, self._completion_tokens
        return f'{{"prompt_tokens":{prompt},"completion_tokens":{output},"total_tokens":{prompt + output}}}'


class _Writer:
    """`envelope` are the members that all chunks share, as JSON; `with_usage` puts `usage: null` on all but
    the last.

    With a `running` usage each chunk has that instead.
    """

    end = DONE

    def __init__(
        self,
        envelope: str,
        logprobs: LogprobsOf | None,
        *,
        with_usage: bool,
        running: RunningUsage | None = None,
    ) -> None:
        self._before = f'data: {{{envelope},"choices":['
        self._after = '],"usage":null}\n\n' if with_usage else "]}\n\n"
        self._logprobs = logprobs
        self._running = running
        self.tokens_at_once = TOKENS_AT_ONCE if logprobs is None else LOGPROBS_AT_ONCE
        self._templates: dict[tuple[int, int], tuple[str, str]] = {}
        """By choice and beginning of the part."""

    def _choice(self, choice: str) -> str:
        """The frame of a choice."""
        after = self._after if self._running is None else f'],"usage":{self._running.json()}}}\n\n'
        return self._before + choice + after

    def _content_choice(self, choice: int, part: Part, text: str, logprobs: str = "null") -> str:
        """`logprobs` is JSON, as what is answered; `text` is the text itself."""
        raise NotImplementedError

    def content(self, choice: int, stretch: Stretch, letters_before: int, *, one_by_one: bool) -> bytes:
        part, pieces = stretch.part, stretch.pieces
        if self._running is not None or (self._logprobs is not None and part.kind == "text"):
            groups = [[piece] for piece in pieces] if one_by_one else [pieces]
            return "".join(self._told_in_full(choice, part, groups, letters_before)).encode()
        before, after = self._templates.get((choice, part.start)) or self._template(choice, part)
        if one_by_one:
            return "".join(before + quoted(piece) + after for piece in pieces if piece).encode()
        text = "".join(pieces)
        return (before + as_json(text) + after).encode() if text else b""

    def _told_in_full(
        self, choice: int, part: Part, groups: Iterable[Sequence[str]], letters_before: int
    ) -> Iterator[str]:
        """Chunks that no template fits, because more than their text changes."""
        entries = self._logprobs if part.kind == "text" else None
        for group in groups:
            if self._running is not None:
                self._running.grow(len(group))
            text = "".join(group)
            if text or entries is not None:
                logprobs = "null" if entries is None else as_json(entries(group, letters_before))
                yield self._choice(self._content_choice(choice, part, text, logprobs))
            letters_before += len(text)

    def _template(self, choice: int, part: Part) -> tuple[str, str]:
        """A content frame, split where its text stands."""
        mark = "\0"
        whole = self._choice(self._content_choice(choice, part, mark))
        before, _, after = whole.partition(as_json(mark))
        made = self._templates[choice, part.start] = (before, after)
        return made

    def usage(self, usage: Usage) -> bytes:
        return f'{self._before}],"usage":{usage.json()}}}\n\n'.encode()

    def refused(self, error: ApiError) -> bytes:
        return f"data: {as_json(error.body())}\n\n".encode()


class ChatWriter(_Writer):
    """`whole_calls` sends each call in one chunk, when it is complete."""

    prompt_param = "messages"

    def __init__(
        self,
        envelope: str,
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
        return self._choice(_chat_choice(choice, '{"role":"assistant","content":""}')).encode()

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
        return self._choice(_chat_choice(choice, as_json(delta))).encode()

    def _content_choice(self, choice: int, part: Part, text: str, logprobs: str = "null") -> str:
        if part.kind == "call":
            delta = as_json(self._calls.further_delta(part.number, part.name, text))
        else:
            member = "reasoning" if part.kind == "reasoning" else "content"
            delta = f'{{"{member}":{as_json(text)}}}'
        return _chat_choice(choice, delta, logprobs)

    def closing(self, choice: int, finish_reason: str) -> bytes:
        reason = self._calls.finish_reason(finish_reason)
        return self._choice(_chat_choice(choice, "{}", reason=f'"{reason}"')).encode()


def _chat_choice(choice: int, delta: str, logprobs: str = "null", reason: str = "null") -> str:
    """All of them are JSON, as what is answered."""
    return f'{{"index":{choice},"delta":{delta},"logprobs":{logprobs},"finish_reason":{reason}}}'


class CompletionWriter(_Writer):
    prompt_param = "prompt"

    def __init__(
        self,
        envelope: str,
        logprobs: LogprobsOf | None,
        *,
        with_usage: bool,
        running: RunningUsage | None = None,
        echo: str = "",
    ) -> None:
        super().__init__(envelope, logprobs, with_usage=with_usage, running=running)
        self._echo = echo

    def opening(self, choice: int) -> bytes:
        return (
            self._choice(self._content_choice(choice, ALL_TEXT, self._echo)).encode() if self._echo else b""
        )

    def _content_choice(self, choice: int, part: Part, text: str, logprobs: str = "null") -> str:
        del part  # plain completions are all text
        return f'{{"index":{choice},"text":{as_json(text)},"logprobs":{logprobs},"finish_reason":null}}'

    def closing(self, choice: int, finish_reason: str) -> bytes:
        return self._choice(
            f'{{"index":{choice},"text":"","logprobs":null,"finish_reason":"{finish_reason}"}}'
        ).encode()


def chat_logprobs(top: int) -> LogprobsOf:
    return lambda pieces, _before: {"content": chat_entries(pieces, top), "refusal": None}


def text_logprobs(top: int) -> LogprobsOf:
    return lambda pieces, before: completion_logprobs(pieces, top, before)
