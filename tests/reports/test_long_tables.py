"""A summary of tables that lie on the disk, looked through a piece at a time, is that of tables in memory."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.busy import Ahead, Busy, busy_spans
from reports.columns import columns_of
from reports.explained.whole_run import explained
from reports.levels import Grid
from reports.metrics import Window
from reports.run_directory import Run, json_text, read, write
from reports.stored import StoredTable
from reports.summary import summarise
from reports.tables import RunTables
from tests.support.records import Row, request, tables
from tests.support.synthetic import synthetic_run

SECOND = 10**12


@contextmanager
def small_pieces() -> Iterator[None]:
    """20 rows are a long table, and 16 of them a piece."""
    sizes = {"stored.ROWS_PER_GROUP": 16, "stored.LARGE": 20, "levels.ROWS_AT_ONCE": 5, "busy.MOST_ROWS": 12}
    sizes |= {"busy.ROWS_AT_ONCE": 7, "waiting_line.ROWS_AT_ONCE": 9}
    with ExitStack() as patches:
        for name, size in sizes.items():
            patches.enter_context(patch(f"reports.{name}", size))
        yield


def on_disk(found: RunTables, manifest: dict[str, object], path: Path) -> Run:
    write(path, Run(found, manifest, "", None))
    run = read(path)
    assert isinstance(run.tables.requests, StoredTable)
    return run


@pytest.mark.parametrize(
    ("variants", "replications", "with_app"), [(1, 1, False), (2, 1, True), (1, 3, False)]
)
def test_a_summary_and_what_is_explained_are_the_same_to_the_byte(
    tmp_path: Path, variants: int, replications: int, with_app: bool
) -> None:
    found, manifest = synthetic_run(400, variants=variants, replications=replications, with_app=with_app)
    expected = json_text(summarise(found, manifest))
    chains = explained(Run(found, manifest, "", None))
    with small_pieces():
        run = on_disk(found, manifest, tmp_path / "run")
        assert json_text(summarise(run.tables, manifest)) == expected
        assert repr(explained(run)) == repr(chains)


visits = st.lists(
    st.builds(
        lambda start, stay, node: request(
            start, started=start, last=start + stay, ended=start + stay, node=node
        ),
        st.integers(0, 3_000),
        st.integers(0, 200),
        st.integers(0, 3),
    ),
    min_size=25,
    max_size=80,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(visits)
def test_nodes_are_busy_when_any_request_is_in_a_step(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    """Millisecond by millisecond, of a table in memory and of one on the disk."""
    of_run = tables({("edge", 0): rows[::2], ("edge", 1): rows[1::2]})
    in_memory = columns_of(of_run.requests)
    expected = 0
    for replication in (0, 1):
        for node in range(4):
            mine = in_memory.take((in_memory["node"] == node) & (in_memory["replication"] == replication))
            at_work = np.zeros(4_000, np.bool_)
            for begin, end in zip(mine["started_ps"], mine["last_ps"], strict=True):
                at_work[begin * 1000 // SECOND : end * 1000 // SECOND] = True
            expected += int(at_work.sum())
    _, manifest = synthetic_run(10, variants=1, replications=1, with_app=False)
    window, grid = Window(0, 4 * SECOND), Grid.of(4 * SECOND, (0, 1))
    ahead = Ahead((window,), (0, 1), {"llama": 4})
    with small_pieces():
        path = tmp_path_factory.mktemp("busy") / "run"
        stored = columns_of(on_disk(of_run, manifest, path).tables.requests)
        for found in (in_memory, stored):
            spans, _ = busy_spans(found, found.labelled("model", "llama"), window.end_ps)
            assert int((spans.end_ps - spans.begin_ps).sum()) == expected * SECOND // 1000
        shares = [Busy(one, ahead).share("llama", 4, window, (0, 1)).tolist() for one in (in_memory, stored)]
        assert shares[0] == shares[1]
        assert sum(shares[0]) * 16 == pytest.approx(expected / 1000)
        over_time = [Busy(one, ahead).over_time("llama", 4, grid).tolist() for one in (in_memory, stored)]
        assert over_time[0] == over_time[1]
