"""What a probe may take, in tokens and money: reserved before a request leaves, settled by its usage."""

from dataclasses import dataclass
from typing import NamedTuple

PER_PRICE = 1e6
"""Prices are of a million tokens."""


class Tokens(NamedTuple):
    prompt: int
    output: int

    @property
    def total(self) -> int:
        return self.prompt + self.output

    def __add__(self, other: object) -> "Tokens":
        assert isinstance(other, Tokens)
        return Tokens(self.prompt + other.prompt, self.output + other.output)


NOTHING = Tokens(0, 0)


class Prices(NamedTuple):
    """US dollars for a million tokens. Cached ones count like others: at most they cost as much."""

    input_usd: float
    output_usd: float

    def of(self, tokens: Tokens) -> float:
        return (tokens.prompt * self.input_usd + tokens.output * self.output_usd) / PER_PRICE


@dataclass
class Ledger:
    """`taken` and `reserved` together stay within the limits, unless an answer is larger than reserved."""

    prices: Prices | None = None
    most_tokens: int | None = None
    most_usd: float | None = None
    taken: Tokens = NOTHING
    reserved: Tokens = NOTHING

    def reserve(self, most: Tokens) -> bool:
        """False, and nothing reserved, where it might exceed a limit."""
        whole = self.taken + self.reserved + most
        if self.most_tokens is not None and whole.total > self.most_tokens:
            return False
        if self.prices is not None and self.most_usd is not None and self.prices.of(whole) > self.most_usd:
            return False
        self.reserved = self.reserved + most
        return True

    def settle(self, most: Tokens, took: Tokens | None) -> None:
        """None where the server did not say: then all that was reserved counts as taken."""
        left = self.reserved
        self.reserved = Tokens(left.prompt - most.prompt, left.output - most.output)
        self.taken = self.taken + (most if took is None else took)

    @property
    def taken_usd(self) -> float | None:
        return None if self.prices is None else self.prices.of(self.taken)
