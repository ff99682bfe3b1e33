"""One owner's limits of requests and of tokens, asked as briefly as tests like to ask."""

from typing import Any, NamedTuple

from sim.platform.meter import PS_PER_MINUTE, Meter, Rate
from sim.platform.rate_limit import NOTHING, Cost, Grant, Limit, Limiter, Refusal, Room, headroom, reserve

S = 10**12
QUANTUM_PS = 10 * S


class Let(NamedTuple):
    """A request that was let in."""

    grant: Grant

    def settle(self, now_ps: int, tokens: int) -> None:
        self.grant.settle(now_ps, Cost(tokens, 0))


class Owner(Limiter):
    """Tokens are all of the input, which is what both limits count."""

    __slots__ = ()

    def __init__(
        self,
        algorithm: str,
        requests: int,
        tokens: int,
        charge: str = "settled",
        window_ps: int = PS_PER_MINUTE,
    ) -> None:
        rates = (Rate(limit, window_ps, QUANTUM_PS) for limit in (requests, tokens))
        super().__init__(
            [
                Limit.of(quantity, rate, algorithm, charge)
                for quantity, rate in zip(("requests", "tokens"), rates, strict=True)
            ]
        )

    @property
    def requests(self) -> Meter[Any]:
        return self.limits[0].meter

    @property
    def tokens(self) -> Meter[Any]:
        return self.limits[1].meter

    def reserve(self, now_ps: int, tokens: int) -> Let | Refusal:
        answer = reserve([self], now_ps, NOTHING._replace(input_tokens=tokens))
        return answer if isinstance(answer, Refusal) else Let(answer)

    def room(self, now_ps: int) -> Room:
        """For tokens."""
        found = headroom([self], now_ps)
        assert found is not None
        return found["tokens"]
