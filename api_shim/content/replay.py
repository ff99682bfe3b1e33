"""Answers that are written down: in the scenario, or in a file with a JSON object a line.

`{"content": text}` or `{"tool_calls": [...]}`; `"match": text` says to which message of the user it belongs,
`"after": name` to which tool's result.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from api_shim.content.plan import Content, ContentAsk, ContentPlan
from api_shim.content.structured import demanded, plan_of_calls
from api_shim.content.words import spoken
from e80sim.mistakes import UserError
from sim.scenario.schema import Scenario, ScriptedAnswer

SHAPE = (
    'a line is {"content": text} or {"tool_calls": [{"name": text, "arguments": object or text}, ...]}, '
    'and may have "match": text and "after": text'
)


class WrittenAnswer(NamedTuple):
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


class Written:
    """The first answer that belongs to the last message; else the plain ones, in turn; else other content."""

    def __init__(self, answers: Sequence[WrittenAnswer], otherwise: Content) -> None:
        self._special = [answer for answer in answers if not answer.is_plain]
        self._plain = [answer for answer in answers if answer.is_plain]
        self._otherwise = otherwise
        self.paced = otherwise.paced
        self._next = 0

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        answer = self._belonging(ask) or self._in_turn(ask)
        if answer is None:
            return await self._otherwise.plan(ask)
        return plan_of_calls(ask, answer.calls) if answer.content is None else spoken(ask, answer.content)

    def _belonging(self, ask: ContentAsk) -> WrittenAnswer | None:
        said = ask.last_user_text
        found = (answer for answer in self._special if (answer.match or "") in said and answer.suits(ask))
        # What is said of a result goes before what is said of the message that led to it.
        return min(found, key=lambda answer: answer.after is None, default=None)

    def _in_turn(self, ask: ContentAsk) -> WrittenAnswer | None:
        for place in range(self._next, self._next + len(self._plain)):
            answer = self._plain[place % len(self._plain)]
            if answer.suits(ask):
                self._next = (place + 1) % len(self._plain)
                return answer
        return None


def with_written(scenario: Scenario, content: Content) -> Content:
    """The scenario's answers first, where it has any."""
    answers = scenario.serve.answers
    if not answers:
        return content
    return Written([_of_scenario(answer) for answer in answers], content)


def _of_scenario(answer: ScriptedAnswer) -> WrittenAnswer:
    calls = tuple((call.name, _as_text(call.arguments)) for call in answer.tool_calls)
    return WrittenAnswer(answer.match, answer.after, answer.content, calls)


class Replay(Written):
    """Those of a file, with a plain one for what belongs to none."""

    def __init__(self, path: Path) -> None:
        """Raises UserError with a sentence that names file and line."""
        answers = read_lines(path)
        super().__init__(answers, _Demanded())
        if not any(answer.content is not None for answer in self._plain):
            raise UserError(f"{path} needs a line without `match`, for the requests that no line matches")


class _Demanded:
    """Calls and JSON where the request leaves no choice, and else nothing."""

    paced = True

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        return await demanded(ask) or spoken(ask, "")


def read_lines(path: Path) -> list[WrittenAnswer]:
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


def _line(where: str, text: str) -> WrittenAnswer:
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
    return WrittenAnswer(match, after, content, calls)


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
        if not isinstance(row.get("arguments", {}), dict | str):
            return None
        found.append((row["name"], _as_text(row.get("arguments", {}))))
    return tuple(found)


def _as_text(arguments: dict[str, Any] | str) -> str:
    """A text is what a custom tool takes."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
