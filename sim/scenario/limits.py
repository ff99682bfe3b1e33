"""The section `limits` of a model: how much of what each who shares a limit may ask in a window of time."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from e80sim.choices import KeyOf
from sim.platform.budget import SCOPES, Budget, Budgets
from sim.platform.charges import CHARGES
from sim.platform.meter import Rate
from sim.platform.rate_limit import ALGORITHMS, QUANTITIES, Limit, Limiter
from sim.scenario.section import Name, Section, no_items
from sim.time.units import PS_PER_S, ps_of_s
from traffic.spec import MAX_TOKENS

MINUTE_S = 60
MOST_REQUESTS = 1_000_000_000
MOST_TOKENS = 1_000_000_000_000
PER_MINUTE = "_per_minute"


class Rates(Section):
    """At least one of them. What is left out is not limited."""

    requests_per_minute: int | None = Field(None, ge=1, le=MOST_REQUESTS)
    tokens_per_minute: int | None = Field(None, ge=1, le=MOST_TOKENS, description="input and output together")
    input_tokens_per_minute: int | None = Field(None, ge=1, le=MOST_TOKENS)
    output_tokens_per_minute: int | None = Field(None, ge=1, le=MOST_TOKENS)
    uncached_tokens_per_minute: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="input and output, without what a prefix cache held"
    )

    def stated(self) -> dict[str, int]:
        """Units a minute by quantity."""
        rates = ((quantity, getattr(self, quantity + PER_MINUTE)) for quantity in QUANTITIES)
        return {quantity: rate for quantity, rate in rates if rate is not None}

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not self.stated():
            names = ", ".join(f"`{quantity}{PER_MINUTE}`" for quantity in QUANTITIES)
            raise ValueError(f"a limit needs at least one of {names}")
        return self


class SharedRates(Rates):
    algorithm: Annotated[str, KeyOf(ALGORITHMS)] = "token_bucket"
    window_s: float = Field(
        60.0,
        ge=0.001,
        le=86_400,
        description="limits hold for windows so long, each of its share of a minute: 60,000 a minute with "
        "`window_s: 1` are 1,000 a second",
    )
    quantum_s: float | None = Field(
        None,
        ge=0.001,
        le=86_400,
        description="of `quantised`, which needs it: how often a portion comes back",
    )
    scope: Annotated[str, KeyOf(SCOPES)] = Field("project", description="who shares one limit")

    def rates(self, rates: Rates) -> dict[str, Rate]:
        """`rates` in windows of this length."""
        window_ps = ps_of_s(self.window_s)
        quantum_ps = PS_PER_S if self.quantum_s is None else ps_of_s(self.quantum_s)
        return {
            quantity: Rate(per_minute * window_ps // (MINUTE_S * PS_PER_S), window_ps, quantum_ps)
            for quantity, per_minute in rates.stated().items()
        }

    @model_validator(mode="after")
    def _quanta_fill_the_window(self) -> Self:
        if (self.quantum_s is None) is (self.algorithm == "quantised"):
            raise ValueError(
                "`quantised` needs `quantum_s`: how often a portion of the limit comes back"
                if self.quantum_s is None
                else f"`quantum_s` means nothing to `{self.algorithm}`: state `algorithm: quantised`, or "
                "leave it out"
            )
        if self.quantum_s is not None and ps_of_s(self.window_s) % ps_of_s(self.quantum_s):
            raise ValueError(
                f"a window of {self.window_s:g} s does not hold a whole number of quanta of "
                f"{self.quantum_s:g} s"
            )
        return self

    @model_validator(mode="after")
    def _whole_windows(self) -> Self:
        self.require_whole(self)
        return self

    def require_whole(self, rates: Rates) -> None:
        for quantity, per_minute in rates.stated().items():
            units = per_minute * ps_of_s(self.window_s)
            if units % (MINUTE_S * PS_PER_S):
                share = units / (MINUTE_S * PS_PER_S)
                raise ValueError(
                    f"`{quantity}{PER_MINUTE}: {per_minute}` are {share:.6g} in a window of "
                    f"{self.window_s:g} s: choose them so that a window holds a whole number"
                )


class Limits(SharedRates):
    charge: Annotated[str, KeyOf(CHARGES)] = Field(
        "settled",
        description="of tokens. `settled`: what a request may take is reserved, and corrected to what it "
        "took when it ends; `reserved`: that is never corrected; `actual`: a request is let in while any are "
        "left, and charged when it ends",
    )
    cached_tokens: Literal["counted", "free"] = Field(
        "counted", description="whether input that a prefix cache held counts, once a request has ended"
    )
    default_output_reservation_tokens: int = Field(
        512,
        ge=0,
        le=MAX_TOKENS,
        description="reserved for the output of a request that states no maximum (assumed)",
    )
    tiers: dict[Name, Rates] = Field(
        default_factory=dict, description="instead of these limits, for requests of a `tier`"
    )
    also: list[SharedRates] = Field(
        default_factory=no_items,
        max_length=8,
        description="further limits that an interactive request must fit too, each with a scope of its own",
    )
    batch: Rates | None = Field(
        None,
        description="of batch work instead, by the same algorithm and scope; absent: it has none",
    )

    @model_validator(mode="after")
    def _all_whole(self) -> Self:
        for rates in (*self.tiers.values(), *([] if self.batch is None else [self.batch])):
            self.require_whole(rates)
        return self

    def sets(self, *, tier: str | None = None, batch: bool = False) -> Iterator[tuple[SharedRates, Rates]]:
        """What a request must fit: rates, and by which algorithm and window."""
        if batch:
            yield from () if self.batch is None else ((self, self.batch),)
            return
        yield self, self.tiers.get(tier or "", self)
        for also in self.also:
            yield also, also

    def budgets(self) -> Budgets:
        return Budgets(
            interactive=(self._budget(self, self), *(self._budget(also, also) for also in self.also)),
            tiers={name: self._budget(self, rates) for name, rates in self.tiers.items()},
            batch=() if self.batch is None else (self._budget(self, self.batch),),
            default_output_reservation_tokens=self.default_output_reservation_tokens,
        )

    def _budget(self, shared: SharedRates, rates: Rates) -> Budget:
        return Budget(partial(self._limiter, shared, rates), SCOPES[shared.scope])

    def _limiter(self, shared: SharedRates, rates: Rates) -> Limiter:
        cached_free = self.cached_tokens == "free"
        return Limiter(
            [
                Limit.of(quantity, rate, shared.algorithm, self.charge, cached_free=cached_free)
                for quantity, rate in shared.rates(rates).items()
            ]
        )
