"""Answers from a file: a JSON object a line, `{"content": text}`, with `"match": text` where it belongs."""

import json
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from api_shim.content.plan import ContentAsk, ContentPlan, spoken
from e80sim.mistakes import UserError


class ReplayLine(NamedTuple):
    match: str | None
    """Part of the last user message."""
    content: str


class Replay:
    """The first line that matches the last user message; else the lines without `match`, in turn."""

    paced = True

    def __init__(self, path: Path) -> None:
        """Raises UserError with a sentence that names file and line."""
        lines = read_lines(path)
        self._matching = [line for line in lines if line.match is not None]
        plain = [line for line in lines if line.match is None]
        if not plain:
            raise UserError(f"{path} needs a line without `match`, for the requests that no line matches")
        self._plain = cycle(plain)

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        said = ask.last_user_text
        found = next((line for line in self._matching if str(line.match) in said), None) or next(self._plain)
        return spoken(ask, found.content)


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
    content, match = (row.get("content"), row.get("match")) if isinstance(row, dict) else (None, None)
    if not isinstance(content, str) or not isinstance(match, str | None):
        # The file is wrong, not a type in this program.
        raise UserError(f'{where}: a line is {{"content": text}}, and may have "match": text')
    return ReplayLine(match, content)
