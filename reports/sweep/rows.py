"""A cell as a flat row: what was varied, how it went, and every number with the ends of its interval.

Names are `source.metric_statistic_s` and `model.what`; seconds, shares, and units in names throughout.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Row = dict[str, Any]
DONE, FAILED, MISSING = "done", "failed", "missing"


@dataclass(frozen=True, slots=True)
class CellRecord:
    """A cell of a sweep, with its result where there is one."""

    key: str
    point: Mapping[str, Any]
    """By field, its value."""
    variant: str
    result: Json | None
    failure: str | None = None

    @property
    def status(self) -> str:
        return DONE if self.result is not None else FAILED if self.failure else MISSING


def row_of(cell: CellRecord) -> Row:
    """Numbers that the data cannot carry are None."""
    row: Row = {**cell.point, "variant": cell.variant, "status": cell.status, "why": cell.failure or ""}
    if cell.result is not None:
        row["verdict"] = cell.result["verdict"]["state"]
        row.update(_numbers(cell.result))
    return row | {"key": cell.key}


def _numbers(result: Json) -> Iterator[tuple[str, float | None]]:
    yield "replications", result["replications"]
    for name, answer in result["rates"].items():
        yield from _estimate(name, answer)
    for source in result["sources"]:
        yield from _of_source(source)
    nodes, costs = ({row["model"]: row for row in result[part]} for part in ("models", "costs"))
    for work in result["work"]:
        yield from _of_model(work, nodes[work["model"]], costs[work["model"]])


def _of_source(source: Json) -> Iterator[tuple[str, float | None]]:
    name = source["name"]
    yield from _estimate(f"{name}.attainment", source["attainment"])
    for metric, answers in source["metrics"].items():
        for statistic, answer in answers.items():
            yield from _estimate(f"{name}.{metric}_{statistic}_s", answer)
    between = source["metrics"]["tpot"]["p50"].get("value")
    yield f"{name}.tokens_per_s_per_user", 1 / between if between else None


def _of_model(work: Json, nodes: Json, costs: Json) -> Iterator[tuple[str, float | None]]:
    name, paid = work["model"], work["paid_nodes"]
    yield f"{name}.paid_nodes", paid
    for what, value in work.items():
        if what.endswith("_per_s"):
            yield f"{name}.{what}", value
            yield f"{name}.{what}_per_node", value / paid if paid else None
    for what in ("utilisation", "batch"):
        yield from _estimate(f"{name}.{what}", nodes[what])
    for what, answer in costs.items():
        if what not in {"facts", "model"}:
            yield from _estimate(f"{name}.{what}", answer)


def _estimate(name: str, answer: Json) -> Iterator[tuple[str, float | None]]:
    for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
        yield f"{name}{suffix}", answer.get(key)
