"""The connections of every caller, from each place that it calls from.

Sources and apps are those of the scenario, and so are bounded. API keys are not: anybody may bring one.
"""

from collections.abc import Callable, Iterable

from sim.network.connections import Link
from traffic.request import is_key

MakeLink = Callable[[str, str], Link]
"""(caller, place) -> the caller's connections from there to the gateway."""
FORGET_AT = 1024
"""So many links are kept whether or not they matter."""


class Links:
    """Forgets a key whose connections are all closed: it opens one for its next request anyway.

    Only the draws of its jitter begin anew then, from a stream of which `forgotten` is part of the name. What
    is forgotten, and when, follows from what came in alone, so that a replay forgets the same.
    """

    def __init__(self, make_link: MakeLink, in_use: Callable[[], Iterable[Link]]) -> None:
        """`in_use` are the links of requests that are under way."""
        self.forgotten = 0
        """Links so far."""
        self._make_link = make_link
        self._in_use = in_use
        self._links: dict[tuple[str, str], Link] = {}
        self._forget_at = FORGET_AT

    def __len__(self) -> int:
        return len(self._links)

    def link(self, caller: str, place: str, now_ps: int) -> Link:
        link = self._links.get((caller, place))
        if link is None:
            if len(self._links) >= self._forget_at:
                self._forget(now_ps)
            link = self._links[caller, place] = self._make_link(caller, place)
        return link

    def _forget(self, now_ps: int) -> None:
        """There are never more than twice those that matter, or FORGET_AT."""
        in_use = {id(link) for link in self._in_use()}
        kept = {
            (caller, place): link
            for (caller, place), link in self._links.items()
            if not is_key(caller) or id(link) in in_use or not link.is_cold(now_ps)
        }
        self.forgotten += len(self._links) - len(kept)
        self._links = kept
        self._forget_at = max(FORGET_AT, 2 * len(kept))
