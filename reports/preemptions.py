"""Whether the table of preemptions has a row for each that nodes counted and that requests carry."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from reports import arrow
from reports.stored import Table, batches
from reports.tables import RunTables

OF_NODES = ("variant", "replication", "model", "node")
OF_REQUESTS = ("variant", "replication", "number")
Key = tuple[str | int, ...]


def preemptions_that_differ(tables: RunTables) -> Iterator[str]:
    """A sentence for each node and each request. Nothing of runs that do not record them."""
    told = tables.preemptions
    if told is None:
        return
    rows = _counted(told, OF_NODES)
    for key, counted in _totals(tables.nodes, OF_NODES, rows):
        variant, replication, model, node = key
        yield (
            f"preemptions.parquet has {rows[key]:,} of node {node} of {model} in {variant}, replication "
            f"{replication}, and nodes.parquet counts {counted:,}."
        )
    rows = _counted(told, OF_REQUESTS)
    for key, counted in _totals(tables.requests, OF_REQUESTS, rows):
        variant, replication, number = key
        yield (
            f"preemptions.parquet has {rows[key]:,} of request {number} in {variant}, replication "
            f"{replication}, and requests.parquet counts {counted:,}."
        )


def _counted(table: Table, keys: tuple[str, ...]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for part in batches(table, keys):
        found.update(_keys(part, keys))
    return found


def _keys(table: pa.Table, keys: tuple[str, ...]) -> Iterator[Key]:
    return zip(*(table[key].to_pylist() for key in keys), strict=True)


def _totals(table: Table, keys: tuple[str, ...], rows: Counter[Key]) -> Iterator[tuple[Key, int]]:
    """What `table` counts, where that is not what `rows` says; with what it does not know at all."""
    found: dict[Key, int] = {}
    for part in batches(table, (*keys, "preemptions")):
        counts = arrow.to_numpy(part["preemptions"].combine_chunks())
        which = np.flatnonzero(counts)
        found |= zip(_keys(part.take(which), keys), counts[which].tolist(), strict=True)
    for key in {**found, **rows}:
        if found.get(key, 0) != rows[key]:
            yield key, found.get(key, 0)
