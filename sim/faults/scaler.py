"""Does to a pool what its scaling policy wants: orders nodes, lets them in, drains and gives back.

A node is paid for from its order to its end. One that drains finishes what it has, and ends at the first
look at which it is empty. Who goes first is the node with the highest number, those still starting before
all others. A number is given again, but the node behind it starts with an empty cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sim.platform.members import MakeNode
from sim.platform.pool import Pool
from sim.platform.recorder import Recorder
from sim.time.timeline import Alarm, Timeline
from sim.time.units import PS_PER_S, ps_of_s

if TYPE_CHECKING:
    from sim.faults.scaling import Fleet, Scaling

MOST_DRAINING = 4
"""Times as many nodes as there may be: so many numbers there are, for those too that still drain."""


@dataclass(slots=True)
class Lifetime:
    """Of one node, from its order on. Times are -1 until they come."""

    ordered_ps: int
    began_ps: int = -1
    """It takes requests."""
    drained_ps: int = -1
    """It takes no more, or was no longer wanted while it started."""
    ended_ps: int = -1


class Outlook(NamedTuple):
    """What a scaler cannot see by itself."""

    waiting: Callable[[], int]
    places: int
    joined: Callable[[], None]
    """To be told when a node takes requests."""


class Scaler:
    def __init__(
        self,
        env: Timeline,
        model: str,
        pool: Pool,
        nodes: int,
        policy: "Scaling",
        make: MakeNode,
        outlook: Outlook,
    ) -> None:
        """`nodes` take requests from the start; `make` makes one from its number."""
        self._env, self._model, self._pool, self._policy = env, model, pool, policy
        self._make, self._outlook = make, outlook
        self._every_ps = ps_of_s(policy.every_s)
        self._alive = {index: Lifetime(0, 0) for index in range(nodes)}
        """By number: ordered and not ended."""
        self._starting: dict[int, Alarm] = {}
        self._draining: set[int] = set()
        self._ended: list[tuple[int, Lifetime]] = []
        self._quiet_until_ps = 0
        self._stopped = False
        self._rows = 0
        Alarm(env, 0, self._look)

    def stop(self) -> None:
        """No more looks: nothing is ordered or drained any more."""
        self._stopped = True

    def record(self, records: Recorder) -> None:
        """A row for each life, in the order of their orders."""
        lives = sorted([*self._ended, *self._alive.items()], key=lambda one: (one[1].ordered_ps, one[0]))
        (code,) = records.labels.codes(model=self._model)
        for index, life in lives:
            stamps = (life.ordered_ps, life.began_ps, life.drained_ps, life.ended_ps)
            records.add((self._rows, code, index, *stamps))
            self._rows += 1

    def _look(self, _alarm: Alarm) -> None:
        if self._stopped:
            return
        now_ps = self._env.now
        self._give_back(now_ps)
        if now_ps >= self._quiet_until_ps:
            fleet, policy = self._fleet(now_ps), self._policy
            wanted = min(max(policy.wanted(fleet), policy.min_nodes), policy.max_nodes)
            if wanted != fleet.nodes:
                self._change(wanted - fleet.nodes, now_ps)
                self._quiet_until_ps = now_ps + ps_of_s(policy.quiet_s)
        Alarm(self._env, now_ps + self._every_ps, self._look)

    def _fleet(self, now_ps: int) -> "Fleet":
        from sim.faults.scaling import Fleet  # noqa: PLC0415 -- it is there: the policy comes from it

        members = self._pool.members
        running = sum(self._pool.node(i).kernel.running for i in members.indexes if i in members.made)
        return Fleet(
            now_ps / PS_PER_S,
            len(members) + len(self._starting),
            len(members),
            self._outlook.waiting(),
            running,
            self._outlook.places,
        )

    def _change(self, more: int, now_ps: int) -> None:
        for _ in range(more):
            self._order(now_ps)
        for _ in range(-more):
            if self._starting:
                self._dismiss(max(self._starting), now_ps)
            else:
                self._drain(self._pool.members.indexes[-1], now_ps)

    def _order(self, now_ps: int) -> None:
        index = next(i for i in range(len(self._alive) + 1) if i not in self._alive)
        if index >= MOST_DRAINING * self._policy.max_nodes:
            return  # so many still drain
        self._alive[index] = Lifetime(now_ps)
        begins_ps = now_ps + ps_of_s(self._policy.start_up_s)
        self._starting[index] = Alarm(self._env, begins_ps, self._started, index)

    def _started(self, alarm: Alarm) -> None:
        index: int = alarm.subject
        del self._starting[index]
        self._alive[index].began_ps = self._env.now
        node = self._pool.members.made.get(index)
        if node is None:
            node = self._make(index)
        else:
            node.crash()  # whatever it had cached is not in the new machine
        self._pool.join(node)
        self._outlook.joined()

    def _dismiss(self, index: int, now_ps: int) -> None:
        self._env.cancel(self._starting.pop(index))
        life = self._alive.pop(index)
        life.drained_ps = life.ended_ps = now_ps
        self._ended.append((index, life))

    def _drain(self, index: int, now_ps: int) -> None:
        self._pool.drain(self._pool.node(index))
        self._alive[index].drained_ps = now_ps
        self._draining.add(index)

    def _give_back(self, now_ps: int) -> None:
        for index in sorted(self._draining):
            if not self._pool.node(index).outstanding:
                self._draining.remove(index)
                life = self._alive.pop(index)
                life.ended_ps = now_ps
                self._ended.append((index, life))
