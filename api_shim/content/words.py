"""Plain text as tokens: sentences about nothing, or words that are given, cut to what the request wants."""

import asyncio
import codecs
from collections.abc import Iterator
from functools import partial
from itertools import cycle, islice

from api_shim.content import synthetic
from api_shim.content.plan import ContentAsk, ContentPlan, FinishReason, Part
from api_shim.content.stop_strings import cut_at_stop
from traffic.tokens import Vocabulary

TOKENS_AT_ONCE = 100_000
"""Planned without giving others a turn."""
LONGEST_TOKEN = 128
"""Letters, in both vocabularies: a row of blanks."""
THOUGHTS = 997
"""Added to the seed, so that the reasoning has other sentences than the answer."""


async def sentences(ask: ContentAsk) -> ContentPlan:
    """About nothing, as long as the scenario says; first those of the reasoning, if the model does."""
    wanted = ask.limit if ask.ignore_eos else max(ask.natural_tokens(), ask.min_tokens)
    tokens = max(1, min(wanted, ask.limit))
    finish: FinishReason = "length" if tokens >= ask.limit else "stop"
    reasoning = min(_reasoning_within(ask, wanted), tokens)
    text = tokens - reasoning
    first = synthetic.pieces(text, ask.seed)
    if finish == "stop" and first[-2:-1] != ["."]:
        first[-1] = "." if text > 1 else first[-1]
    cut = cut_at_stop(first, ask.stops, max(0, ask.min_tokens - reasoning)) if ask.stops else None
    if cut is not None:
        return _thought_over([thoughts(reasoning, ask.seed) + cut] * ask.samples, "stop", reasoning)
    choices = [thoughts(reasoning, ask.seed) + first]
    for index in range(1, ask.samples):
        if index * tokens % TOKENS_AT_ONCE < tokens:
            await asyncio.sleep(0)
        seed = ask.seed + index
        choices.append(thoughts(reasoning, seed) + synthetic.pieces(text, seed))
    return _thought_over(choices, finish, reasoning)


def thoughts(tokens: int, seed: int) -> list[str]:
    return synthetic.pieces(tokens, seed + THOUGHTS)


def _reasoning_within(ask: ContentAsk, tokens: int) -> int:
    """Of an answer of so many tokens in all."""
    ratio = ask.reasoning_per_token
    return min(tokens - 1, round(tokens * ratio / (1 + ratio)))


def _thought_over(choices: list[list[str]], finish: FinishReason, reasoning: int) -> ContentPlan:
    if not reasoning:
        return ContentPlan(tuple(choices), finish)
    parts = Part("reasoning", 0, reasoning), Part("text", reasoning, len(choices[0]))
    return ContentPlan(tuple(choices), finish, parts)


def spoken(ask: ContentAsk, text: str) -> ContentPlan:
    """`text` as the answer, within what the request asks for."""
    text = text[: max(ask.limit, ask.min_tokens) * LONGEST_TOKEN]  # the rest would only be thrown away
    pieces = list(pieces_of(ask.vocabulary, text)) or [""]
    if ask.ignore_eos or len(pieces) < ask.min_tokens:
        pieces = list(islice(cycle(pieces), ask.limit if ask.ignore_eos else min(ask.min_tokens, ask.limit)))
    finish: FinishReason = "length" if len(pieces) >= ask.limit else "stop"
    pieces = pieces[: ask.limit]
    cut = cut_at_stop(pieces, ask.stops, ask.min_tokens) if ask.stops else None
    if cut is not None:
        pieces, finish = cut, "stop"
    return ContentPlan((pieces,) * ask.samples, finish)


def pieces_of(vocabulary: Vocabulary, text: str) -> Iterator[str]:
    """What each token adds: a letter that spans several tokens comes with the last of them."""
    decode = partial(codecs.getincrementaldecoder("utf-8")(errors="replace").decode, final=False)
    for token in vocabulary.encode(text):
        yield decode(vocabulary.token_bytes(token))
