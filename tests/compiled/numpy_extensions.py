"""Extensions that hand over numbers of numpy, as people do; `test_extensions.py` runs it in both builds.

Prints, for each kind, a row for each request: node, intended arrival, first token and end in ps.
"""

import json
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from e80sim.build import build
from e80sim.choices import by_kind
from sim.callers.origin import Origin
from sim.callers.session import Session
from sim.node.queue_orders import QUEUE_ORDERS
from sim.node.waiting_queue import Sorted
from sim.platform.members import Members
from sim.platform.routing import ROUTING
from sim.run.world import World
from sim.scenario.load import load
from tests.support.study import results_of, rows_of
from traffic.arrivals import ARRIVALS, ArrivalProcess
from traffic.request import Request

S_PS = 10**12
QUEUE = [
    *("models.m.nodes=1", "traffic.s.arrivals.rate_per_s=50"),
    *(
        "traffic.s.lengths.prompt={kind: geometric, mean: 20}",
        "traffic.s.lengths.output={kind: geometric, mean: 5}",
    ),
]


def by_lot(members: Members, rng: np.random.Generator) -> Callable[[Request], Any]:
    return lambda _request: members[rng.integers(len(members))]


class EverySecond(ArrivalProcess):
    """Blocks that are arrays, and lists of numpy's own numbers."""

    kind: Literal["every_second"] = "every_second"
    is_stationary: ClassVar[bool] = True

    def blocks(self, rng: np.random.Generator, horizon_ps: int, size: int = 0) -> Iterator[Any]:
        del rng, size
        yield np.arange(S_PS, horizon_ps // 2, S_PS)
        yield list(np.arange(horizon_ps // 2, horizon_ps, S_PS))

    @property
    def mean_rate_per_s(self) -> float:
        return 1


def chat(session: Session) -> Generator[Any, Any, None]:
    for tokens in np.arange(2, 5):
        yield session.ask(2 * tokens, tokens)
        yield session.pause(tokens * S_PS)
    yield session.ask_at_once([(tokens, tokens) for tokens in np.arange(2, 4)])


def asked(scenario_file: Path) -> list[dict[str, Any]]:
    scenario = load(scenario_file).base
    world = World(scenario, seed=1, replication=0, sources=False)
    origin = Origin(scenario, "s", scenario.traffic["s"])

    def send(sizes: tuple[int, int], sink: Any) -> Any:
        request = origin.request(world.numbers.next(), sizes, world.env.now, project="me", parent=-1)
        return world.platform.submit(request, sink)

    world.env.process(chat(Session(world.env, send)))
    world.run_to(20 * S_PS)
    return rows_of(world.tables("base"))


def main(folder: Path) -> None:
    file = folder / "tiny.yaml"

    def run(*settings: str) -> list[dict[str, Any]]:
        return rows_of(results_of(load(file, list(settings))).tables)

    ROUTING["by_lot"] = by_lot
    QUEUE_ORDERS["by_ratio"] = lambda: Sorted(lambda one: one.prompt_tokens / one.output_tokens)
    QUEUE_ORDERS["by_both"] = lambda: Sorted(lambda one: (one.priority, np.int64(one.prompt_tokens)))
    ARRIVALS.update(by_kind(EverySecond))
    found = {
        "routing": run("models.m.nodes=4", "models.m.routing=by_lot"),
        "order by a float": run("models.m.batching={max_num_seqs: 1, queue: by_ratio}", *QUEUE),
        "order by a tuple": run("models.m.batching={max_num_seqs: 1, queue: by_both}", *QUEUE),
        "order by an int": run("models.m.batching={max_num_seqs: 1, queue: shortest_first}", *QUEUE),
        "arrivals": run("traffic.s.arrivals={kind: every_second}"),
        "caller": asked(file),
    }
    columns = ("node", "intended_ps", "first_ps", "ended_ps")
    rows = {name: [[row[column] for column in columns] for row in rows] for name, rows in found.items()}
    print(json.dumps({"build": build().kind, "rows": rows}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
