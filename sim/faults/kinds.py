"""The kinds of faults: what each breaks, and how that is mended. The table is at the end."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from e80sim.choices import OneOf, by_kind
from sim.faults.schedule import Schedule
from sim.time.units import ps_of_s
from traffic.spec import MAX_S

if TYPE_CHECKING:
    from sim.faults.ground import Ground
    from sim.node.node import Moving

MOST_NODES = 10_000
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
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


FAULTS: dict[str, type[Fault]] = by_kind(NodeCrash, SlowNode)
"""By kind. A new one is a class with `targets` and `strike`, and a place here: docs/extending.md."""
AnyFault = Annotated[Fault, OneOf(FAULTS)]
