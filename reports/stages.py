"""How long requests were at each stage, where the nodes of a model divide the work."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.arrays import among, distinct
from reports.busy import busy_share
from reports.columns import Columns, Floats
from reports.metrics import Window
from reports.record import PS_PER_S, STAGES
from reports.statistics import Refused, ratio_of

AT_NODES = ("prefill", "decode")


def visits_of(requests: Columns, stages: Columns | None) -> Columns:
    """When nodes worked on requests, and where: once for each request, or once for each stage at a node."""
    if stages is None:
        return requests
    models = {name: code for code, name in enumerate(requests.names["model"])}
    recoded = np.array([models.get(name, -1) for name in stages.names["model"]], np.int64)[stages["model"]]
    at_nodes = among(
        stages["stage"], [code for code, name in enumerate(stages.names["stage"]) if name in AT_NODES]
    )
    whole = ~among(requests["model"], distinct(recoded))

    def both(of_requests: str, of_stages: Any) -> Any:  # noqa: ANN401 -- arrays of any kind
        return np.concatenate([requests[of_requests][whole], of_stages[at_nodes]])

    ended = both("ended_ps", stages["ended_ps"])
    return Columns(
        {
            "replication": both("replication", stages["replication"]),
            "model": both("model", recoded),
            "node": both("node", stages["node"]),
            "started_ps": both("started_ps", stages["began_ps"]),
            "last_ps": both("last_ps", stages["ended_ps"]),
            "ended_ps": ended,
        },
        {"model": requests.names["model"]},
    )


def stages_json(
    stages: Columns | None,
    models: Mapping[str, Mapping[str, Any]],
    window: Window,
    replications: Sequence[int],
) -> list[dict[str, Any]]:
    """A row per model and stage that ended in the window; `models` are the facts of the variant."""
    if stages is None:
        return []
    rows = []
    for model in stages.names["model"]:
        mine = stages.take(stages.labelled("model", model))
        for stage in STAGES:
            part = mine.take(mine.labelled("stage", stage))
            if len(part):
                rows.append({"model": model, "stage": stage, **_stage(part, window, replications)})
                nodes = _nodes(models.get(model, {}), stage)
                if nodes:
                    rows[-1]["utilisation"] = _utilisation(part, nodes, window, replications)
    return rows


def _stage(part: Columns, window: Window, replications: Sequence[int]) -> dict[str, Any]:
    ended = (part["ended_ps"] >= window.start_ps) & (part["ended_ps"] < window.end_ps)
    done = part.take(ended)
    row = np.searchsorted(replications, done["replication"])
    lasted = (done["ended_ps"] - done["began_ps"]) / PS_PER_S
    total: Floats = np.bincount(row, lasted, len(replications)).astype(np.float64)
    number = np.bincount(row, minlength=len(replications)).astype(np.float64)
    mean = ratio_of(total, number) if number.any() else Refused("None ended in the window.")
    return {"n": len(done), "mean_s": mean.as_json()}


def _nodes(facts: Mapping[str, Any], stage: str) -> int:
    prefill = int(facts.get("prefill_nodes") or 0)
    return (
        {"prefill": prefill, "decode": int(facts.get("nodes", 0)) - prefill}.get(stage, 0) if prefill else 0
    )


def _utilisation(part: Columns, nodes: int, window: Window, replications: Sequence[int]) -> dict[str, Any]:
    visits = part.but("started_ps", part["began_ps"]).but("last_ps", part["ended_ps"])
    everyone = np.ones(len(part), np.bool_)
    share = busy_share(visits, everyone, nodes, window, replications)
    return ratio_of(share, np.ones(len(share))).as_json()
