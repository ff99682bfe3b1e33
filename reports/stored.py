"""Tables that are too long for memory: their rows lie in parquet files and are read back a column at a time.

A `StoredTable` answers what is asked of a table of pyarrow in this code, so that short tables stay in memory
and nobody need know. The parts of one are below each other: whole tables, or rows of files.
"""

import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reports import arrow
from reports.record import LARGE, Column

ROWS_PER_GROUP = 1 << 17
"""Rows of a table of a run that are compressed, checked and read together."""
SHORT_GROUP = 1 << 13
"""Rows from which reading them together costs more than the reading of another group."""
KEPT_BYTES = 32_000_000
"""Of columns of a table that are kept after a look: thirty of 131,072 rows, four of a million."""
WIDEST = 8
"""Bytes of a value."""
KEPT_OPEN = 8
"""Files of a table that stay open after a look."""


class FilePart(NamedTuple):
    """`rows` rows of a parquet file with the columns of the table, from row `first` on."""

    file: Path
    first: int
    rows: int
    whole: bool = False
    """They are all that is in the file, which a `TableFile` wrote: another would write the same bytes."""


Part = pa.Table | FilePart


class Group(NamedTuple):
    """Rows that can be read by themselves."""

    rows: int
    read: Callable[[Sequence[str] | None], pa.Table]
    """These rows, of all columns or of those named."""


