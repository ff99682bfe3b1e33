"""Answers from a file, a JSON object a line: `{"content": text}`, or `{"tool_calls": [...]}`.

`"match": text` says to which message of the user a line belongs, `"after": name` to which tool's result.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from api_shim.content.plan import ContentAsk, ContentPlan
from api_shim.content.structured import demanded, plan_of_calls
from api_shim.content.words import spoken
from e80sim.mistakes import UserError

SHAPE = (
    'a line is {"content": text} or {"tool_calls": [{"name": text, "arguments": object}, ...]}, '
    'and may have "match": text and "after": text'
)


class ReplayLine(NamedTuple):
    match: str | None
    """Part of the last user message."""
    after: str | None
    """The tool whose result is the last message."""
    content: str | None
    calls: tuple[tuple[str, str], ...] = ()
    """(name, arguments)"""

    @property
    def is_plain(self) -> bool:
        return self.match is None and self.after is None

    def suits(self, ask: ContentAsk) -> bool:
        """Calls are made to tools that are offered, and after a result only where the line says so."""
        if self.after is not None and not (ask.after_a_result and ask.called[-1:] == (self.after,)):
            return False
        if not self.calls:
            return not ask.must_call
        offered = {tool.name for tool in ask.tools}
        in_turn = self.after is not None or not ask.after_a_result
        return in_turn and all(name in offered for name, _ in self.calls)


class Replay:
    """The first line that belongs to the last message; else the lines that belong to none, in turn."""

    paced = True

    def __init__(self, path: Path) -> None:
        """Raises UserError with a sentence that names file and line."""
        lines = read_lines(path)
        self._special = [line for line in lines if not line.is_plain]
        self._plain = [line for line in lines if line.is_plain]
        self._next = 0
        if not any(line.content is not None for line in self._plain):
            raise UserError(f"{path} needs a line without `match`, for the requests that no line matches")

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        line = self._belonging(ask) or self._in_turn(ask)
        if line is None:
            return await demanded(ask) or spoken(ask, "")
        return plan_of_calls(ask, line.calls) if line.content is None else spoken(ask, line.content)

    def _belonging(self, ask: ContentAsk) -> ReplayLine | None:
        said = ask.last_user_text
        found = (line for line in self._special if (line.match or "") in said and line.suits(ask))
        # What is said of a result goes before what is said of the message that led to it.
        return min(found, key=lambda line: line.after is None, default=None)

    def _in_turn(self, ask: ContentAsk) -> ReplayLine | None:
        for place in range(self._next, self._next + len(self._plain)):
            line = self._plain[place % len(self._plain)]
            if line.suits(ask):
                self._next = (place + 1) % len(self._plain)
                return line
        return None


def read_lines(path: Path) -> list[ReplayLine]:
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except OSError as problem:
        raise UserError(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8") from None
    lines = []
    for number, text in enumerate(texts, 1):
        if text.strip():
            lines.append(_line(f"{path}:{number}", text))
    return lines


def _line(where: str, text: str) -> ReplayLine:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as problem:
        raise UserError(f"{where}: not a JSON object ({problem.msg})") from None
    if not isinstance(row, dict):
        raise UserError(f"{where}: {SHAPE}")
    content, match, after = row.get("content"), row.get("match"), row.get("after")
    calls = _calls(row.get("tool_calls"))
    texts = all(isinstance(each, str | None) for each in (content, match, after))
    if not texts or calls is None or (content is None) is not bool(calls):
        # The file is wrong, not a type in this program.
        raise UserError(f"{where}: {SHAPE}")
    return ReplayLine(match, after, content, calls)


def _calls(rows: Any) -> tuple[tuple[str, str], ...] | None:  # noqa: ANN401 -- JSON
    """None where they are not of the right shape."""
    if rows is None:
        return ()
    if not isinstance(rows, list):
        return None
    found = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            return None
        if not isinstance(row.get("arguments", {}), dict):
            return None
        found.append((row["name"], json.dumps(row.get("arguments", {}), ensure_ascii=False)))
    return tuple(found)
