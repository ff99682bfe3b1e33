"""The user's way to an application: the network between where the user is and the Edge, there and back."""

from dataclasses import dataclass, field
from math import ceil

from sim.network import Departure, Link, Network
from sim.network.transport import Transport
from sim.platform.links import Links
from sim.time.streams import Streams


@dataclass(slots=True, eq=False)
class UserLeg:
    """Of one request. All times are simulated picoseconds, those passed in the present's."""

    link: Link
    departure: Departure
    under_way: set["UserLeg"] = field(repr=False)

    @property
    def arrived_ps(self) -> int:
        """The request, as far as its length was known, is at the application."""
        return self.departure.arrived_ps

    @property
    def out_ps(self) -> int:
        """How long a message takes on the connection that stands."""
        return self.departure.arrived_ps - self.departure.connected_ps

    def whole_ps(self, now_ps: int, size_bytes: int) -> int:
        """When an answer in one piece, which leaves now, is at the user. That is its end."""
        wire = self.link.wire
        tokens = max(0, ceil((size_bytes - wire.answer_bytes) / wire.bytes_per_output_token))
        return self._over(self.link.whole(self.departure, now_ps, tokens))

    def first_ps(self, now_ps: int) -> int:
        """When the beginning of a stream, which leaves now, is there."""
        return self.link.begins(self.departure, now_ps)

    def last_ps(self, now_ps: int, size_bytes: int) -> int:
        """When the end of a stream that has begun is there, which leaves now. That is its end."""
        events = max(2, ceil(size_bytes / self.link.wire.event_bytes))
        return self._over(self.link.ends(self.departure, now_ps, events))

    def drop(self) -> None:
        """If it has not ended, it never does, and its connection is closed."""
        self.under_way.discard(self)

    def _over(self, at_ps: int) -> int:
        self.drop()
        self.link.release(self.departure.connection, at_ps)
        return at_ps


class UserLegs:
    """Every user's connections to the applications, which are all at one place."""

    def __init__(self, network: Network, streams: Streams, edge: str) -> None:
        self._network = network
        self._streams = streams
        self.edge = edge
        self._under_way: set[UserLeg] = set()
        self._links = Links(self._make, lambda: (leg.link for leg in self._under_way))

    def begin(self, user: str, place: str, now_ps: int, size_bytes: int) -> UserLeg:
        """`user` is a caller's name for connections; it sends a body of so many bytes."""
        link = self._links.link(user, place, now_ps)
        departure = link.send(now_ps, _prompt_tokens(link.wire, size_bytes))
        leg = UserLeg(link, departure, self._under_way)
        self._under_way.add(leg)
        return leg

    def _make(self, user: str, place: str) -> Link:
        again = f"/{self._links.forgotten}" if self._links.forgotten else ""
        rng = self._streams.stream(f"network/{user}/{place}/to {self.edge}{again}")
        return self._network.link(place, self.edge, rng, block=2)


def _prompt_tokens(wire: Transport, size_bytes: int) -> int:
    """The link counts in tokens; what a request has beside its body it adds by itself."""
    return ceil(size_bytes / wire.bytes_per_prompt_token)
