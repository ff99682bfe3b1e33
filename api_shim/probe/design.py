"""What a probe asks: kinds of requests, each to tell one thing apart, in rounds of shuffled order.

Kinds differ in one thing from another kind, so that their difference is that thing. Whatever drifts while the
probe lasts meets all kinds alike, since each round has every kind once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from api_shim.probe.ledger import Tokens
from api_shim.probe.wording import most_tokens_for
from e80sim.mistakes import UserError

WARM_UPS = 4
"""At most: a body that the server takes is found by the third, and the fourth tells the tokens of a word."""
WAVES = 2
"""So many requests for each place at every concurrency."""
SHORT_ANSWER = 4
"""Tokens of an answer that is asked for its first one."""
LEAST_ROUNDS = 2

ROUND_TRIP, NEW_ROUND_TRIP = "round_trip", "new_round_trip"
WARM_UP, PROMPT, NEW = "warm_up", "prompt", "new_connection"
FIRST_OF_REPEATS, REPEAT = "first_of_repeats", "repeat"
OUTPUT, CONTEXT, CONCURRENCY, TRAFFIC = "output", "context", "concurrency", "traffic"
TELLS = {
    ROUND_TRIP: "a round trip: GET /models over a connection that is there",
    NEW_ROUND_TRIP: "the same over a new connection: its set-up",
    PROMPT: "TTFT against prompt length, each prompt new to any cache",
    REPEAT: "the longest prompt once more: whether a prefix cache answers",
    NEW: "a short chat over a new connection",
    OUTPUT: "the time of a token, by answers of several lengths",
    CONTEXT: "a long answer to the longest prompt: what cached tokens cost",
    CONCURRENCY: "several at once: what a batch costs, and who waits",
}
"""By purpose."""


class Cell(NamedTuple):
    """A kind of request."""

    purpose: str
    prompt_tokens: int = 0
    """0: no chat, but a GET."""
    output_tokens: int = 0
    in_flight: int = 1
    label: str = ""
    """Of traffic: its source."""

    @property
    def name(self) -> str:
        if self.label:
            return self.label
        sizes = {
            PROMPT: f"-{self.prompt_tokens}",
            OUTPUT: f"-{self.output_tokens}",
            CONCURRENCY: f"-{self.in_flight}",
        }
        return self.purpose + sizes.get(self.purpose, "")

    @property
    def is_chat(self) -> bool:
        return self.prompt_tokens > 0

    @property
    def fresh_connection(self) -> bool:
        return self.purpose in {NEW, NEW_ROUND_TRIP}

    @property
    def expects(self) -> Tokens:
        return Tokens(self.prompt_tokens, self.output_tokens)

    @property
    def at_most(self) -> Tokens:
        return (
            Tokens(most_tokens_for(self.prompt_tokens), self.output_tokens) if self.is_chat else Tokens(0, 0)
        )


@dataclass(frozen=True)
class Design:
    prompts: tuple[int, ...]
    outputs: tuple[int, ...]
    concurrency: tuple[int, ...]
    """Beyond 1, ascending."""
    rounds: int

    @classmethod
    def fitting(
        cls, prompts: Sequence[int], outputs: Sequence[int], concurrency: Sequence[int], requests: int
    ) -> "Design":
        """With as many rounds as `requests` allow. UserError where they allow too few."""
        shape = (
            tuple(sorted(set(prompts))),
            tuple(sorted(set(outputs))),
            tuple(sorted({*concurrency} - {1})),
        )
        least = cls(*shape, LEAST_ROUNDS)
        if requests < least.requests:
            raise UserError(
                f"--requests {requests} is too few: {LEAST_ROUNDS} rounds of this design take "
                f"{least.requests}; fewer lengths or steps of concurrency take less"
            )
        more = (requests - least.requests) // len(least.kinds)
        return cls(*shape, LEAST_ROUNDS + more)

    @property
    def kinds(self) -> list[Cell]:
        """Of a round."""
        shortest, longest = self.prompts[0], self.prompts[-1]
        return [
            Cell(ROUND_TRIP),
            Cell(NEW_ROUND_TRIP),
            *(Cell(PROMPT, tokens, SHORT_ANSWER) for tokens in self.prompts),
            Cell(REPEAT, longest, SHORT_ANSWER),
            Cell(NEW, shortest, SHORT_ANSWER),
            *(Cell(OUTPUT, shortest, tokens) for tokens in self.outputs),
            Cell(CONTEXT, longest, self.outputs[-1]),
        ]

    @property
    def warm_ups(self) -> list[Cell]:
        return warm_ups(self.prompts[0], self.prompts[-1])

    @property
    def first_of_repeats(self) -> Cell:
        return Cell(FIRST_OF_REPEATS, self.prompts[-1], SHORT_ANSWER)

    @property
    def steps(self) -> list[Cell]:
        """Of concurrency."""
        return [Cell(CONCURRENCY, self.prompts[0], self.outputs[-1], many) for many in self.concurrency]

    @property
    def cells(self) -> list[tuple[Cell, int]]:
        """All that is asked at most, with how often."""
        return [
            *((cell, 1) for cell in (*self.warm_ups, self.first_of_repeats)),
            *((cell, self.rounds) for cell in self.kinds),
            *((cell, WAVES * cell.in_flight) for cell in self.steps),
        ]

    @property
    def requests(self) -> int:
        return sum(times for _, times in self.cells)

    @property
    def expects(self) -> Tokens:
        return _sum(self.cells, at_most=False)

    @property
    def at_most(self) -> Tokens:
        return _sum(self.cells, at_most=True)

    def shuffled(self, seed: int) -> Iterator[Cell]:
        """All rounds, one after the other."""
        rng = np.random.default_rng(seed)
        kinds = self.kinds
        for _ in range(self.rounds):
            yield from (kinds[place] for place in rng.permutation(len(kinds)))


def warm_ups(shortest: int, longest: int) -> list[Cell]:
    """The last one tells how words count."""
    short = Cell(WARM_UP, shortest, SHORT_ANSWER)
    return [short] * (WARM_UPS - 1) + [Cell(WARM_UP, longest, SHORT_ANSWER)]


def _sum(cells: Sequence[tuple[Cell, int]], *, at_most: bool) -> Tokens:
    each = [(cell.at_most if at_most else cell.expects, times) for cell, times in cells]
    return Tokens(
        sum(tokens.prompt * times for tokens, times in each),
        sum(tokens.output * times for tokens, times in each),
    )
