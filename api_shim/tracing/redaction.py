"""No secret is kept: the caller's own key, whatever looks like a key, and credentials that are sent along."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

MARK = "[redacted]"
LOOKS_SECRET = re.compile(
    r"""
    (?:(?<![A-Za-z0-9]) | (?<=\\[bfnrt]) | (?<=\\u[0-9A-Fa-f]{4}))  # in JSON a new line ends in an n
        (?:sk|pk|ek)-[A-Za-z0-9_-]{4,}                                # keys of OpenAI, 8080 and many others
    | (?<![A-Za-z0-9])e80u_[A-Za-z0-9_-]{4,}                          # tokens of logins
    | (?i:Bearer)\s+[A-Za-z0-9._~+/=-]{4,}                            # RFC 6750
    | (?i:(?<=")(?:(?:proxy-)?authorization|(?:x-)?api[-_]?key)\\*"\s*:\s*\\*")[^"\\]+  # members of an object
    """,
    re.VERBOSE,
)
HEAD_OF_MEMBER = re.compile(r'.*:\s*\\*"', re.DOTALL)
ESCAPED_ASCII = re.compile(r"\\u(00[2-7][0-9a-fA-F])")
LEAST_SECRET = 4
"""Letters: a key of fewer cannot be told from words."""
LOGPROBS = "logprobs"

Json = Any
Place = tuple[Any, ...]
Piece = tuple[int, Any, Any]
"""(number of the event, what holds the string, under which key)"""


@dataclass(frozen=True, slots=True)
class Redaction:
    """Of what one caller sent and got."""

    secret: str
    """Its key; may be empty."""

    def text(self, text: str) -> str:
        """Of any kind, JSON included."""
        if ESCAPED_ASCII.search(text):
            text = _unescaped(text)
        pieces, at = [], 0
        for start, stop in self._found(text):
            pieces += [text[at:start], MARK]
            at = stop
        return "".join([*pieces, text[at:]])

    def cut(self, text: str, letters: int) -> str:
        """The beginning, which does not end in the beginning of the key."""
        text = text[:letters]
        for length in range(min(len(self.secret), len(text)), LEAST_SECRET - 1, -1):
            if text.endswith(self.secret[:length]):
                return text[:-length]
        return text

    def answer(self, text: str) -> str:
        """JSON, perhaps only its beginning. Its tokens would spell a key that was in it: they go, too."""
        redacted = self.text(text)
        if LOGPROBS not in text:
            return redacted
        try:
            whole = json.loads(redacted)
        except ValueError:
            return redacted[: redacted.index(LOGPROBS)]
        spelled = any(self._join(pieces) for pieces in _by_place([whole]))
        if redacted == text and not spelled:
            return text
        return json.dumps(_without_logprobs(whole), separators=(",", ":"))

    def events(self, text: str) -> str:
        """Server-sent events, in which a key comes in the pieces of its tokens."""
        frames = text.split("\n\n")
        payloads = [_payload(frame) for frame in frames]
        changed: set[int] = set()
        for pieces in _by_place([data for _, data in payloads]):
            changed |= self._join(pieces)
        for number in changed:
            head, data = payloads[number]
            frames[number] = head + json.dumps(_without_logprobs(data), separators=(",", ":"))
        return self.text("\n\n".join(frames))

    def _join(self, pieces: list[Piece]) -> set[int]:
        """Redact what is spelled by the pieces together; the numbers of those that it changed."""
        texts = [holder[key] for _, holder, key in pieces]
        found = list(self._found("".join(texts)))
        if not found:
            return set()
        changed = set()
        starts = accumulate(map(len, texts), initial=0)
        for (number, holder, key), text, start in zip(pieces, texts, starts, strict=False):
            left = _outside(text, start, found)
            if left != text:
                holder[key] = left
                changed.add(number)
        return changed

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """(start, stop) of secrets, in order, none within another."""
        found = [(_start(match), match.end()) for match in LOOKS_SECRET.finditer(text)]
        if len(self.secret) >= LEAST_SECRET:
            spellings = {self.secret, json.dumps(self.secret)[1:-1]}
            found += [match.span() for one in spellings for match in re.finditer(re.escape(one), text)]
        at = 0
        for start, stop in sorted(found):
            if stop > at:
                yield max(start, at), stop
                at = stop


def _start(match: re.Match[str]) -> int:
    """Of an object's member only the value is secret."""
    head = HEAD_OF_MEMBER.match(match[0])
    return match.start() + (0 if head is None else head.end())


def _unescaped(text: str) -> str:
    """Letters of ASCII may be written as numbers in JSON, and a key with them."""
    return ESCAPED_ASCII.sub(_letter, text)


def _letter(match: re.Match[str]) -> str:
    letter = chr(int(match[1], 16))
    return match[0] if letter in '"\\' else letter


def _payload(frame: str) -> tuple[str, Json]:
    """What stands before the data of an event, and the data; None where they are not JSON."""
    head, mark, data = frame.partition("data: ")
    try:
        return head + mark, json.loads(data)
    except ValueError:
        return frame, None


def _by_place(events: list[Json]) -> list[list[Piece]]:
    """The strings that stand at the same place of all events, in order."""
    pieces: dict[Place, list[Piece]] = {}
    for number, event in enumerate(events):
        for place, holder, key in _leaves(event, ()):
            pieces.setdefault(place, []).append((number, holder, key))
    return list(pieces.values())


def _leaves(node: Json, place: Place) -> Iterator[tuple[Place, Any, Any]]:
    """(place, holder, key) of all strings. What is of one choice, or one part of it, has one place."""
    if isinstance(node, dict):
        which = tuple((key, value) for key, value in node.items() if key.endswith("index"))
        for key, value in node.items():
            if isinstance(value, str):
                yield (*place, which, key), node, key
            else:
                yield from _leaves(value, (*place, which, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            if isinstance(value, str):
                yield place, node, number
            else:
                yield from _leaves(value, place)


def _without_logprobs(node: Json) -> Json:
    if isinstance(node, dict):
        return {key: _without_logprobs(value) for key, value in node.items() if key != LOGPROBS}
    return [_without_logprobs(value) for value in node] if isinstance(node, list) else node


def _outside(text: str, start: int, found: list[tuple[int, int]]) -> str:
    """What of `text`, which stands at `start`, is in none of `found`; a mark stands where one begins."""
    kept, at = [], start
    for first, stop in found:
        if stop <= at or first >= start + len(text):
            continue
        kept.append(text[at - start : max(first, at) - start])
        if first >= start:
            kept.append(MARK)
        at = min(stop, start + len(text))
    return "".join([*kept, text[at - start :]])
