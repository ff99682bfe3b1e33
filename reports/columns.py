"""A table as numpy columns, one variant at a time: what metrics and statistics compute on.

Stamps are int64 picoseconds with -1 for none, labels are codes into `names`, outcomes codes into OUTCOMES.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reports import arrow
from reports.arrays import Floats, Ints, Mask
from reports.record import OUTCOMES
from reports.stored import Page, StoredTable, StoredValues, Table

__all__ = ["Columns", "Floats", "Ints", "Mask", "by_variant", "columns_of", "rows_numbered"]


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows in order of replication, and within it in order of intended time."""

    values: Mapping[str, NDArray[Any]]
    """In memory, or of a long table read anew at each look."""
    names: Mapping[str, Sequence[str]]

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self.values[column]

    def __len__(self) -> int:
        if isinstance(self.values, StoredValues):
            return self.values.count
        return len(next(iter(self.values.values())))

    def labelled(self, column: str, name: str) -> Mask:
        """Rows whose label is `name`: none when the run never used that name."""
        names = self.names[column]
        code = names.index(name) if name in names else -1
        mask: Mask = self.values[column] == code
        return mask

    def outcome(self, name: str) -> Mask:
        mask: Mask = self.values["outcome"] == OUTCOMES.index(name)
        return mask

    def take(self, rows: Mask | Ints, only: Sequence[str] | None = None) -> "Columns":
        """`only` are the columns that are wanted: copies of all would cost most of a summary."""
        if rows.dtype == np.bool_ and rows.all():
            return self  # nobody changes columns
        if isinstance(self.values, StoredValues):
            return Columns(self.values.take(rows, only), self.names)
        return Columns({name: self.values[name][rows] for name in only or self.values}, self.names)

    def parts(self, *names: str) -> Iterator["Columns"]:
        """All rows in their order with the columns `names`, in memory: of a long table some at a time."""
        if isinstance(self.values, StoredValues):
            yield from (Columns(values, self.names) for values in self.values.parts(names))
        else:
            yield self

    def each(self, of: Callable[["Columns"], NDArray[Any]], *names: str) -> NDArray[Any]:
        """What `of` makes of each row, which looks at no columns but `names`, and at no other row."""
        (found,) = self.all_of(lambda part: (of(part),), *names)
        return found

    def all_of(
        self, of: Callable[["Columns"], tuple[NDArray[Any], ...]], *names: str
    ) -> tuple[NDArray[Any], ...]:
        """As `each`, of several at once; `of` may leave rows out.

        So there is never more of a long table in memory than what is asked for.
        """
        if not isinstance(self.values, StoredValues):
            return of(self)
        found: tuple[NDArray[Any], ...] | None = None
        done = 0
        for part in self.parts(*names):
            values = of(part)
            if found is None:
                found = tuple(np.empty(len(self), one.dtype) for one in values)
            more = len(values[0])
            for whole, one in zip(found, values, strict=True):
                whole[done : done + more] = one
            done += more
        if found is None:
            return of(Columns({name: self[name] for name in names}, self.names))
        return tuple(whole[:done] for whole in found)

    @property
    def stored(self) -> bool:
        """Whether each look at a column reads it anew: of a long table."""
        return isinstance(self.values, StoredValues)

    def loaded(self) -> "Columns":
        """In memory."""
        return Columns(self.values.loaded(), self.names) if isinstance(self.values, StoredValues) else self

    def but(self, name: str, values: NDArray[Any]) -> "Columns":
        """With another column of that name."""
        if isinstance(self.values, StoredValues):
            return Columns(self.values.but(name, values), self.names)
        return Columns({**self.values, name: values}, self.names)


def by_variant(table: Table, variants: Sequence[str]) -> dict[str, Columns]:
    """Each of `variants`, without rows where the table has none."""
    everything = columns_of(table)
    return {
        variant: _in_order(everything.take(everything.labelled("variant", variant))) for variant in variants
    }


def columns_of(table: Table) -> Columns:
    """All rows, in the order of the table."""
    if isinstance(table, StoredTable):
        return _stored(table)
    values: dict[str, NDArray[Any]] = {}
    names: dict[str, Sequence[str]] = {}
    for name in table.column_names:
        values[name], names[name] = _numpy(table[name])
    if "outcome" in values:
        values["outcome"] = _recoded(values["outcome"], names["outcome"])
        names["outcome"] = OUTCOMES
    return Columns(values, names)


def _stored(table: StoredTable) -> Columns:
    names: dict[str, Sequence[str]] = {name: table.names.get(name, ()) for name in table.column_names}
    outcomes = [OUTCOMES.index(name) for name in names.get("outcome", ())]
    lookup = np.array(outcomes, np.int8)

    def decode(name: str, values: NDArray[Any]) -> NDArray[Any]:
        return lookup[values] if name == "outcome" else values

    return Columns(StoredValues(Page(table, decode)), names | {"outcome": OUTCOMES} if outcomes else names)


def _numpy(column: Any) -> tuple[NDArray[Any], Sequence[str]]:  # noqa: ANN401 -- see arrow.Array
    if not pa.types.is_dictionary(column.type):
        return arrow.to_numpy(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()), ()
    alone = column.num_chunks == 1
    whole = column.chunk(0) if alone else column.unify_dictionaries().combine_chunks()
    return arrow.to_numpy(whole), tuple(whole.dictionary.to_pylist())


def _recoded(codes: NDArray[Any], names: Sequence[str]) -> Ints:
    lookup = np.array([OUTCOMES.index(name) for name in names], np.int64)
    recoded: Ints = lookup[codes]
    return recoded


def _in_order(columns: Columns) -> Columns:
    names = [name for name in ("intended_ps", "replication") if name in columns.values]
    if _ordered(columns, names):
        return columns
    return columns.take(np.lexsort([columns[name] for name in names]))


def _ordered(columns: Columns, names: Sequence[str]) -> bool:
    """By the last of `names`, and where that is the same by the one before."""
    last: dict[str, NDArray[Any]] = {}
    for part in columns.parts(*names):
        if not len(part):
            continue
        after = np.zeros(0, np.bool_)
        for name in names:
            step = np.diff(part[name], prepend=last.get(name, part[name][:1]))
            after = (step > 0) | ((step == 0) & (after if len(after) else True))
            last[name] = part[name][-1:]
        if not after.all():
            return False
    return True


def rows_numbered(known: Columns, wanted: Columns, column: str) -> Ints:
    """For each of `wanted` the row in `known` of the number in `column` and the same replication, or -1."""
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    stride = int(max(known["number"].max(), wanted[column].max(initial=0))) + 2
    have = known["replication"] * stride + known["number"]
    seek = wanted["replication"] * stride + wanted[column]
    order = np.argsort(have)
    place = np.minimum(np.searchsorted(have, seek, sorter=order), len(have) - 1)
    rows: Ints = order[place]
    return np.where((have[rows] == seek) & (wanted[column] >= 0), rows, -1)
