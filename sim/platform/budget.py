"""The limiters of one budget on one model: one for each project or key, made when it first asks."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sim.platform.rate_limit import Limiter
from traffic.request import Request

FORGET_AT = 1024
"""So many limiters are kept whether or not they matter."""


@dataclass(slots=True)
class Budget:
    make_limiter: Callable[[], Limiter]
    per_key: bool = False
    """Else per project."""
    limiters: dict[str, Limiter] = field(default_factory=dict)
    _forget_at: int = field(default=FORGET_AT, init=False)

    def limiter(self, request: Request, now_ps: int) -> Limiter:
        owner = request.key if self.per_key else request.project
        limiter = self.limiters.get(owner)
        if limiter is None:
            if len(self.limiters) >= self._forget_at:
                self._forget(now_ps)
            limiter = self.limiters[owner] = self.make_limiter()
        return limiter

    def _forget(self, now_ps: int) -> None:
        """Keep those that matter: of owners who asked within the last minute, owe something, or wait.

        When that happens changes no answer. There are never more than twice those that matter, or FORGET_AT.
        """
        kept = {owner: limiter for owner, limiter in self.limiters.items() if not limiter.is_as_new(now_ps)}
        self.limiters = kept
        self._forget_at = max(FORGET_AT, 2 * len(kept))
