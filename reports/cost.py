"""Energy and money per request and per token, from what a model's nodes did in the window.

Power is linear in utilisation between the idle and the busy value. An H100 under vLLM drew 363 W at batch 1
and 455 W at batch 64 (LLM-Inference-Bench): whether a node works matters more than how much it does at once.
What nobody states is refused, not guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.busy import Busy
from reports.columns import Columns, Floats
from reports.metrics import Window
from reports.statistics import Answer, Refused, ratio_of

S_PER_HOUR = 3600
NO_IDLE = "The idle power is not stated: the range goes from none at all to as much as when busy."
NO_POWER = "The power is not stated."
NO_PRICE = "The price is not stated."
NOTHING_DONE = "No request completed in the window."
FACTS = ("idle_w", "busy_w", "usd_per_hour", "usd_per_1m_tokens")
Facts = Mapping[str, Mapping[str, Any]]
"""By name, of those that are known: {"value", "confidence", "source"}."""


@dataclass(frozen=True)
class NodeWork:
    """What the nodes of a model did in the window, a number per replication."""

    nodes: int | Floats
    """Paid for, in the mean of the window; by replication where they come and go."""
    window_s: float
    busy_share: Floats
    requests: Floats
    """Completed, and ended in the window."""
    prompt_tokens: Floats
    output_tokens: Floats

    @classmethod
    def of(
        cls,
        requests: Columns,
        busy: Busy,
        model: str,
        nodes: int | Floats,
        window: Window,
        replications: Sequence[int],
    ) -> "NodeWork":
        of_model = requests.labelled("model", model)
        tokens = ("prompt_tokens", "output_tokens")
        done = requests.take(
            of_model & requests.outcome("completed") & window.inside(requests, "ended_ps"),
            ("replication", *tokens),
        )
        number, prompts, outputs = (np.zeros(len(replications)) for _ in range(3))
        for part in done.parts("replication", *tokens):
            row = np.searchsorted(replications, part["replication"])
            number += np.bincount(row, minlength=len(replications))
            prompts += np.bincount(row, part["prompt_tokens"], len(replications))
            outputs += np.bincount(row, part["output_tokens"], len(replications))
        share = busy.share(model, nodes, window, replications)
        return cls(nodes, window.length_s, share, number, prompts, outputs)

    def joules(self, idle_w: float, busy_w: float) -> Floats:
        """Of all nodes."""
        return self.nodes * self.window_s * (idle_w + (busy_w - idle_w) * self.busy_share)


def costs_json(
    requests: Columns,
    busy: Busy,
    nodes: Mapping[str, int | Floats],
    models: Mapping[str, Mapping[str, Any]],
    window: Window,
    replications: Sequence[int],
) -> list[dict[str, Any]]:
    """A row per model; `models` are the facts of the variant, `nodes` how many were paid for."""
    rows = []
    for model, count in nodes.items():
        work = NodeWork.of(requests, busy, model, count, window, replications)
        rows.append({"model": model, **cost_json(work, models.get(model, {}).get("costs", {}))})
    return rows


def cost_json(work: NodeWork, facts: Facts) -> dict[str, Any]:
    per = {"request": work.requests, "1m_output_tokens": work.output_tokens / 1e6}
    joules = {f"joules_per_{name}": _energy(work, facts, amount) for name, amount in per.items()}
    usd = {f"usd_per_{name}": _money(work, facts, amount) for name, amount in per.items()}
    return {
        "facts": {name: dict(facts[name]) for name in FACTS if name in facts},
        "power_w": _energy(work, facts, np.full(len(work.requests), work.window_s)),
        **joules,
        **usd,
    }


def _energy(work: NodeWork, facts: Facts, per: Floats) -> dict[str, Any]:
    busy_w, idle_w = _value(facts, "busy_w"), _value(facts, "idle_w")
    if busy_w is None:
        return Refused(NO_POWER).as_json()
    if idle_w is not None:
        return _ratio(work.joules(idle_w, busy_w), per).as_json()
    least, most = (_ratio(work.joules(idle, busy_w), per) for idle in (0.0, busy_w))
    if isinstance(least, Refused) or isinstance(most, Refused):
        return Refused(NOTHING_DONE).as_json()
    return {"refused": NO_IDLE, "at_least": least.value, "at_most": most.value}


def _money(work: NodeWork, facts: Facts, per: Floats) -> dict[str, Any]:
    """By the hour where that is known, since an idle node costs too; else by the token."""
    usd_per_hour, usd_per_1m_tokens = _value(facts, "usd_per_hour"), _value(facts, "usd_per_1m_tokens")
    if usd_per_hour is not None:
        spent = np.ones(len(per)) * (work.nodes * usd_per_hour * work.window_s / S_PER_HOUR)
    elif usd_per_1m_tokens is not None:
        spent = (work.prompt_tokens + work.output_tokens) * usd_per_1m_tokens / 1e6
    else:
        return Refused(NO_PRICE).as_json()
    return _ratio(spent, per).as_json()


def _ratio(amount: Floats, per: Floats) -> Answer:
    """Of the totals: a replication without work costs too."""
    return ratio_of(amount, per) if per.any() else Refused(NOTHING_DONE)


def _value(facts: Facts, name: str) -> float | None:
    return float(facts[name]["value"]) if name in facts else None