@dataclass(frozen=True, eq=False)
class StoredTable:
    """Its parts have the same columns; labels of theirs may have codes of their own."""

    parts: tuple[Part, ...]
    only: tuple[str, ...] | None = None
    """Columns that are looked at; None: all that there are."""

    @property
    def num_rows(self) -> int:
        return sum(part.rows if isinstance(part, FilePart) else part.num_rows for part in self.parts)

    @cached_property
    def schema(self) -> pa.Schema:
        first = self.parts[0]
        return pq.read_schema(first.file) if isinstance(first, FilePart) else first.schema

    @property
    def column_names(self) -> list[str]:
        return list(self.schema.names if self.only is None else self.only)

    def select(self, columns: Sequence[str]) -> "StoredTable":
        return replace(self, only=tuple(columns))

    def groups(self) -> Iterator[Group]:
        """All rows, in their order."""
        for part in self.parts:
            if isinstance(part, FilePart):
                yield from _groups(part, self._files, self.column_names)
            else:
                yield Group(part.num_rows, _reader_of(part, self.column_names))

    @cached_property
    def _files(self) -> "_Files":
        return _Files()

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 -- see arrow.Array
        chunks = [chunk for group in self.groups() for chunk in group.read([name])[name].chunks]
        return pa.chunked_array(chunks, self.schema.field(name).type)

    def whole(self) -> pa.Table:
        """In memory, with one dictionary per label column."""
        tables = [group.read(None) for group in self.groups()]
        return pa.concat_tables(tables).unify_dictionaries().combine_chunks()

    @cached_property
    def only_replication(self) -> int | None:
        """The one of which all rows are, as the files tell; None where there are several."""
        found = set[int]()
        for part in self.parts:
            if isinstance(part, FilePart):
                found.update(_replications(part, self._files))
            else:
                found.update(np.unique(arrow.to_numpy(part["replication"].combine_chunks())).tolist())
        return found.pop() if len(found) == 1 else None

    def to_pylist(self) -> list[dict[str, Any]]:
        return self.whole().to_pylist()

    def equals(self, other: "Table") -> bool:
        return bool(self.whole().equals(whole(other)))

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Of each label column the names that its codes stand for, all parts together.

        In the order in which the parts have them, as `unify_dictionaries` of pyarrow gives.
        """
        labels = [
            field.name
            for field in self.schema
            if field.name in self.column_names and pa.types.is_dictionary(field.type)
        ]
        known: dict[str, dict[str, None]] = {name: {} for name in labels}
        for group in self.groups():
            table = group.read(labels)
            for name in labels:
                chunk: arrow.Array
                for chunk in table[name].chunks:
                    known[name].update(dict.fromkeys(chunk.dictionary.to_pylist()))
        return {name: tuple(of_column) for name, of_column in known.items()}

    def recoded(self, table: pa.Table) -> pa.Table:
        """Rows of this table, with the codes of `names`."""
        for place, name in enumerate(table.column_names):
            if name in self.names:
                table = table.set_column(place, name, _recoded(table[name], self.names[name]))
        return table


Table = pa.Table | StoredTable


def whole(table: Table) -> pa.Table:
    """In memory."""
    return table.whole() if isinstance(table, StoredTable) else table


def batches(table: Table, columns: Sequence[str]) -> Iterator[pa.Table]:
    """All rows in their order, of these columns; of a long table some at a time."""
    if isinstance(table, StoredTable):
        for group in table.groups():
            yield group.read(columns)
    else:
        yield table.select(list(columns))


def stacked(tables: Sequence[Table]) -> Table:
    """Below each other; in memory where that is short enough."""
    if len(tables) == 1 and isinstance(tables[0], pa.Table):
        return tables[0]
    parts: list[Part] = []
    for table in tables:
        for part in table.parts if isinstance(table, StoredTable) else [table]:
            joined = _joined(parts[-1], part) if parts else None
            if joined is None:
                parts.append(part)
            else:
                parts[-1] = joined
    together = StoredTable(tuple(parts))
    return together.whole() if together.num_rows <= LARGE else together


def _joined(one: Part, other: Part) -> FilePart | None:
    """Both as one part, where they are neighbours in a file: row groups that they share are read once."""
    if isinstance(one, pa.Table) or isinstance(other, pa.Table):
        return None
    if (one.file, one.first + one.rows) != (other.file, other.first):
        return None
    return FilePart(one.file, one.first, one.rows + other.rows)


def opened(file: Path) -> Table:
    """The table in `file`, every page of it held against its checksum. Raises OSError, pa.ArrowException."""
    with _open(file) as parquet:
        rows = parquet.metadata.num_rows
        if rows <= LARGE:
            return parquet.read(use_threads=False)
        for number in range(parquet.num_row_groups):
            parquet.read_row_group(number, use_threads=False)
    return StoredTable((FilePart(file, 0, rows),))


def _open(file: Path) -> pq.ParquetFile:
    return pq.ParquetFile(file, page_checksum_verification=True)


class _Files:
    """Parquet files that are looked into again and again: sizes of their row groups, the last few open."""

    def __init__(self) -> None:
        self._rows: dict[Path, list[int]] = {}
        self._open: OrderedDict[Path, pq.ParquetFile] = OrderedDict()

    def rows(self, file: Path) -> list[int]:
        """Of each row group."""
        if file not in self._rows:
            metadata = self.opened(file).metadata
            self._rows[file] = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        return self._rows[file]

    def opened(self, file: Path) -> pq.ParquetFile:
        if file not in self._open:
            self._open[file] = _open(file)
            if len(self._open) > KEPT_OPEN:
                _, oldest = self._open.popitem(last=False)
                oldest.close()
        self._open.move_to_end(file)
        return self._open[file]


def _groups(part: FilePart, files: _Files, names: list[str]) -> Iterator[Group]:
    begin = 0
    for number, rows in enumerate(files.rows(part.file)):
        end = begin + rows
        first, last = max(begin, part.first), min(end, part.first + part.rows)
        if first < last:
            yield Group(
                last - first, _group_reader(part.file, files, number, first - begin, last - first, names)
            )
        begin = end


def _replications(part: FilePart, files: _Files) -> Iterator[int]:
    """The first and the last of each row group."""
    parquet = files.opened(part.file)
    column, begin = parquet.schema_arrow.names.index("replication"), 0
    for number, rows in enumerate(files.rows(part.file)):
        end = begin + rows
        if begin < part.first + part.rows and end > part.first:
            told: Any = parquet.metadata.row_group(number).column(column).statistics
            yield from (told.min, told.max)
        begin = end


def _group_reader(
    file: Path, files: _Files, number: int, skip: int, rows: int, names: list[str]
) -> Callable[[Sequence[str] | None], pa.Table]:
    def read(columns: Sequence[str] | None) -> pa.Table:
        wanted = names if columns is None else list(columns)
        group = files.opened(file).read_row_group(number, wanted, use_threads=False)
        return group.slice(skip, rows).select(wanted)

    return read


def _reader_of(table: pa.Table, names: list[str]) -> Callable[[Sequence[str] | None], pa.Table]:
    return lambda columns: table.select(names if columns is None else list(columns))


def _recoded(column: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 -- see arrow.Array
    code = {name: number for number, name in enumerate(names)}
    chunks = []
    for chunk in column.chunks:
        own = chunk.dictionary.to_pylist()
        lookup = np.array([code[name] for name in own], np.int32)
        codes = arrow.to_numpy(chunk)
        chunks.append(arrow.labels(codes if own == list(names) else lookup[codes], names))
    kind: Any = pa.dictionary(pa.int32(), pa.string())
    return pa.chunked_array(chunks, kind)


class TableFile:
    """A parquet file that grows. Nothing in it depends on when, where or in which pieces it is written."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        """With nothing written to it there is no file."""
        self._path, self._columns = path, columns
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pa.Table] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, table: pa.Table) -> None:
        """Below what is there; the labels of all have the same codes."""
        if self._writer is None:
            self._writer = self._begun(table.schema)
        self._held.append(table)
        self._rows += table.num_rows
        if self._rows >= ROWS_PER_GROUP:
            together = pa.concat_tables(self._held)
            full = self._rows - self._rows % ROWS_PER_GROUP
            self._writer.write_table(together.slice(0, full).combine_chunks(), ROWS_PER_GROUP)
            self._held = [together.slice(full)]
            self._rows -= full

    def end_group(self) -> None:
        """What comes next is in another row group, if what is there is not too short for one."""
        if self._writer is not None and self._rows >= SHORT_GROUP:
            self._writer.write_table(pa.concat_tables(self._held).combine_chunks(), ROWS_PER_GROUP)
            self._held, self._rows = [], 0

    def close(self) -> None:
        if self._writer is not None:
            if self._rows:
                self._writer.write_table(pa.concat_tables(self._held).combine_chunks(), ROWS_PER_GROUP)
            self._writer.close()

    def _begun(self, schema: pa.Schema) -> pq.ParquetWriter:
        labels: Any = [column.name for column in self._columns if column.kind == "label"]
        # The stubs know only a bool.
        return pq.ParquetWriter(
            self._path,
            schema,
            compression="zstd",
            use_dictionary=labels,
            write_page_checksum=True,
            column_encoding={
                column.name: "DELTA_BINARY_PACKED"
                for column in self._columns
                if column.kind in {"int", "stamp"}
            },
        )


def write_stored(path: Path, table: Table, columns: Sequence[Column]) -> None:
    """`columns` are those of the table."""
    if isinstance(table, StoredTable) and len(table.parts) == 1:
        (part,) = table.parts
        if isinstance(part, FilePart) and part.whole:
            _same_file(part.file, path)
            return
    with TableFile(path, columns) as file:
        if not isinstance(table, StoredTable):
            file.write(table)
            return
        for group in table.groups():
            file.write(table.recoded(group.read(None)))


def _same_file(there: Path, path: Path) -> None:
    try:
        path.hardlink_to(there)
    except OSError:  # another disk, or one without links
        shutil.copyfile(there, path)


def spilled(tables: Sequence[pa.Table], path: Path, columns: Sequence[Column]) -> list[StoredTable]:
    """Each of `tables`, whose rows now lie in one file at `path`.

    They share no row groups, unless they are very short: whoever looks at one variant reads no others.
    """
    together = StoredTable(tuple(tables))
    with TableFile(path, columns) as file:
        for table in tables:
            file.write(together.recoded(table))
            file.end_group()
    found, first = [], 0
    for table in tables:
        found.append(StoredTable((FilePart(path, first, table.num_rows),)))
        first += table.num_rows
    return found


Decode = Callable[[str, NDArray[Any]], NDArray[Any]]
"""Makes of values of a column of that name what is wanted, piece by piece."""


class StoredValues(Mapping[str, NDArray[Any]]):
    """The columns of a stored table as `reports.columns` has them, each read at a look, the last few kept."""

    def __init__(
        self,
        page: "Page",
        rows: NDArray[Any] | None = None,
        only: Sequence[str] | None = None,
        instead: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """`rows` is a mask over the page, or the numbers of rows; None: all of them.

        `instead` are columns that do not come from the table, of the same rows.
        """
        self._page, self._rows = page, rows
        self._names = list(only or page.table.column_names)
        self._instead = {name: of for name, of in (instead or {}).items() if name in self._names}
        self.count = page.count if rows is None else _count(rows)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name in self._instead:
            return self._instead[name]
        if name not in self._names:
            raise KeyError(name)
        return self._page.column(name, self._rows)

    def parts(self, names: Sequence[str]) -> Iterator[dict[str, NDArray[Any]]]:
        """The columns `names` of all rows in their order, some at a time."""
        assert set(names) <= set(self._names), names
        if self.count <= LARGE:
            yield {name: self[name] for name in names}
            return
        stored = [name for name in dict.fromkeys(names) if name not in self._instead]
        for to, part in self._page.parts(stored, self._rows):
            yield {name: self._instead[name][to] if name in self._instead else part[name] for name in names}

    def loaded(self) -> dict[str, NDArray[Any]]:
        """In memory. Of what is looked at elsewhere, all stays kept."""
        return {
            name: self._instead[name] if name in self._instead else self._page.read(name, self._rows)
            for name in self._names
        }

    def take(self, rows: NDArray[Any], only: Sequence[str] | None) -> "StoredValues":
        """`rows` of these: a mask over them, or their numbers."""
        instead = {name: values[rows] for name, values in self._instead.items()}
        page, chosen = self._page.part(_of_those(self._rows, rows))
        return StoredValues(page, chosen, only or self._names, instead)

    def but(self, name: str, values: NDArray[Any]) -> "StoredValues":
        """With another column of that name."""
        names = self._names if name in self._names else [*self._names, name]
        return StoredValues(self._page, self._rows, names, {**self._instead, name: values})

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Page:
    """Rows of a stored table whose columns are looked at again and again, so that the last few are kept.

    The whole table is one. What is taken of a long one is one again as soon as it is short: a variant, or a
    source. All of it, as often as it may be taken in parts, is then read once, while the others of the table
    are not read at all.
    """

    def __init__(
        self,
        table: StoredTable,
        decode: Decode,
        rows: NDArray[Any] | None = None,
        kept: "_Kept | None" = None,
    ) -> None:
        """`rows` of the table, None: all. `kept` is that of the page of the whole table."""
        self.table, self._decode, self._rows = table, decode, rows
        self.count = table.num_rows if rows is None else _count(rows)
        self._kept = _Kept() if kept is None else kept
        self._key = object()

    def column(self, name: str, rows: NDArray[Any] | None) -> NDArray[Any]:
        """Of the page, or of `rows` of it. Nobody may change it."""
        if self.count * WIDEST > KEPT_BYTES:
            return self.read(name, rows)
        whole = self._kept.get((self._key, name))
        if whole is None:
            whole = self.read(name)
            whole.flags.writeable = False
            self._kept.put((self._key, name), whole)
        if rows is None:
            return whole
        some: NDArray[Any] = whole[rows]
        return some

    def part(self, rows: NDArray[Any]) -> "tuple[Page, NDArray[Any] | None]":
        """A page that has `rows` of this one, and which rows of that page they are."""
        if self._rows is not None or _count(rows) > LARGE:
            return self, rows
        return Page(self.table, self._decode, rows, self._kept), None

    def parts(
        self, names: Sequence[str], rows: NDArray[Any] | None
    ) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
        """Which some of the rows of the page, or of `rows` of it, are, and their columns `names`."""
        rows = self._rows if rows is None else _of_those(self._rows, rows)
        if rows is not None and rows.dtype != np.bool_:
            for begin in range(0, len(rows), ROWS_PER_GROUP):
                to = slice(begin, min(begin + ROWS_PER_GROUP, len(rows)))
                yield to, {name: self.read(name, rows[to]) for name in names}
            return
        chosen, at = _Chosen(rows), 0
        for group in self.table.groups():
            wanted = chosen.inside(at, at + group.rows)
            at += group.rows
            if wanted is not None:
                lie, of = wanted
                assert isinstance(lie, slice), "those of a mask lie together"
                table = self.table.recoded(group.read(names)).combine_chunks()
                values = {name: arrow.to_numpy(table[name].chunk(0)) for name in names}
                yield lie, {name: self._decode(name, values[name])[of] for name in names}

    def read(self, name: str, rows: NDArray[Any] | None = None) -> NDArray[Any]:
        """As `column`, and nothing is kept."""
        rows = self._rows if rows is None else _of_those(self._rows, rows)
        if name == "replication" and (alone := self.table.only_replication) is not None:
            return np.broadcast_to(np.int64(alone), self.table.num_rows if rows is None else _count(rows))
        chosen = _Chosen(rows) if rows is None or rows.dtype == np.bool_ else _Numbered(rows)
        found: NDArray[Any] | None = None
        at = 0
        for group in self.table.groups():
            wanted = chosen.inside(at, at + group.rows)
            at += group.rows
            if wanted is None:
                continue
            table = self.table.recoded(group.read([name])).combine_chunks()
            values = self._decode(name, arrow.to_numpy(table[name].chunk(0)))
            if found is None:
                found = np.empty(self.table.num_rows if rows is None else _count(rows), values.dtype)
            to, of = wanted
            found[to] = values[of]
        return np.empty(0, np.int64) if found is None else found


class _Kept:
    """Columns of all pages of a table, the one that was looked at last at the end."""

    def __init__(self) -> None:
        self._columns: OrderedDict[tuple[object, str], NDArray[Any]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[object, str]) -> NDArray[Any] | None:
        found = self._columns.get(key)
        if found is not None:
            self._columns.move_to_end(key)
        return found

    def put(self, key: tuple[object, str], column: NDArray[Any]) -> None:
        self._columns[key] = column
        self._bytes += column.nbytes
        while self._bytes > KEPT_BYTES:
            _, oldest = self._columns.popitem(last=False)
            self._bytes -= oldest.nbytes


def _of_those(mine: NDArray[Any] | None, rows: NDArray[Any]) -> NDArray[Any]:
    """`rows` of the rows that `mine` are: a mask if both are, else numbers."""
    if mine is None:
        return rows
    if mine.dtype == np.bool_ and rows.dtype == np.bool_:
        chosen = mine.copy()
        chosen[mine] = rows
        return chosen
    numbers = np.flatnonzero(mine) if mine.dtype == np.bool_ else mine
    found: NDArray[Any] = numbers[rows]
    return found


Slots = slice | NDArray[Any]


class _Chosen:
    """Rows of a mask, or all of them, as they come group by group."""

    def __init__(self, mask: NDArray[Any] | None) -> None:
        self._mask = mask
        self._done = 0

    def inside(self, begin: int, end: int) -> tuple[Slots, Slots] | None:
        """Of the rows from `begin` to `end`: where they go, and which they are. None: none of them."""
        of: Slots = slice(None)
        count = end - begin
        if self._mask is not None:
            of = self._mask[begin:end]
            count = int(np.count_nonzero(of))
        to = slice(self._done, self._done + count)
        self._done += count
        return (to, of) if count else None


class _Numbered:
    """Rows of the numbers given, in that order."""

    def __init__(self, numbers: NDArray[Any]) -> None:
        self._numbers = numbers

    def inside(self, begin: int, end: int) -> tuple[Slots, Slots] | None:
        """As above."""
        to = np.flatnonzero((self._numbers >= begin) & (self._numbers < end))
        return (to, self._numbers[to] - begin) if len(to) else None


def _count(rows: NDArray[Any]) -> int:
    return int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows)
