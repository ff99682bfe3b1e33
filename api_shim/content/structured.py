"""Answers that are no free text: calls of the client's functions, and JSON of a form that it asks for.

They are alike in all choices, since those have equally many tokens.
"""

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

from api_shim.content.plan import CallableTool, ContentAsk, ContentPlan, FinishReason, Part
from api_shim.content.schemas.schema import Schema
from api_shim.content.stop_strings import cut_at_stop
from api_shim.content.words import pieces_of, thoughts

ARGUMENTS_TOKENS = 12
"""What the arguments of a call may take where their schema leaves it open (assumed)."""
LETTERS_SEARCHED = 32_768
"""Of the user's message, for names of functions."""
SHARE_OF_CAP = 0.9
"""JSON aims below a cap, so that it is complete."""
BLANK = " "
"""One token, and it may follow any JSON."""


def structured(ask: ContentAsk) -> ContentPlan | None:
    """None where plain text will do."""
    tools = tools_to_call(ask)
    if tools:
        return plan_of_calls(ask, [(tool.name, _arguments(ask, tool, i)) for i, tool in enumerate(tools)])
    return None if ask.form is None else _plan_of_json(ask, ask.form)


def demanded(ask: ContentAsk) -> ContentPlan | None:
    """As above, but a function is called only where the request leaves no choice."""
    return structured(ask) if ask.must_call or ask.form is not None else None


def tools_to_call(ask: ContentAsk) -> list[CallableTool]:
    """Those that the user's message names, or else the first; none after a result, so that loops end.

    Where a call is demanded even then, those that have not answered yet come first.
    """
    offered = list(ask.tools)
    if ask.must_call:
        offered = [tool for tool in offered if tool.name not in ask.called] or offered[-1:]
    elif not ask.messages or ask.messages[-1][0] in {"tool", "function", "assistant"}:
        return []
    said = ask.last_user_text[:LETTERS_SEARCHED].lower()
    places = {tool.name: _place(said, tool.name) for tool in offered}
    named = sorted((tool for tool in offered if places[tool.name] >= 0), key=lambda tool: places[tool.name])
    return (named or offered[:1])[: ask.most_calls]


def _place(said: str, name: str) -> int:
    """Where the function is named, as `get_weather` or `get weather`; -1 where it is not."""
    words = "[ _-]".join(map(re.escape, re.split("[_-]", name.lower())))
    found = re.search(rf"(?<!\w){words}(?!\w)", said)
    return -1 if found is None else found.start()


def _arguments(ask: ContentAsk, tool: CallableTool, number: int) -> str:
    return tool.arguments.json(ask.seed + number, ARGUMENTS_TOKENS, ask.vocabulary)


def plan_of_calls(ask: ContentAsk, calls: Sequence[tuple[str, str]]) -> ContentPlan:
    """(name, arguments) of each, with reasoning before them where the model does."""
    segments = []
    for name, arguments in calls:
        lead = max(1, ask.call_lead(name))
        segments.append(
            _Segment("call", [""] * lead + list(pieces_of(ask.vocabulary, arguments)), name, lead)
        )
    return _assembled(ask, segments, "tool_calls")


def _plan_of_json(ask: ContentAsk, form: Schema) -> ContentPlan:
    wanted = ask.limit if ask.ignore_eos else max(ask.natural_tokens(), ask.min_tokens)
    aim = round(min(wanted, SHARE_OF_CAP * ask.limit) / (1 + ask.reasoning_per_token))
    pieces = list(pieces_of(ask.vocabulary, form.json(ask.seed, aim, ask.vocabulary)))
    if len(pieces) > ask.limit:
        pieces = list(pieces_of(ask.vocabulary, form.json(ask.seed, 0, ask.vocabulary)))
    cut = cut_at_stop(pieces, ask.stops, ask.min_tokens) if ask.stops else None
    return _assembled(ask, [_Segment("text", pieces if cut is None else cut)], "stop")


class _Segment(NamedTuple):
    kind: Literal["reasoning", "text", "call"]
    pieces: list[str]
    name: str = ""
    lead: int = 0


def _assembled(ask: ContentAsk, segments: list[_Segment], finish: FinishReason) -> ContentPlan:
    """One after the other, reasoning first: filled with blanks, or cut, where the request says how long."""
    said = sum(len(segment.pieces) for segment in segments)
    reasoning = min(round(said * ask.reasoning_per_token), max(0, ask.limit - said))
    least = ask.limit if ask.ignore_eos else min(ask.min_tokens, ask.limit)
    segments[-1].pieces.extend([BLANK] * (least - said - reasoning))
    if reasoning:
        segments.insert(0, _Segment("reasoning", thoughts(reasoning, ask.seed)))
    pieces = [piece for segment in segments for piece in segment.pieces]
    if len(pieces) > ask.limit or ask.ignore_eos:
        pieces, finish = pieces[: ask.limit], "length"
    stops = [min(stop, len(pieces)) for stop in accumulate(len(segment.pieces) for segment in segments)]
    parts, start, calls = [], 0, 0
    for segment, stop in zip(segments, stops, strict=True):
        if stop > start:
            parts.append(Part(segment.kind, start, stop, calls, segment.name, segment.lead))
        start, calls = stop, calls + (segment.kind == "call")
    return ContentPlan((pieces,) * ask.samples, finish, tuple(parts))
