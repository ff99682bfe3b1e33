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

    requests: pa.Table
    nodes: pa.Table
    user_requests: pa.Table | None = None
    """None when no source has an app."""
    gaps: pa.Table | None = None
    """None when nobody counted them."""
    prefixes: pa.Table | None = None
    """None when no model caches prefixes."""
    stages: pa.Table | None = None
    """None when the nodes of no model divide the work."""
    sessions: pa.Table | None = None
    """None when no source has callers that wait for their answers."""
    faults: pa.Table | None = None
    """None where nothing was to break."""
    lifetimes: pa.Table | None = None
    """Of nodes; None where no model's nodes become more or fewer."""
    asks: pa.Table | None = None
    """None when no source has clients that retry or hedge."""
    agent_steps: pa.Table | None = None
    """None when no source has an agent."""
    preemptions: pa.Table | None = None
    """None where nobody lost KV blocks, and of runs of earlier versions."""


def request_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    """The requests of one replication.

    Without their names in `labels`, `outcome` and `finish_reason` are codes into OUTCOMES and FINISH_REASONS.
    """
    return _table(REQUEST_COLUMNS, variant, replication, columns, labels)


def user_request_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(USER_REQUEST_COLUMNS, variant, replication, columns, labels)


def ask_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(ASK_COLUMNS, variant, replication, columns, labels)


def node_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(NODE_COLUMNS, variant, replication, columns, labels)


def gap_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(GAP_COLUMNS, variant, replication, columns, labels)


def prefix_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(PREFIX_COLUMNS, variant, replication, columns, labels)


def stage_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(STAGE_COLUMNS, variant, replication, columns, labels)


def session_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(SESSION_COLUMNS, variant, replication, columns, labels)


def lifetime_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(LIFETIME_COLUMNS, variant, replication, columns, labels)


def fault_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(FAULT_COLUMNS, variant, replication, columns, labels)


def preemption_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    """Without its names in `labels`, `cause` is a code into PREEMPTION_CAUSES."""
    return _table(PREEMPTION_COLUMNS, variant, replication, columns, labels)


def agent_step_table(
    variant: str, replication: int, columns: Mapping[str, ArrayLike], labels: Mapping[str, Sequence[str]]
) -> pa.Table:
    return _table(AGENT_STEP_COLUMNS, variant, replication, columns, labels)


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
        requests=_stack([part.requests for part in parts]),
        nodes=_stack([part.nodes for part in parts]),
        user_requests=_stack(users) if users else None,
        gaps=_stack(gaps) if gaps else None,
        prefixes=_stack(prefixes) if prefixes else None,
        stages=_stack(stages) if stages else None,
        sessions=_stack(sessions) if sessions else None,
        faults=_stack(faults) if faults else None,
        lifetimes=_stack(lifetimes) if lifetimes else None,
        asks=_stack(asks) if asks else None,
        agent_steps=_stack(agent_steps) if agent_steps else None,
        preemptions=_stack(preemptions) if preemptions else None,
    )


def _stack(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _table(
    spec: Sequence[Column],
    variant: str,
    replication: int,
    columns: Mapping[str, ArrayLike],
    labels: Mapping[str, Sequence[str]],
) -> pa.Table:
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
