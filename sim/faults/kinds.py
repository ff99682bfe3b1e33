"""The kinds of faults: what each breaks, and how that is mended. The table is at the end."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from e80sim.choices import OneOf, by_kind
from sim.faults.schedule import Schedule
from sim.network.network import Leg
from sim.network.path import Path
from sim.time.units import ps_of_s
from traffic.spec import MAX_S

if TYPE_CHECKING:
    from sim.faults.ground import Ground
    from sim.node.node import Moving

MOST_NODES = 10_000
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
PlaceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
HopKind = Annotated[
    str, Field(min_length=1, max_length=64, description="a kind of hop, as `e80sim path` lists them")
]
NodeIndex = Annotated[int, Field(ge=0, lt=MOST_NODES)]


class Target(NamedTuple):
    """What breaks as one thing: one node, or one part of the network."""

    label: str
    """For people, and part of the name of its random stream."""
    model: str = ""
    node: int = -1


class Struck(NamedTuple):
    """What a fault did at once, and how it is mended."""

    mend: Callable[[], None]
    failed: int = 0
    moved: int = 0
    """Requests that were inside."""


class Fault(Schedule, ABC):
    """One line of the section `faults`."""

    kind: str

    @abstractmethod
    def targets(self, nodes: Callable[[str], int]) -> Iterator[Target]:
        """`nodes` says how many a model has."""

    @abstractmethod
    def strike(self, ground: "Ground", target: Target, end_ps: int | None) -> Struck:
        """Break `target` now; it will be mended at `end_ps`."""


class NodeFault(Fault):
    """Of one node, several, or all of a model."""

    model: ModelName
    nodes: list[NodeIndex] | Literal["all"] = Field(
        description="their numbers, from 0 on, or `all`; by chance each breaks by itself"
    )

    def targets(self, nodes: Callable[[str], int]) -> Iterator[Target]:
        numbers: Sequence[int] = range(nodes(self.model)) if self.nodes == "all" else self.nodes
        return (Target(f"node {index} of {self.model}", self.model, index) for index in numbers)


class NodeCrash(NodeFault):
    """A node dies with everything in it, and comes back empty."""

    kind: Literal["node_crash"] = "node_crash"
    requests: Literal["fail", "requeue"] = Field(
        description="`fail`: those inside end as `node_lost`, and their callers hear of it; `requeue`: the "
        "platform puts them on other nodes, where they go on from the token that they had come to"
    )
    kv: Literal["lost", "kept"] = Field(
        "lost",
        description="of requests that go on elsewhere: `lost`: prompt and answer so far are computed anew; "
        "`kept`: their KV cache was saved outside of the node and is there at once",
    )
    restart_s: float = Field(
        0.0, ge=0, le=MAX_S, description="after `for_s`, or the repair, until it takes requests again"
    )

    @property
    def extra_ps(self) -> int:
        return ps_of_s(self.restart_s)

    def strike(self, ground: "Ground", target: Target, end_ps: int | None) -> Struck:
        del end_ps
        moving: Moving = ""
        if self.requests == "requeue":
            moving = "with_kv" if self.kv == "kept" else "without_kv"
        losses = ground.crash(target.model, target.node, moving)
        return Struck(lambda: ground.restart(target.model, target.node), *losses)


class SlowNode(NodeFault):
    """Every step of a node takes longer, as under a throttled clock or a bad link between its chips."""

    kind: Literal["slow_node"] = "slow_node"
    factor: float = Field(gt=1, le=1000, description="so many times as long as usual, from its next step on")

    def strike(self, ground: "Ground", target: Target, end_ps: int | None) -> Struck:
        del end_ps
        ground.slow(target.model, target.node, self.factor)
        return Struck(lambda: ground.slow(target.model, target.node, 1))


class NetworkFault(Fault):
    """Of every path that has a part in common."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.at_s is not None and self.for_s is None:
            raise ValueError("`for_s` is missing: what is sent meanwhile waits for the end of it")
        return self

    @abstractmethod
    def befalls(self, leg: Leg, path: Path) -> bool:
        """Whether the way from one place to the other, `leg`, is among them."""

    @abstractmethod
    def label(self) -> str:
        """What breaks, in words."""

    def targets(self, nodes: Callable[[str], int]) -> Iterator[Target]:
        del nodes
        yield Target(self.label())


class Interruption(NetworkFault):
    connections: Literal["wait", "reset"] = Field(
        "wait",
        description="`wait`: what is sent meanwhile is sent again and again, as TCP does, until it gets "
        "through; `reset`: requests under way end as `path_lost`, and so do those that are sent meanwhile",
    )

    def strike(self, ground: "Ground", target: Target, end_ps: int | None) -> Struck:
        del target
        assert end_ps is not None
        return Struck(*ground.interrupt(self.befalls, end_ps, resets=self.connections == "reset"))


class HopOutage(Interruption):
    """One part of the network lets nothing through."""

    kind: Literal["hop_outage"] = "hop_outage"
    hop: HopKind

    def label(self) -> str:
        return f"hop {self.hop}"

    def befalls(self, leg: Leg, path: Path) -> bool:
        del leg
        return passes(path, self.hop)


class RegionCut(Interruption):
    """A place is cut off: nothing gets there, and nothing comes from there."""

    kind: Literal["region_cut"] = "region_cut"
    place: PlaceName

    def label(self) -> str:
        return f"place {self.place}"

    def befalls(self, leg: Leg, path: Path) -> bool:
        del path
        return self.place in leg


class PacketLoss(NetworkFault):
    """One part of the network loses much more than usual."""

    kind: Literal["packet_loss"] = "packet_loss"
    hop: HopKind
    loss_per_segment: float = Field(ge=0.0001, le=0.9, description="beside what paths lose anyway")

    def label(self) -> str:
        return f"hop {self.hop}"

    def befalls(self, leg: Leg, path: Path) -> bool:
        del leg
        return passes(path, self.hop)

    def strike(self, ground: "Ground", target: Target, end_ps: int | None) -> Struck:
        del end_ps
        return Struck(ground.lose_packets(self.befalls, self.loss_per_segment, target.label))


def passes(path: Path, hop: str) -> bool:
    """Whether it has a hop of this kind."""
    return any(one.kind == hop for one in path.hops)


FAULTS: dict[str, type[Fault]] = by_kind(NodeCrash, SlowNode, HopOutage, RegionCut, PacketLoss)
"""By kind. A new one is a class with `targets` and `strike`, and a place here: docs/extending.md."""
AnyFault = Annotated[Fault, OneOf(FAULTS)]
