"""A table that grew in parts on the disk is the one that memory would hold, whatever order it came in."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.columns import columns_of
from reports.record import Column
from reports.spool import Spool, folder_of
from reports.stored import StoredTable, _open, opened, spilled, stacked, whole, write_stored
from reports.tables import KEYS, table_of
from sim.platform.recorder import Recorder
from tests.support.reads import Reads

COLUMNS = (Column("number", "int", ""), Column("source", "label", ""), Column("at_ps", "stamp", ""))
SOURCES = ("chat", "code", "night")
Rows = list[tuple[int, int, int]]


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """Parts of 8 rows, two ranges in the first, row groups of 16, and 20 rows are a long table."""
    with (
        patch("sim.platform.recorder.FLUSH_ROWS", 4),
        patch("reports.spool.FIRST_ROWS", 0),
        patch("reports.spool.PART_ROWS", 8),
        patch("reports.spool.RANGES", 2),
        patch("reports.stored.ROWS_PER_GROUP", 16),
        patch("reports.stored.LARGE", 20),
    ):
        yield


def recorder_of(rows: Rows, folder: Path | None, variant: str = "base") -> tuple[Recorder, Spool | None]:
    recorder, spool = Recorder(COLUMNS), None
    if folder is not None:
        spool = Spool(folder, "rows", (variant, 3), COLUMNS, recorder.labels.vocabulary)
        recorder.keep_in(spool)
    for number, source, at_ps in rows:
        recorder.add((number, *recorder.labels.codes(source=SOURCES[source]), at_ps))
    return recorder, spool


def in_memory(rows: Rows, variant: str = "base") -> pa.Table:
    recorder, _ = recorder_of(rows, None)
    return table_of(COLUMNS, variant, 3, recorder.arrays("number"), recorder.labels.vocabulary())


def on_disk(rows: Rows, folder: Path, variant: str = "base") -> StoredTable:
    recorder, spool = recorder_of(rows, folder, variant)
    assert spool is not None
    assert spool.on_disk
    return spool.finish(recorder.held())


rows = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 2), st.integers(-1, 2**62)), min_size=8, max_size=60
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_parts_become_the_table_that_memory_would_hold(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    found, expected = on_disk(rows, folder / "run"), in_memory(rows)
    assert found.whole().equals(expected)
    write_stored(folder / "one.parquet", found, (*KEYS, *COLUMNS))
    write_stored(folder / "other.parquet", expected, (*KEYS, *COLUMNS))
    assert (folder / "one.parquet").read_bytes() == (folder / "other.parquet").read_bytes()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, rows, st.data())
def test_columns_of_a_long_table_are_those_of_one_in_memory(
    tmp_path_factory: pytest.TempPathFactory, first: Rows, second: Rows, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    found = StoredTable((*on_disk(first, folder / "run").parts, in_memory(second, "other")))
    expected = whole(found)
    write_stored(folder / "both.parquet", found, (*KEYS, *COLUMNS))
    write_stored(folder / "again.parquet", expected, (*KEYS, *COLUMNS))
    assert (folder / "both.parquet").read_bytes() == (folder / "again.parquet").read_bytes()
    kept_bytes = data.draw(st.sampled_from([0, 400, 1000, 10**6]))  # no column, one or two short ones, all
    for table in (found, opened(folder / "both.parquet")):
        stored, known = columns_of(table), columns_of(expected)
        for _ in range(3):
            assert len(stored) == len(known)
            for name in known.values:
                with patch("reports.stored.KEPT_BYTES", kept_bytes):
                    assert stored[name].tolist() == known[name].tolist()
                    assert stored[name].tolist() == known[name].tolist()
                assert stored.names[name] == known.names[name]
            both = ("number", "at_ps")
            sums, sources = stored.all_of(
                lambda part: (part["number"] + part["at_ps"] % 7, part["source"]), "source", *both
            )
            assert sums.tolist() == (known["number"] + known["at_ps"] % 7).tolist()
            assert sources.tolist() == known["source"].tolist()
            odd = stored.each(lambda part: part["number"] % 2 == 1, "number")
            assert odd.tolist() == (known["number"] % 2 == 1).tolist()
            if data.draw(st.booleans()):
                chosen = np.array(
                    data.draw(st.lists(st.booleans(), min_size=len(known), max_size=len(known))), np.bool_
                )
            else:
                chosen = np.array(
                    data.draw(st.lists(st.integers(0, max(len(known) - 1, 0)), max_size=len(known))), np.int64
                )
            stored, known = stored.take(chosen), known.take(chosen)


def test_one_row_that_stays_for_the_whole_run_comes_first(tmp_path: Path) -> None:
    """Number 0 ends last, after 40 others."""
    found = on_disk([*((number, 0, 7) for number in range(1, 41)), (0, 1, 9)], tmp_path / "run")
    assert found["number"].to_pylist() == list(range(41))
    assert found["source"].to_pylist()[:2] == ["code", "chat"]


def test_whoever_is_killed_leaves_parts_that_anybody_can_read(tmp_path: Path) -> None:
    recorder_of([(number, number % 3, -1) for number in range(21)], tmp_path / "run", "a/b")
    (first, second) = sorted(folder_of(tmp_path / "run", "a/b", 3).iterdir())
    table = pq.read_table(first)
    assert table["number"].to_pylist() == list(range(8))
    assert table["source"].to_pylist()[:3] == list(SOURCES)
    assert table["at_ps"].null_count == 8
    assert pq.read_table(second)["number"].to_pylist() == list(range(8, 16))


def test_a_second_try_of_a_replication_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    recorder_of([(number, 0, 0) for number in range(32)], tmp_path / "run")
    found = on_disk([(number, 1, 0) for number in range(9)], tmp_path / "run")
    assert found["source"].to_pylist() == ["code"] * 9
    assert [file.name for file in folder_of(tmp_path / "run", "base", 3).iterdir()] == ["rows.parquet"]


def test_no_row_of_a_short_table_goes_to_the_disk(tmp_path: Path) -> None:
    """Rows come in fours."""
    short = [(number, 0, 0) for number in range(25)]
    with patch("reports.spool.FIRST_ROWS", 20):
        _, spool = recorder_of(short[:-1], tmp_path / "run")
        assert spool is not None
        assert spool.on_disk  # with the 24th
        _, spool = recorder_of(short[:23], tmp_path / "other")
        assert spool is not None
        assert not spool.on_disk
    assert [len(pq.read_table(file)) for file in folder_of(tmp_path / "run", "base", 3).iterdir()] == [24]


def test_short_tables_stay_in_memory_together_and_long_ones_do_not(tmp_path: Path) -> None:
    short = [(number, 0, 0) for number in range(10)]
    one, two = on_disk(short, tmp_path / "one"), in_memory(short)
    assert not isinstance(stacked([one]), StoredTable)
    assert not isinstance(stacked([one, two]), StoredTable)
    assert isinstance(stacked([one, two, two]), StoredTable)


def test_columns_that_were_just_looked_at_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 rows; 400 bytes hold two columns of int64."""
    reads = Reads(monkeypatch)
    monkeypatch.setattr("reports.stored.KEPT_BYTES", 400)
    values = columns_of(on_disk([(number, 0, number) for number in range(24)], tmp_path / "run"))
    most = values.take(np.arange(23))

    def look(*names: str) -> dict[str, int]:
        return reads.of(lambda: [(most[name], values[name]) for name in names])

    assert look("number", "at_ps", "number") == {"number": 24, "at_ps": 24}
    assert look("number", "at_ps") == {}
    # at_ps was looked at last.
    assert look("source", "at_ps", "number") == {"source": 24, "number": 24}
    # The file tells the only replication by itself.
    assert look("replication") == {}


