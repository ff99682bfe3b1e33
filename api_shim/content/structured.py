"""Answers that are no free text: calls of the client's functions, and JSON of a form that it asks for.

Each choice has values of its own. As all choices have equally many tokens, blanks follow the shorter ones.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import accumulate, cycle, islice
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
SEED_STEP = 1009
"""Between the seeds of choices, so that the calls of one do not have the arguments of the next."""
BLANK = " "
"""One token, and it may follow any JSON."""


async def structured(ask: ContentAsk) -> ContentPlan | None:
    """None where plain text will do."""
    tools = tools_to_call(ask)
    if tools:
        return await _plan_of_made_calls(ask, tools)
    return None if ask.form is None else await _plan_of_json(ask, ask.form)


async def demanded(ask: ContentAsk) -> ContentPlan | None:
    """As above, but a function is called only where the request leaves no choice."""
    return await structured(ask) if ask.must_call or ask.form is not None else None


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


async def _plan_of_made_calls(ask: ContentAsk, tools: Sequence[CallableTool]) -> ContentPlan:
    """The same tools in each choice, with arguments of their own."""
    choices = [
        [
            # No blanks may follow a text that is an input itself, so that is alike in all.
            (tool.name, _arguments(tool, (ask.seed if tool.takes_text else seed) + number, ask))
            for number, tool in enumerate(tools)
        ]
        async for seed in _seeds(ask)
    ]
    return plan_of_calls(ask, *choices)


async def _seeds(ask: ContentAsk) -> AsyncIterator[int]:
    """One for each choice; what is made of it takes a moment, so others have their turn in between."""
    for sample in range(ask.samples):
        if sample:
            await asyncio.sleep(0)
        yield ask.seed + sample * SEED_STEP


def _arguments(tool: CallableTool, seed: int, ask: ContentAsk) -> str:
    text = tool.arguments.json(seed, ARGUMENTS_TOKENS, ask.vocabulary)
    return str(json.loads(text)) if tool.takes_text else text


def plan_of_calls(ask: ContentAsk, *choices: Sequence[tuple[str, str]]) -> ContentPlan:
    """(name, arguments) of each call, with reasoning before them where the model does. One choice is all."""
    return _assembled(ask, [list(_calls(ask, calls)) for calls in choices], "tool_calls")


def _calls(ask: ContentAsk, calls: Iterable[tuple[str, str]]) -> Iterator["_Segment"]:
    for name, arguments in calls:
        lead = max(1, ask.call_lead(name))
        yield _Segment("call", [""] * lead + list(pieces_of(ask.vocabulary, arguments)), name, lead)


async def _plan_of_json(ask: ContentAsk, form: Schema) -> ContentPlan:
    wanted = ask.limit if ask.ignore_eos else max(ask.natural_tokens(), ask.min_tokens)
    aim = round(min(wanted, SHARE_OF_CAP * ask.limit) / (1 + ask.reasoning_per_token))
    choices = [[_Segment("text", _json_pieces(ask, form, seed, aim))] async for seed in _seeds(ask)]
    return _assembled(ask, choices, "stop")


def _json_pieces(ask: ContentAsk, form: Schema, seed: int, aim: int) -> list[str]:
    pieces = list(pieces_of(ask.vocabulary, form.json(seed, aim, ask.vocabulary)))
    if len(pieces) > ask.limit:
        pieces = list(pieces_of(ask.vocabulary, form.json(seed, 0, ask.vocabulary)))
    cut = cut_at_stop(pieces, ask.stops, ask.min_tokens) if ask.stops else None
    return pieces if cut is None else cut


class _Segment(NamedTuple):
    kind: Literal["reasoning", "text", "call"]
    pieces: list[str]
    name: str = ""
    lead: int = 0


def _assembled(ask: ContentAsk, choices: list[list[_Segment]], finish: FinishReason) -> ContentPlan:
    """One segment after the other, reasoning first. The choices have the same kinds of segments.

    Filled with blanks, or cut, where the request says how long, and where another choice is longer.
    """
    _even_out(choices)
    segments = choices[0]
    said = sum(len(segment.pieces) for segment in segments)
    reasoning = min(round(said * ask.reasoning_per_token), max(0, ask.limit - said))
    least = ask.limit if ask.ignore_eos else min(ask.min_tokens, ask.limit)
    for sample, choice in enumerate(choices):
        choice[-1].pieces.extend([BLANK] * (least - said - reasoning))
        if reasoning:
            choice.insert(0, _Segment("reasoning", thoughts(reasoning, ask.seed + sample)))
    whole = [[piece for segment in choice for piece in segment.pieces] for choice in choices]
    if len(whole[0]) > ask.limit or ask.ignore_eos:
        whole, finish = [pieces[: ask.limit] for pieces in whole], "length"
    stops = [min(stop, len(whole[0])) for stop in accumulate(len(segment.pieces) for segment in segments)]
    parts, start, calls = [], 0, 0
    for segment, stop in zip(segments, stops, strict=True):
        if stop > start:
            parts.append(Part(segment.kind, start, stop, calls, segment.name, segment.lead))
        start, calls = stop, calls + (segment.kind == "call")
    return ContentPlan(tuple(islice(cycle(whole), ask.samples)), finish, tuple(parts))


def _even_out(choices: list[list[_Segment]]) -> None:
    """Each segment as long as the longest of its place, with blanks, which say nothing at the end of JSON."""
    for places in zip(*choices, strict=True):
        longest = max(len(segment.pieces) for segment in places)
        for segment in places:
            segment.pieces.extend([BLANK] * (longest - len(segment.pieces)))
