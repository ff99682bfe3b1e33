"""What a probe is going to do, said before its first request."""

from dataclasses import dataclass

from api_shim.probe.ledger import Ledger, Tokens

SPOKEN_S = 90


@dataclass(frozen=True)
class Plan:
    """`expects` is likely; nothing goes beyond `at_most`, nor beyond the limits of the ledger."""

    url: str
    model: str
    requests: int
    what: str
    rate_per_s: float
    burst: int
    expects: Tokens
    at_most: Tokens
    stops: str
    least_s: float | None = None
    """How long it takes at the least; None: the requests at the rate."""

    def lines(self, ledger: Ledger) -> list[str]:
        least_s = (self.requests - 1) / self.rate_per_s if self.least_s is None else self.least_s
        bursts = f", bursts of {self.burst}" if self.burst > 1 else ""
        tokens = f"about {self.expects.prompt:,} prompt and {self.expects.output:,} output tokens"
        return [
            f"The plan for {self.url}, model {self.model}:",
            f"  {self.requests:,} requests at most: {self.what}",
            f"  never more than {self.rate_per_s:.4g} a second{bursts}; {_time(least_s)} at the least",
            f"  {tokens}; never more than {self.most_tokens(ledger):,} together",
            f"  {self._money(ledger)}",
            f"  {self.stops}",
        ]

    def most_tokens(self, ledger: Ledger) -> int:
        most = self.at_most.total
        return most if ledger.most_tokens is None else min(most, ledger.most_tokens)

    def _money(self, ledger: Ledger) -> str:
        if ledger.prices is None:
            return "cost: not known, since no --price is stated"
        most = ledger.prices.of(self.at_most)
        most = most if ledger.most_usd is None else min(most, ledger.most_usd)
        prices = f"{ledger.prices.input_usd:g} and {ledger.prices.output_usd:g} USD a million tokens"
        return f"about {ledger.prices.of(self.expects):.3g} USD at {prices}; never more than {most:.3g} USD"

    def as_json(self, ledger: Ledger) -> dict[str, object]:
        return {
            "requests": self.requests,
            "rate_per_s": self.rate_per_s,
            "burst": self.burst,
            "expected_tokens": self.expects._asdict(),
            "most_tokens": self.most_tokens(ledger),
            "expected_usd": None if ledger.prices is None else ledger.prices.of(self.expects),
            "most_usd": ledger.most_usd,
        }


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < SPOKEN_S else f"{seconds / 60:.0f} min"
