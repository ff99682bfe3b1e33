"""Where the rows of a table are kept changes nothing about them, but how many there are."""

from errno import ENOSPC
from pathlib import Path
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.record import Column
from sim.platform.recorder import FLUSH_ROWS, Blocks, RecentBlocks, Recorder, SpooledBlocks

COLUMNS = (Column("number", "int", ""), Column("at_ps", "stamp", ""))


def recorded(rows: list[tuple[int, int]], blocks: Blocks | None) -> dict[str, list[int]]:
    recorder = Recorder(COLUMNS, blocks)
    for row in rows:
        recorder.add(row)
    first = {name: values.tolist() for name, values in recorder.arrays("number").items()}
    assert first == {name: values.tolist() for name, values in recorder.arrays("number").items()}
    return first


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(-1, 2**62)), max_size=40), st.sampled_from([1, 3, 100])
)
def test_rows_on_the_disk_are_those_in_memory(
    tmp_path: Path, rows: list[tuple[int, int]], flush_rows: int
) -> None:
    with patch("sim.platform.recorder.FLUSH_ROWS", flush_rows):
        in_memory = recorded(rows, None)
        spooled = SpooledBlocks(tmp_path)
        assert recorded(rows, spooled) == in_memory
        spooled.close()
    assert in_memory["at_ps"] == [at_ps for _, at_ps in sorted(rows, key=lambda row: row[0])]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_record_keeps_its_last_rows_alone() -> None:
    kept = recorded([(number, 0) for number in range(10 * FLUSH_ROWS + 5)], RecentBlocks())
    assert kept["number"] == list(range(9 * FLUSH_ROWS, 10 * FLUSH_ROWS + 5))


def test_a_full_disk_is_told_and_ends_the_table_alone(tmp_path: Path) -> None:
    blocks = SpooledBlocks(tmp_path)
    blocks.append(np.ones((2, 2), np.int64))
    with patch.object(blocks, "_file", wraps=blocks._file) as file:
        file.write.side_effect = OSError(ENOSPC, "No space left on device")
        blocks.append(np.zeros((3, 2), np.int64))
    blocks.append(np.zeros((3, 2), np.int64))
    assert blocks.problem is not None
    assert [block.tolist() for block in blocks.kept()] == [[[1, 1], [1, 1]]]
    blocks.close()


def test_what_would_arrive_after_the_latest_instant_is_recorded_as_arriving_then() -> None:
    rows = list(enumerate([5, 2**63 - 1, 2**63, 10**30]))
    assert recorded(rows, None)["at_ps"] == [5, 2**63 - 1, 2**63 - 1, 2**63 - 1]
