"""The parts of a world that can break, and what to do to them."""

from collections.abc import Mapping

from hwmodels.step_time import AffineStepTime, slowed
from sim.node.node import Moving, Node
from sim.platform.platform import Losses, Platform
from sim.platform.pool import Pool
from sim.platform.ticket import Ticket


class Ground:
    """`laws`: the step-time law of each model's nodes as long as nothing is wrong with them."""

    def __init__(self, platform: Platform, laws: Mapping[str, AffineStepTime]) -> None:
        self.platform = platform
        self._laws = laws

    def crash(self, model: str, index: int, moving: Moving) -> Losses:
        """The node takes no more requests, and what it had is lost."""
        pool, node = self._node(model, index)
        pool.drain(node)
        return self.platform.lose(node, moving)

    def drain(self, model: str, index: int) -> None:
        """The node finishes what it has and takes no more."""
        pool, node = self._node(model, index)
        pool.drain(node)

    def restart(self, model: str, index: int) -> None:
        """The node takes requests again; whoever waits for one may enter."""
        pool, node = self._node(model, index)
        pool.join(node)
        flow = self.platform.gateway.admissions[model].flow
        if flow is not None:
            flow.more_room()

    def slow(self, model: str, index: int, factor: float) -> None:
        """From its next step on the node takes `factor` times as long as usual."""
        law = self._laws[model]
        self.platform.pools[model].node(index).change_law(law if factor == 1 else slowed(law, factor))

    def _node(self, model: str, index: int) -> tuple[Pool, Node[Ticket]]:
        pool = self.platform.pools[model]
        assert isinstance(pool, Pool), f"nodes of {model} cannot leave"
        return pool, pool.node(index)
