"""A run in numbers: summary.json, which the text table and the HTML report read and nothing else.

Seconds throughout. An estimate is {"value", "low", "high", "n"} or {"refused": why}; `low` and `high` are
null, with a `note`, where the data carry a value but no interval.

Other programs read it, so within a format it only grows: `schema_version` says by how much.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from reports.comparison import differences
from reports.cost import costs_json
from reports.faults import faults_json
from reports.group import Group, asks_of, group_json
from reports.itl import itl_json
from reports.lifetimes import paid_nodes, scaling_json
from reports.metrics import Window
from reports.not_served import not_served_json
from reports.objectives import Slo, stated
from reports.prefixes import prefixes_json
from reports.priorities import priorities_json
from reports.rates import counts_json, little_json, nodes_json, rates_json
from reports.retries import RetriedSources, retries_json
from reports.run_directory import Run
from reports.sessions import sessions_json
from reports.stages import stages_json
from reports.statistics import LEVEL
from reports.tables import RunTables
from reports.tenants import tenants_json
from reports.tiers import tiers_json
from reports.timeseries import edges_json, series_json
from reports.variant_records import of_variant, variant_records
from reports.verdict import verdict
from reports.words import number

FORMAT = 2
"""Grows where a key goes, or means something else."""
REVISION = 2
"""Grows with every key that joins; a format counts its own from 0."""
SCHEMA_VERSION = f"{FORMAT}.{REVISION}"
LATER = ("live", "uncertainty")
"""Sections that tables alone do not give: from a client's rows, and from draws of uncertain values."""
ADVISED_REPLICATIONS = 10
COPIED = ("scenario", "title", "question", "seed", "horizon_s", "warm_up_s", "interrupted", "facts")


def summarise(tables: RunTables, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a report says about a run. Byte-identical for equal tables and manifest."""
    window = Window.of(manifest["warm_up_s"], manifest["horizon_s"])
    facts = manifest["facts"]
    models = facts.get("models_by_variant", {})
    variants, groups, most = {}, {}, 0
    for name, records in variant_records(tables, facts, window).items():
        requests, replications = records.requests, records.replications
        attempts = None
        if records.asks is not None:
            attempts = RetriedSources.of(requests, records.asks, window, replications)
        most = max(most, len(replications))
        paid = paid_nodes(records.nodes, records.lifetimes, window, replications)
        groups[name] = records.groups
        variants[name] = {
            "verdict": verdict(
                requests,
                records.busy,
                paid_nodes(records.nodes, records.lifetimes, window.second_half, replications),
                _arrivals(facts, name),
                window,
                replications,
                () if attempts is None else tuple(attempts.sentences()),
            ).as_json(),
            "counts": counts_json(requests, window),
            "rates": rates_json(requests, asks_of(groups[name]), window, replications),
            "little": little_json(requests, window, len(replications)),
            "nodes": nodes_json(requests, records.busy, records.nodes, paid, window, replications),
            "costs": costs_json(requests, records.busy, paid, models.get(name, {}), window, replications),
            "itl": [] if records.gaps is None else itl_json(records.gaps, replications),
            "prefixes": [] if records.prefixes is None else prefixes_json(records.prefixes),
            "priorities": priorities_json(requests, window, replications),
            "tenants": tenants_json(groups[name], replications),
            "series": series_json(
                requests, records.busy, records.nodes, window.end_ps, replications, records.lifetimes
            ),
            "stages": stages_json(records.stages, models.get(name, {}), window, replications),
            **retries_json(attempts),
            "groups": [group_json(group) for group in groups[name]],
            **_where_any("tiers", tiers_json(groups[name], _tiers(facts, name))),
            **_where_any("sessions", sessions_json(groups[name], records.sessions)),
        }
        if records.lifetimes is not None and len(records.lifetimes):
            variants[name]["scaling"] = scaling_json(records.lifetimes, window, replications)
        if records.faults is not None:
            variants[name]["faults"] = faults_json(records.faults, groups[name], window, replications)
    baseline = facts["variants"][0]["name"]
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        **{key: manifest[key] for key in COPIED},
        "replications": manifest["replications_done"],
        "notes": [*manifest["notes"], *_notes(facts, most, groups, variants)],
        "series_edges_s": edges_json(window.end_ps),
        "interval": {"level": LEVEL, "between": "replications" if most > 1 else "batches"},
        "variants": variants,
        "differences": {
            name: differences(groups[baseline], others)
            for name, others in groups.items()
            if name != baseline and baseline in groups
        },
        **_where_any("not_served", not_served_json(groups)),
    }


def summary_of(run: Run) -> dict[str, Any]:
    """That of a finished run as this version makes it: as it is stored, unless another version wrote it."""
    stored = run.summary or {}
    if stored.get("schema_version") == SCHEMA_VERSION:
        return dict(stored)
    kept = {name: stored[name] for name in LATER if name in stored}
    return summarise(run.tables, run.manifest) | kept


def _where_any(name: str, rows: Collection[Any]) -> dict[str, Any]:
    """Nothing at all where there are none: summaries of other scenarios stay what they are."""
    return {name: rows} if rows else {}


def _tiers(facts: Mapping[str, Any], variant: str) -> Mapping[str, Slo]:
    found: Mapping[str, Slo] = facts.get("slo_tiers_by_variant", {}).get(variant, {})
    return found


def _arrivals(facts: Mapping[str, Any], variant: str) -> dict[str, str]:
    """The kind of each source's arrivals."""
    return {source["name"]: source["arrivals"] for source in of_variant(facts, "sources", variant)}


def _notes(
    facts: Mapping[str, Any],
    replications: int,
    groups: Mapping[str, Sequence[Group]],
    variants: Mapping[str, Any],
) -> list[str]:
    notes = []
    traced = [source["name"] for source in facts["sources"] if source["arrivals"] in {"trace", "recording"}]
    if traced and replications > 1:
        notes.append(
            f"Every replication replays the same arrivals ({', '.join(traced)}): "
            "the intervals leave out how traffic varies from day to day."
        )
    limits = {name: stated(of_variant(facts, "slo", name)) or "none" for name in groups}
    if len(set(limits.values())) > 1:
        each = "; ".join(f"{name}: {one}" for name, one in limits.items())
        notes.append(f"The variants are judged by objectives of their own: {each}.")
    if replications == 1:
        lag = max(_lags(variants), default=None)
        found = "" if lag is None else f" (correlation of neighbours at most {number(lag, 2)})"
        notes.append(
            f"One replication: intervals come from batches in time{found}, and differences have none."
        )
    elif replications < ADVISED_REPLICATIONS:
        notes.append(
            f"Intervals rest on {replications} replications; {ADVISED_REPLICATIONS} or more are advised."
        )
    return [
        *notes,
        *(note for variant, ones in groups.items() for one in ones for note in one.notes(variant)),
    ]


def _lags(found: object) -> Iterator[float]:
    """Of all intervals that rest on batches."""
    if isinstance(found, dict):
        if "lag_one" in found:
            yield found["lag_one"]
        for inner in found.values():
            yield from _lags(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from _lags(inner)
