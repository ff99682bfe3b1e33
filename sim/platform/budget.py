"""The limiters of one budget on one model: one for each who shares it, made when somebody first asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sim.platform.rate_limit import Cost, Limiter
from traffic.request import Request

FORGET_AT = 1024
"""So many limiters are kept whether or not they matter."""

SCOPES: Mapping[str, Callable[[Request], str]] = {
    "project": lambda request: request.project,
    "key": lambda request: request.key,
    "tier": lambda request: request.tier,
}
"""Who shares a limit."""


@dataclass(slots=True)
class Budget:
    make_limiter: Callable[[], Limiter]
    owner: Callable[[Request], str] = SCOPES["project"]
    limiters: dict[str, Limiter] = field(default_factory=dict)
    _forget_at: int = field(default=FORGET_AT, init=False)

    def limiter(self, request: Request, now_ps: int) -> Limiter:
        owner = self.owner(request)
        limiter = self.limiters.get(owner)
        if limiter is None:
            if len(self.limiters) >= self._forget_at:
                self._forget(now_ps)
            limiter = self.limiters[owner] = self.make_limiter()
        return limiter

    def _forget(self, now_ps: int) -> None:
        """Keep those that matter: of owners who asked within the last window, owe something, or wait.

        When that happens changes no answer. There are never more than twice those that matter, or FORGET_AT.
        """
        kept = {owner: limiter for owner, limiter in self.limiters.items() if not limiter.is_as_new(now_ps)}
        self.limiters = kept
        self._forget_at = max(FORGET_AT, 2 * len(kept))


@dataclass(frozen=True, slots=True)
class Budgets:
    """All budgets of one model, and what they reserve."""

    interactive: tuple[Budget, ...] = ()
    """A request must fit all of them."""
    tiers: Mapping[str, Budget] = field(default_factory=dict)
    """Instead of the first, for requests of these tiers."""
    batch: tuple[Budget, ...] = ()
    """What batch work spends instead."""
    default_output_reservation_tokens: int = 0

    def of(self, request: Request) -> tuple[Budget, ...]:
        if request.batch:
            return self.batch
        if request.tier in self.tiers:
            return (self.tiers[request.tier], *self.interactive[1:])
        return self.interactive

    def limiters(self, request: Request, now_ps: int) -> list[Limiter]:
        return [budget.limiter(request, now_ps) for budget in self.of(request)]

    def cost(self, request: Request) -> Cost:
        """What the limits count until the request has ended."""
        output = request.max_output_tokens
        if output is None:
            output = self.default_output_reservation_tokens
        return Cost(request.prompt_tokens, request.samples * output)

    def named(self) -> list[tuple[str, Budget]]:
        """All of them, each with who spends it: `batch`, the name of a tier, or empty for everybody."""
        return [
            *(("", budget) for budget in self.interactive),
            *self.tiers.items(),
            *(("batch", budget) for budget in self.batch),
        ]
