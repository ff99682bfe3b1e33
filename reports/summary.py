"""A run in numbers: summary.json, which the text table and the HTML report read and nothing else.

Seconds throughout. An estimate is {"value", "low", "high", "n"} or {"refused": why}; `low` and `high` are
null, with a `note`, where the data carry a value but no interval.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.columns import Columns, by_variant
from reports.comparison import differences
from reports.group import Group, asks_of, group_json
from reports.metrics import Window
from reports.rates import counts_json, little_json, nodes_json, rates_json
from reports.statistics import LEVEL
from reports.tables import RunTables
from reports.verdict import verdict

FORMAT = 1
ADVISED_REPLICATIONS = 10
COPIED = ("scenario", "title", "question", "seed", "horizon_s", "warm_up_s", "interrupted", "facts")


def summarise(tables: RunTables, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a report says about a run. Byte-identical for equal tables and manifest."""
    window = Window.of(manifest["warm_up_s"], manifest["horizon_s"])
    facts = manifest["facts"]
    names = [entry["name"] for entry in facts["variants"]]
    all_requests, all_nodes = by_variant(tables.requests, names), by_variant(tables.nodes, names)
    all_users = by_variant(tables.user_requests, names) if tables.user_requests is not None else {}
    variants, groups, most = {}, {}, 0
    for name in names:
        requests, nodes = all_requests[name], all_nodes[name]
        replications = _replications(requests, nodes)
        if not replications:
            continue  # an interrupted run did not come to it
        most = max(most, len(replications))
        users = all_users.get(name)
        groups[name] = _groups(requests, users, facts, name, window, replications)
        variants[name] = {
            "verdict": verdict(requests, window, replications).as_json(),
            "counts": counts_json(requests, window),
            "rates": rates_json(requests, asks_of(groups[name]), window, replications),
            "little": little_json(requests, window, len(replications)),
            "nodes": nodes_json(nodes, window, replications),
            "groups": [group_json(group) for group in groups[name]],
        }
    baseline = names[0]
    return {
        "format": FORMAT,
        **{key: manifest[key] for key in COPIED},
        "replications": manifest["replications_done"],
        "notes": [*manifest["notes"], *_notes(facts, most, groups)],
        "interval": {"level": LEVEL, "between": "replications" if most > 1 else "batches"},
        "variants": variants,
        "differences": {
            name: differences(groups[baseline], others)
            for name, others in groups.items()
            if name != baseline and baseline in groups
        },
    }


def _replications(requests: Columns, nodes: Columns) -> list[int]:
    """Nodes leave a row even in a replication without a request."""
    found: list[int] = np.union1d(requests["replication"], nodes["replication"]).tolist()
    return found


def _groups(
    requests: Columns,
    users: Columns | None,
    facts: Mapping[str, Any],
    variant: str,
    window: Window,
    replications: Sequence[int],
) -> list[Group]:
    sources = facts.get("sources_by_variant", {}).get(variant, facts["sources"])
    groups = []
    for source in sources:
        mine = requests.take(requests.labelled("source", source["name"]))
        has_app = source["app"] is not None and users is not None
        asks = users.take(users.labelled("source", source["name"])) if has_app and users is not None else None
        groups.append(Group.of(source, mine, asks, window, replications, facts["slo"]))
    return groups


def _notes(facts: Mapping[str, Any], replications: int, groups: Mapping[str, Sequence[Group]]) -> list[str]:
    notes = []
    traced = [source["name"] for source in facts["sources"] if source["arrivals"] == "trace"]
    if traced and replications > 1:
        notes.append(
            f"Every replication replays the same arrivals ({', '.join(traced)}): "
            "the intervals leave out how traffic varies from day to day."
        )
    if replications == 1:
        notes.append("One replication: intervals come from batches in time, and differences have none.")
    elif replications < ADVISED_REPLICATIONS:
        notes.append(
            f"Intervals rest on {replications} replications; {ADVISED_REPLICATIONS} or more are advised."
        )
    return [
        *notes,
        *(note for variant, ones in groups.items() for one in ones for note in one.notes(variant)),
    ]
