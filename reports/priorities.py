"""How long each class of requests waits for a node, where a model serves more than one."""

from collections.abc import Iterator, Sequence
from typing import Any

from reports import metrics
from reports.arrays import distinct
from reports.columns import Columns
from reports.group import stats_json
from reports.metrics import Window
from reports.statistics import Samples


def priorities_json(requests: Columns, window: Window, replications: Sequence[int]) -> list[dict[str, Any]]:
    """A row per model and priority, the most urgent first; none of a model that knows one priority only."""
    offered = requests.take(window.offered(requests))
    return [
        row
        for code, model in enumerate(requests.names["model"])
        for row in _model_json(model, offered.take(offered["model"] == code), replications)
    ]


def _model_json(model: str, offered: Columns, replications: Sequence[int]) -> Iterator[dict[str, Any]]:
    found = set[int]()
    for part in offered.parts("priority"):
        found.update(distinct(part["priority"]).tolist())
    priorities = sorted(found)
    for priority in priorities if len(priorities) > 1 else ():
        mine = offered.take(offered["priority"] == priority)
        done = mine.take(mine.outcome("completed"))
        waited_s = metrics.REQUEST_METRICS["queue"](done)
        samples = Samples.of(waited_s, done["replication"], replications, least=0.0)
        yield {
            "model": model,
            "priority": priority,
            "offered": len(mine),
            "completed": len(done),
            "queue": stats_json(samples),
        }