def test_of_a_variant_that_is_short_each_column_is_read_once_and_nothing_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three variants of 16 rows, in two replications each: a part of one, however often it is looked at."""
    monkeypatch.setattr("reports.stored.SHORT_GROUP", 8)
    reads = Reads(monkeypatch)
    names = ("edge", "home", "oregon")
    tables = [in_memory([(number, 0, 7) for number in range(8)], name) for _ in range(2) for name in names]
    long = stacked(spilled(tables, tmp_path / "rows.parquet", (*KEYS, *COLUMNS)))
    everything = columns_of(long)
    reads.of(lambda: everything["variant"])
    home = everything.take(everything.labelled("variant", "home"))
    chat = home.take(home["number"] > 2)

    def look() -> None:
        for _ in range(3):
            assert home["at_ps"].tolist() == [7] * 16
            assert chat["at_ps"].tolist() == [7] * 10
            assert chat.take(chat["number"] > 5)["number"].tolist() == [6, 7, 6, 7]

    assert reads.of(look) == {"at_ps": 16}
    assert reads.of(chat.loaded) == dict.fromkeys(set(home.values) - {"replication"}, 16)


def test_row_groups_that_neighbours_share_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve tables of two rows."""
    reads = Reads(monkeypatch)
    tables = [in_memory([(2 * number, 0, 7), (2 * number + 1, 0, 7)]) for number in range(12)]
    found = stacked(spilled(tables, tmp_path / "rows.parquet", (*KEYS, *COLUMNS)))
    assert isinstance(found, StoredTable)
    assert reads.of(lambda: found["number"]) == {"number": 24}
    assert found["number"].to_pylist() == list(range(24))
    parts = spilled(tables, tmp_path / "again.parquet", (*KEYS, *COLUMNS))
    turned = stacked([*parts[1:], parts[0]])
    assert turned["number"].to_pylist() == [*range(2, 24), 0, 1]


def test_a_few_files_stay_open(tmp_path: Path) -> None:
    """Of three, two at a time."""
    rows = [(number, 0, 7) for number in range(8)]
    parts = [on_disk(rows, tmp_path / name) for name in ("one", "two", "three")]
    with patch("reports.stored.KEPT_OPEN", 2), patch("reports.stored._open", wraps=_open) as opened_again:
        table = stacked(parts)
        for _ in range(3):
            assert table["number"].to_pylist() == [*range(8)] * 3
        descriptors = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert opened_again.call_count == 9
    assert len([one for one in descriptors if one.startswith(str(tmp_path))]) == 2
