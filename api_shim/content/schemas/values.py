"""A value of a schema's graph, about as long as asked for, and the same for the same seed."""

from collections.abc import Iterator
from itertools import count
from math import ceil, floor, inf
from random import Random  # noqa: TID251 -- seeded by its caller; the model never sees these draws
from typing import Any

from api_shim.content import synthetic
from api_shim.content.schemas.formats import FORMATS
from api_shim.content.schemas.graph import Graph
from api_shim.content.schemas.nodes import Alternatives, Array, Constant, Number, Object, SchemaNode, String
from api_shim.content.schemas.patterns import matching

DEEPEST = 48
"""Levels of a value beyond which only the shortest is taken."""
SHORT_TEXT_TOKENS = 3
ITEM_TOKENS = 12
"""Of an item that can have any length, where there are many."""
SHORT_ITEM_TOKENS = 64
"""An item or a member that needs no more than this is put into what would else be empty."""
MOST_ITEMS = 2000
TRIES_FOR_A_PATTERN = 20
OPTIONAL_SHARE = 3 / 4
"""Of the optional members that there is room for."""
Span = tuple[int, int]


class Maker:
    def __init__(self, graph: Graph, rng: Random) -> None:
        self._nodes = graph.nodes
        self._rng = rng
        self._elastic: dict[int, bool] = {}

    def value(self, index: int, tokens: float, depth: int = 0) -> Any:  # noqa: ANN401 -- JSON
        """`tokens` is what it may take, punctuation included; it is longer where it cannot be so short."""
        node = self._nodes[index]
        tokens = tokens if depth < DEEPEST else 0
        match node:
            case Alternatives():
                return self.value(self._option(node, tokens), tokens, depth)
            case Constant():
                return self._rng.choice(node.values)
            case Number():
                return self._number(node)
            case String():
                return self._string(node, tokens)
            case Array():
                return self._array(node, tokens, depth)
            case Object():
                return self._object(node, tokens, depth)
        raise AssertionError(node)

    def _option(self, node: Alternatives, tokens: float) -> int:
        """One that there is room for, and rather one that can fill it; else the shortest."""
        possible = [i for i in node.options if self._nodes[i].tokens < inf]
        fitting = [i for i in possible if self._nodes[i].tokens <= tokens]
        if not fitting:
            return min(possible, key=lambda i: (self._nodes[i].tokens, self._nodes[i].depth))
        if tokens > 2 * max(self._nodes[i].tokens for i in fitting):
            fitting = [i for i in fitting if self._grows(i)] or fitting
        return self._rng.choice(fitting)

    def _grows(self, index: int) -> bool:
        """Whether its values can be as long as one likes."""
        known = self._elastic.get(index)
        if known is None:
            self._elastic[index] = True  # what holds itself
            node = self._nodes[index]
            known = self._elastic[index] = any(self._reasons_to_grow(node))
        return known

    def _reasons_to_grow(self, node: SchemaNode) -> Iterator[bool]:
        match node:
            case Alternatives():
                yield from map(self._grows, node.options)
            case String():
                yield not node.patterns and node.format not in FORMATS and node.most is None
            case Array():
                yield node.items is not None and node.most is None
                yield from map(self._grows, node.prefix)
                if node.items is not None:
                    yield self._grows(node.items)
            case Object():
                yield node.additional is not None and node.most is None
                yield from map(self._grows, node.properties.values())

    # Scalars

    def _number(self, node: Number) -> int | float:
        if node.multiple is not None:
            return self._multiple(node, node.multiple)
        low, high = node.low, node.high
        if low is None:
            low = 0 if high is None or high >= 0 else high - 100
        if high is None:
            high = low + 100
        first = floor(low) + 1 if node.open_low else ceil(low)
        last = ceil(high) - 1 if node.open_high else floor(high)
        if node.integer or (first < last and self._rng.random() < 1 / 2):
            return self._rng.randint(first, max(first, last))
        for digits in range(1, 16):
            drawn = round(low + (high - low) * self._rng.random(), digits)
            inside_low = drawn > low or (drawn == low and not node.open_low)
            if inside_low and (drawn < high or (drawn == high and not node.open_high)):
                return drawn
        return low

    def _multiple(self, node: Number, step: float) -> int | float:
        low = node.low if node.low is not None else (0 if node.high is None else node.high - 100 * step)
        high = node.high if node.high is not None else max(low, 0) + 100 * step
        first, last = ceil(low / step), floor(high / step)
        for _ in range(20):
            factor = self._rng.randint(first, max(first, last))
            drawn = factor * step
            whole = isinstance(drawn, int) or drawn == int(drawn)
            # 0.3 is no multiple of 0.1 to a checker that divides.
            exact = drawn / step == factor and (whole or not node.integer)
            inside = not (node.open_low and drawn == low) and not (node.open_high and drawn == high)
            if exact and inside:
                return int(drawn) if node.integer else drawn
        return first * step

    def _string(self, node: String, tokens: float) -> str:
        if node.patterns:
            return self._matching(node)
        if node.format in FORMATS:
            return FORMATS[node.format](self._rng)
        return self._text(max(SHORT_TEXT_TOKENS, int(tokens) - 2), node.least, node.most)

    def _matching(self, node: String) -> str:
        drawn = ""
        for _ in range(TRIES_FOR_A_PATTERN):
            drawn = matching(node.patterns[0], self._rng, node.least)
            if len(drawn) >= node.least and (node.most is None or len(drawn) <= node.most):
                break
        return drawn

    def _text(self, tokens: int, least: int, most: int | None) -> str:
        if tokens <= SHORT_TEXT_TOKENS:
            text = f"{self._rng.choice(synthetic.ADJECTIVES)} {self._rng.choice(synthetic.NOUNS)}"
        else:
            text = "".join(synthetic.pieces(tokens, self._rng.getrandbits(32)))
        if len(text) < least:
            text += (" " + "".join(synthetic.pieces(least, self._rng.getrandbits(32))))[: least - len(text)]
        return text if most is None or len(text) <= most else _cut(text, least, most)

    # Arrays and objects

    def _array(self, node: Array, tokens: float, depth: int) -> list[Any]:
        left = tokens - 2
        items = list(node.prefix)
        if node.most is not None:
            items = items[: node.most]
        if node.items is not None:
            each = self._nodes[node.items].tokens + 1
            usual = max(each, ITEM_TOKENS) if self._grows(node.items) else each
            room = floor((left - sum(self._nodes[i].tokens + 1 for i in items)) / usual) if each < inf else 0
            most = MOST_ITEMS if node.most is None else node.most
            items += [node.items] * max(node.least - len(items), min(room, most - len(items)), 0)
        if not node.prefix and not items and self._may_have_one(node, tokens):
            items = [node.items] if node.items is not None else []
        shares = self._shares(items, left - len(items))
        return [self.value(i, share, depth + 1) for i, share in zip(items, shares, strict=True)]

    def _may_have_one(self, node: Array, tokens: float) -> bool:
        """An empty array says little: one short item is better, where there is some room at all."""
        if node.items is None or node.most == 0:
            return False
        item = self._nodes[node.items]
        scalar = isinstance(item, Constant | Number | String)
        return scalar or (tokens > node.tokens and item.tokens <= SHORT_ITEM_TOKENS)

    def _object(self, node: Object, tokens: float, depth: int) -> dict[str, Any]:
        names = self._names(node, tokens)
        further = [] if node.additional is None else list(self._further(node, tokens, names))
        places = [node.properties[name] for name in names]
        if node.additional is not None:
            places += [node.additional] * len(further)
        names += further
        left = tokens - 2 - sum(map(_key_tokens, names))
        shares = self._shares(places, left)
        return {
            name: self.value(i, share, depth + 1)
            for name, i, share in zip(names, places, shares, strict=True)
        }

    def _names(self, node: Object, tokens: float) -> list[str]:
        """The required ones, and of the others as many as there is room for, in the schema's order."""
        chosen = set(node.required)
        left = tokens - node.tokens
        for name, index in node.properties.items():
            takes = self._nodes[index].tokens + _key_tokens(name)
            full = node.most is not None and len(chosen) >= node.most
            if name in chosen or full or takes == inf:
                continue
            if len(chosen) < node.least or (takes <= left and self._rng.random() < OPTIONAL_SHARE):
                chosen.add(name)
                left -= takes
        if not chosen and node.most != 0 and tokens > node.tokens:
            chosen.update(self._shortest(node))  # an empty object says little, as an empty array does
        return [name for name in node.properties if name in chosen]

    def _shortest(self, node: Object) -> list[str]:
        """One optional member, if there is a short one."""
        takes = {name: self._nodes[index].tokens for name, index in node.properties.items()}
        name = min(takes, key=lambda name: takes[name], default="")
        return [name] if takes.get(name, inf) <= SHORT_ITEM_TOKENS else []

    def _further(self, node: Object, tokens: float, names: list[str]) -> Iterator[str]:
        assert node.additional is not None
        least = max(0, node.least - len(names))
        takes = self._nodes[node.additional].tokens + 4
        usual = max(takes, ITEM_TOKENS) if self._grows(node.additional) else takes
        room = 0 if takes == inf else max(1, floor((tokens - node.tokens) / usual / 2))
        most = len(synthetic.NOUNS) if node.most is None else node.most - len(names)
        wanted = max(least, min(room, most, 20))
        start = self._rng.randrange(len(synthetic.NOUNS))
        taken = set(names) | set(node.properties)
        made = 0
        for number in count():
            if made >= wanted:
                return
            turn, place = divmod(start + number, len(synthetic.NOUNS))
            name = synthetic.NOUNS[place] + (f"_{turn}" if number >= len(synthetic.NOUNS) else "")
            if name not in taken:
                made += 1
                yield name

    def _shares(self, places: list[int], tokens: float) -> list[float]:
        """The shortest for each, and what is left for those that can grow."""
        least = [self._nodes[i].tokens for i in places]
        growing = [self._grows(i) for i in places]
        extra = max(0.0, tokens - sum(least)) / max(1, sum(growing))
        return [short + extra * grows for short, grows in zip(least, growing, strict=True)]


def _cut(text: str, least: int, most: int) -> str:
    """To at most `most` letters, at the end of a word if that leaves enough."""
    cut = text[:most]
    whole = cut.rpartition(" ")[0]
    return whole if len(whole) >= max(least, 1) else cut


def _key_tokens(name: str) -> float:
    return 3 + len(name) / 5
