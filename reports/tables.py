"""The tables of a run in memory, made from the plain columns that the simulator fills.

Labels arrive as codes into a list of names, stamps as int64 with -1 for none; on disk that is null.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from reports import arrow
from reports.record import (
    AGENT_STEP_COLUMNS,
    ASK_COLUMNS,
    FAULT_COLUMNS,
    GAP_COLUMNS,
    LIFETIME_COLUMNS,
    NODE_COLUMNS,
    OUTCOMES,
    PREEMPTION_CAUSES,
    PREEMPTION_COLUMNS,
    PREFIX_COLUMNS,
    REQUEST_COLUMNS,
    SESSION_COLUMNS,
    STAGE_COLUMNS,
    USER_REQUEST_COLUMNS,
    Column,
)
from reports.stored import Table, stacked

FINISH_REASONS = ("", "stop", "length")

KEYS = (
    Column("variant", "label", "which variant of the scenario"),
    Column("replication", "int", "which replication, from 0"),
)

_KNOWN_LABELS: dict[str, Sequence[str]] = {
    "outcome": OUTCOMES,
    "finish_reason": FINISH_REASONS,
    "cause": PREEMPTION_CAUSES,
}


@dataclass(frozen=True, slots=True)
class RunTables:
    """Every variant and replication of one run; rows of one replication stand together."""

    requests: Table
    nodes: Table
    user_requests: Table | None = None
    """None when no source has an app."""
    gaps: Table | None = None
    """None when nobody counted them."""
    prefixes: Table | None = None
    """None when no model caches prefixes."""
    stages: Table | None = None
    """None when the nodes of no model divide the work."""
    sessions: Table | None = None
    """None when no source has callers that wait for their answers."""
    faults: Table | None = None
    """None where nothing was to break."""
    lifetimes: Table | None = None
    """Of nodes; None where no model's nodes become more or fewer."""
    asks: Table | None = None
    """None when no source has clients that retry or hedge."""
    agent_steps: Table | None = None
    """None when no source has an agent."""
    preemptions: Table | None = None
    """None where nobody lost KV blocks, and of runs of earlier versions."""


def request_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    """The requests of one replication.

    Without their names in `labels`, `outcome` and `finish_reason` are codes into OUTCOMES and FINISH_REASONS.
    """
    return table_of(REQUEST_COLUMNS, variant, replication, columns, labels)


def user_request_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(USER_REQUEST_COLUMNS, variant, replication, columns, labels)


def ask_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(ASK_COLUMNS, variant, replication, columns, labels)


def node_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(NODE_COLUMNS, variant, replication, columns, labels)


def gap_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(GAP_COLUMNS, variant, replication, columns, labels)


def prefix_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(PREFIX_COLUMNS, variant, replication, columns, labels)


def stage_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(STAGE_COLUMNS, variant, replication, columns, labels)


def session_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(SESSION_COLUMNS, variant, replication, columns, labels)


def lifetime_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(LIFETIME_COLUMNS, variant, replication, columns, labels)


def fault_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(FAULT_COLUMNS, variant, replication, columns, labels)


def preemption_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    """Without its names in `labels`, `cause` is a code into PREEMPTION_CAUSES."""
    return table_of(PREEMPTION_COLUMNS, variant, replication, columns, labels)


def agent_step_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return table_of(AGENT_STEP_COLUMNS, variant, replication, columns, labels)


def concat(parts: Iterable[RunTables]) -> RunTables:
    """All parts below each other, in the order given, with one dictionary per label column."""
    parts = list(parts)
    users = [part.user_requests for part in parts if part.user_requests is not None]
    gaps = [part.gaps for part in parts if part.gaps is not None]
    prefixes = [part.prefixes for part in parts if part.prefixes is not None]
    stages = [part.stages for part in parts if part.stages is not None]
    sessions = [part.sessions for part in parts if part.sessions is not None]
    lifetimes = [part.lifetimes for part in parts if part.lifetimes is not None]
    faults = [part.faults for part in parts if part.faults is not None]
    asks = [part.asks for part in parts if part.asks is not None]
    agent_steps = [part.agent_steps for part in parts if part.agent_steps is not None]
    preemptions = [part.preemptions for part in parts if part.preemptions is not None]
    return RunTables(
        requests=stacked([part.requests for part in parts]),
        nodes=stacked([part.nodes for part in parts]),
        user_requests=stacked(users) if users else None,
        gaps=stacked(gaps) if gaps else None,
        prefixes=stacked(prefixes) if prefixes else None,
        stages=stacked(stages) if stages else None,
        sessions=stacked(sessions) if sessions else None,
        faults=stacked(faults) if faults else None,
        lifetimes=stacked(lifetimes) if lifetimes else None,
        asks=stacked(asks) if asks else None,
        preemptions=stacked(preemptions) if preemptions else None,
        agent_steps=stacked(agent_steps) if agent_steps else None,
    )


def table_of(
    spec: Sequence[Column],
    variant: str,
    replication: int,
    columns: Mapping[str, ArrayLike],
    labels: Mapping[str, Sequence[str]],
) -> pa.Table:
    """`spec` are the columns of the table, without the keys that every table has."""
    names = [column.name for column in spec]
    assert set(columns) == set(names), set(columns) ^ set(names)
    arrays = [_array(column, columns[column.name], labels) for column in spec]
    rows = len(arrays[0])
    keys = [
        arrow.labels(np.zeros(rows, np.int32), [variant]),
        arrow.integers(np.full(rows, replication, np.int64)),
    ]
    return pa.Table.from_arrays([*keys, *arrays], names=[key.name for key in KEYS] + names)


def _array(column: Column, given: ArrayLike, labels: Mapping[str, Sequence[str]]) -> arrow.Array:
    if column.kind == "flag":
        return arrow.flags(np.asarray(given, np.bool_))
    if column.kind == "label":
        names = labels.get(column.name) or _KNOWN_LABELS.get(column.name, ())
        return arrow.labels(np.ascontiguousarray(given, np.int32), names)
    values = np.ascontiguousarray(given, np.int64)
    return arrow.integers(values, negative_is_null=column.kind == "stamp")
