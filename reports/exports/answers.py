"""The requests of a run as a client would have measured them, and what files say about all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from typing import Any

from e80sim.measured import MeasuredRequest, MeasuredRequests
from e80sim.mistakes import UserError
from reports.arrays import among
from reports.columns import Columns, by_variant
from reports.record import OUTCOMES, PS_PER_S
from reports.run_directory import Run

PS_PER_MS = 10**9
NS_PER_S = 10**9


@dataclass(frozen=True, slots=True)
class About:
    """Of the run, for the heads of files."""

    scenario: str
    model: str
    """Its wire name, or the short one where the run does not tell."""
    seed: int
    created: datetime
    version: str

    @property
    def created_ns(self) -> int:
        """Since 1970: stands for the start of the run in files whose stamps are times of day."""
        return int(self.created.timestamp()) * NS_PER_S


def columns_in(run: Run, variant: str | None, replication: int, model: str | None) -> Columns:
    """Requests of one replication and one model; UserError for what the run has not, or has several of."""
    require_replication(run, replication)
    return columns_of_model(run, variant, model, (replication,))


def columns_of_model(
    run: Run, variant: str | None, model: str | None, replications: Sequence[int]
) -> Columns:
    """Requests to one model in these replications; UserError as above."""
    variants = [one["name"] for one in run.manifest["facts"]["variants"]]
    chosen = _chosen("variant", variants, variant)
    columns = by_variant(run.tables.requests, [chosen])[chosen]
    columns = columns.take(among(columns["replication"], replications))
    there = [name for name in columns.names["model"] if columns.labelled("model", name).any()]
    if not there:
        raise UserError(f"variant {chosen} has no requests to export")
    name = _chosen("model", there, model)
    return columns.take(columns.labelled("model", name))


def require_replication(run: Run, replication: int) -> None:
    done = run.manifest["replications_done"]
    if not 0 <= replication < done:
        raise UserError(f"--replication {replication}: the run has {done}, counted from 0")


def _chosen(what: str, there: list[str], asked: str | None) -> str:
    if asked is None and len(there) > 1:
        raise UserError(f"the run has {len(there)} {what}s: choose with --{what} {', '.join(there)}")
    if asked is not None and asked not in there:
        raise UserError(f"--{what} {asked}: the run has {', '.join(there)}")
    return there[0] if asked is None else asked


def about(run: Run, columns: Columns) -> About:
    manifest = run.manifest
    name = columns.names["model"][int(columns["model"][0])]
    return About(
        manifest["scenario"],
        _wire_name(manifest["facts"], name),
        manifest["seed"],
        datetime.fromisoformat(manifest["created"]).astimezone(UTC),
        f"e80sim {manifest['versions']['e80sim']}",
    )


def _wire_name(facts: Mapping[str, Any], name: str) -> str:
    model = facts.get("models", {}).get(name, {})
    return str(model.get("id", name)) if isinstance(model, dict) else name


def measured_of(columns: Columns, name: str) -> MeasuredRequests:
    """Times count from when the caller sent; what was not completed has its outcome as error."""
    sent = columns["sent_ps"] >= 0
    columns = columns.take(sent)
    if not len(columns):
        raise UserError("no request was sent: there is nothing to export")
    values = {key: columns[key].tolist() for key in _NEEDED}
    first_ps = min(values["sent_ps"])
    rows = [
        _row(dict(zip(_NEEDED, row, strict=True)), first_ps) for row in zip(*values.values(), strict=True)
    ]
    rows.sort(key=lambda row: row.arrival_s)
    kept = list(compress(rows, (row.error != "unfinished" for row in rows)))
    notes = []
    if len(kept) < len(rows):
        notes.append(f"{len(rows) - len(kept):,} requests that had not ended are left out.")
    if not kept:
        raise UserError("no request ended: there is nothing to export")
    return MeasuredRequests(name, "run", tuple(kept), tuple(notes))


_NEEDED = (
    "sent_ps",
    "first_seen_ps",
    "ended_ps",
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
    "outcome",
    "stream",
)


def _row(of: dict[str, int], first_ps: int) -> MeasuredRequest:
    arrival_s, sizes = (of["sent_ps"] - first_ps) / PS_PER_S, (of["prompt_tokens"], of["output_tokens"])
    outcome = OUTCOMES[of["outcome"]]
    if outcome != "completed":
        return MeasuredRequest(arrival_s, *sizes, error=outcome)
    e2e_ps = of["ended_ps"] - of["sent_ps"]
    ttft_ps = of["first_seen_ps"] - of["sent_ps"] if of["stream"] and of["first_seen_ps"] >= 0 else None
    tpot_ms = None
    if ttft_ps is not None and sizes[1] > 1:
        tpot_ms = (e2e_ps - ttft_ps) / (sizes[1] - 1) / PS_PER_MS
    return MeasuredRequest(
        arrival_s,
        *sizes,
        None if ttft_ps is None else ttft_ps / PS_PER_MS,
        tpot_ms,
        e2e_ps / PS_PER_MS,
        max(of["cached_tokens"], 0),
    )
