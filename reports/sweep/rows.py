"""A cell as a flat row: what was varied, how it went, and every number with the ends of its interval.

Names are `source.metric_statistic_s` and `model.what`; seconds, shares, and units in names throughout.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Row = dict[str, Any]
TOKENS = 1e6
"""Prices are of so many."""
S_PER_HOUR = 3600
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
        yield from _paid(work, nodes[work["model"]], costs[work["model"]])
        yield from _billed(work, result["prices"].get(work["model"]))


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


def _paid(work: Json, nodes: Json, costs: Json) -> Iterator[tuple[str, float | None]]:
    """For the nodes, whether they work or not, and for each token that came of it."""
    name, price = work["model"], costs["facts"].get("usd_per_hour", {}).get("value")
    busy = nodes["utilisation"].get("value")
    spent = None if price is None else work["paid_nodes"] * price
    yield f"{name}.nodes_usd_per_hour", spent
    yield f"{name}.idle_usd_per_hour", None if spent is None or busy is None else spent * (1 - busy)
    for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
        joules = costs["joules_per_1m_output_tokens"].get(key)
        yield f"{name}.joules_per_output_token{suffix}", None if joules is None else joules / TOKENS


def _billed(work: Json, prices: Json | None) -> Iterator[tuple[str, float | None]]:
    """By the three prices, where they are stated."""
    if prices is None:
        return
    of_input = prices["input_usd_per_1m_tokens"]
    fresh = work["prompt_tokens_per_s"] - work["cached_tokens_per_s"]
    for what, tokens_per_s, price in (
        ("input", fresh, of_input),
        ("cached_input", work["cached_tokens_per_s"], prices.get("cached_input_usd_per_1m_tokens", of_input)),
        ("output", work["output_tokens_per_s"], prices["output_usd_per_1m_tokens"]),
    ):
        yield f"{work['model']}.billed_{what}_usd_per_hour", tokens_per_s * S_PER_HOUR / TOKENS * price


def _estimate(name: str, answer: Json) -> Iterator[tuple[str, float | None]]:
    for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
        yield f"{name}{suffix}", answer.get(key)
