"""The parts of a world that can break, and what to do to them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from numpy.random import Generator

from hwmodels.step_time import AffineStepTime, slowed
from sim.network.network import Leg, Network
from sim.network.path import Path
from sim.network.trouble import Burst, Outage, Trouble
from sim.node.node import Moving
from sim.platform.platform import Losses, Platform
from sim.platform.pool import Pool

Befalls = Callable[[Leg, Path], bool]
"""Whether a way, and its path, is among those that break."""


class Ground:
    """`laws`: the step-time law of each model's nodes as long as nothing is wrong with them.

    `places` are those of `network`; `stream` gives the random numbers of a name.
    """

    def __init__(
        self,
        platform: Platform,
        laws: Mapping[str, AffineStepTime],
        network: Network,
        places: Sequence[str],
        stream: Callable[[str], Generator],
    ) -> None:
        self.platform = platform
        self._laws = laws
        self._network = network
        self._places = places
        self._stream = cache(stream)  # one after the other, the bursts of one hop go on with the same draws

    def crash(self, model: str, index: int, moving: Moving) -> Losses:
        """The node takes no more requests, and what it had is lost. Nothing, where it is not there at all."""
        pool = self._pool(model)
        if pool.takes(index):
            pool.drain(pool.node(index))
            pool.lost.add(index)
        elif index not in pool.members.made:
            return Losses(0, 0)
        return self.platform.lose(pool.node(index), moving)

    def drain(self, model: str, index: int) -> None:
        """The node finishes what it has and takes no more."""
        pool = self._pool(model)
        if pool.takes(index):
            pool.drain(pool.node(index))
            pool.lost.add(index)

    def restart(self, model: str, index: int) -> None:
        """The node takes requests again; whoever waits for one may enter."""
        pool = self._pool(model)
        if index not in pool.lost:
            return  # it had left before it broke
        pool.lost.remove(index)
        pool.join(pool.node(index))
        flow = self.platform.gateway.admissions[model].flow
        if flow is not None:
            flow.more_room()

    def slow(self, model: str, index: int, factor: float) -> None:
        """From its next step on the node takes `factor` times as long as usual."""
        law = self._laws[model]
        self.platform.pools[model].node(index).change_law(law if factor == 1 else slowed(law, factor))

    def interrupt(self, befalls: Befalls, until_ps: int, *, resets: bool) -> tuple[Callable[[], None], int]:
        """Nothing gets through on these ways until then; what ends that, and how many requests failed."""
        outage = Outage(self.platform.env.now, until_ps, resets)
        troubles = self._troubles(befalls)
        for trouble in troubles:
            trouble.active.append(outage)
        failed = self.platform.break_paths(troubles) if resets else 0
        return lambda: _over(troubles, outage), failed

    def lose_packets(self, befalls: Befalls, loss: float, name: str) -> Callable[[], None]:
        """On these ways each segment is lost with the probability `loss`; `name` is that of the draws."""
        burst = Burst(loss, self._stream(f"faults/packets/{name}"))
        troubles = self._troubles(befalls)
        for trouble in troubles:
            trouble.active.append(burst)
        return lambda: _over(troubles, burst)

    def _troubles(self, befalls: Befalls) -> list[Trouble]:
        network, places = self._network, self._places
        legs: list[Leg] = [(a, b) for a in places for b in (None, *places) if a != b]
        return [network.trouble(*leg) for leg in legs if befalls(leg, network.path(*leg))]

    def _pool(self, model: str) -> Pool:
        pool = self.platform.pools[model]
        assert isinstance(pool, Pool), f"nodes of {model} cannot leave"
        return pool


def _over(troubles: list[Trouble], what: Outage | Burst) -> None:
    for trouble in troubles:
        trouble.active = [one for one in trouble.active if one is not what]
