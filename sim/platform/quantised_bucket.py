"""A bucket that refills in portions, as some gateways do to spare themselves a clock."""

from sim.platform.meter import Rate
from sim.platform.token_bucket import Layer, TokenBucket


class QuantisedBucket:
    """A linear bucket that looks at a clock which stands still within each quantum.

    So all that holds of that bucket holds at the turns of the quanta, of what is given back, too.
    """

    __slots__ = ("_bucket", "_quantum_ps", "limit")

    def __init__(self, rate: Rate) -> None:
        assert rate.window_ps % rate.quantum_ps == 0, rate
        self.limit, self._quantum_ps = rate.limit, rate.quantum_ps
        self._bucket = TokenBucket(rate)

    def used(self, now_ps: int) -> int:
        return self._bucket.used(self._turn_ps(now_ps))

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        turn_ps = self._turn_ps(now_ps)
        wait_ps = self._bucket.wait_ps(turn_ps, amount)
        if not wait_ps:
            return wait_ps
        return turn_ps + -(-wait_ps // self._quantum_ps) * self._quantum_ps - now_ps

    def take(self, now_ps: int, amount: int) -> None:
        self._bucket.take(self._turn_ps(now_ps), amount)

    def reserve(self, now_ps: int, amount: int) -> Layer:
        return self._bucket.reserve(self._turn_ps(now_ps), amount)

    def settle(self, now_ps: int, reservation: Layer, unused: int) -> None:
        self._bucket.settle(self._turn_ps(now_ps), reservation, unused)

    def _turn_ps(self, now_ps: int) -> int:
        """When the present quantum began."""
        return now_ps - now_ps % self._quantum_ps
