"""A bucket that refills linearly. After a settlement it stands as if the use had been known from the start.

What is in use lies in layers, one for each open reservation, a later one above an earlier one. Refill takes
from the top. So a layer and those under it together are the lowest level since that reservation, and that is
the most that may come back: the rest has refilled meanwhile, and was there for others to take.
"""

from sim.platform.meter import Rate


class Layer:
    """What is still in use of one reservation, or of several that all refill has passed."""

    __deletable__ = ("above", "below")
    __slots__ = ("above", "below", "open", "sunk_into", "units")

    def __init__(self) -> None:
        self.units = 0
        self.open = 0
        """Reservations that are not settled yet and have their place here."""
        self.above = self.below = self
        self.sunk_into: Layer | None = None

    def place(self) -> "Layer":
        """The layer that stands for this one, itself unless it has run empty."""
        layer = self
        while layer.sunk_into is not None:
            if layer.sunk_into.sunk_into is not None:
                layer.sunk_into = layer.sunk_into.sunk_into  # half the way for whoever asks next
            layer = layer.sunk_into
        return layer

    def put_under(self, above: "Layer") -> None:
        self.above, self.below = above, above.below
        above.below = self.below.above = self

    def take_out(self) -> None:
        self.above.below, self.below.above = self.below, self.above
        del self.above, self.below  # an open reservation keeps this layer, and must not keep those around it


class TokenBucket:
    """Holds a window's worth and refills linearly: what OpenAI's 429 messages imply, of a minute.

    Between top and ground every layer holds something and has open reservations: there are never more layers
    than those, and each is emptied once.
    """

    __slots__ = ("_at_ps", "_ground", "_top", "_used", "_window_ps", "limit")

    def __init__(self, rate: Rate) -> None:
        self.limit, self._window_ps = rate.limit, rate.window_ps
        self._used = 0  # in units of 1/_window_ps, so that a refill of `limit` per window is an integer
        self._at_ps = 0
        self._ground, self._top = Layer(), Layer()
        self._top.put_under(self._ground)  # a ring, of which ground is never asked for what is below

    def used(self, now_ps: int) -> int:
        return -(-self._refill(now_ps) // self._window_ps)

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        if amount > self.limit:
            return None
        excess = self._refill(now_ps) + (amount - self.limit) * self._window_ps
        return max(0, -(-excess // self.limit))

    def take(self, now_ps: int, amount: int) -> None:
        self._refill(now_ps)
        self._used += amount * self._window_ps
        self._top.units += amount * self._window_ps

    def reserve(self, now_ps: int, amount: int) -> Layer:
        self.take(now_ps, amount)
        layer = Layer()
        layer.put_under(self._top)
        layer.open = 1
        layer.units, self._top.units = self._top.units, 0
        return layer

    def settle(self, now_ps: int, reservation: Layer, unused: int) -> None:
        self._refill(now_ps)
        self._drain(reservation.place(), unused * self._window_ps)
        layer = reservation.place()
        layer.open -= 1
        if not layer.open and layer is not self._ground:
            # Nothing can come back from here alone any more, only together with what is above.
            layer.above.units += layer.units
            layer.take_out()

    def _refill(self, now_ps: int) -> int:
        if now_ps != self._at_ps:
            self._drain(self._top, self.limit * (now_ps - self._at_ps))
            self._at_ps = now_ps
        return self._used

    def _drain(self, layer: Layer, units: int) -> None:
        """Take `units` from the layer and those under it, or all they have."""
        ground, top, used = self._ground, self._top, self._used
        while units and layer is not ground:
            held, below = layer.units, layer.below
            if units < held:
                layer.units = held - units
                used -= units
                break
            layer.units = 0
            used -= held
            units -= held
            if layer is not top:
                below.open += layer.open
                layer.sunk_into = below
                layer.take_out()
            layer = below
        self._used = used
