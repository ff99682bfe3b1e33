"""The page that a newcomer reads first names real files, all stamps, and who writes each."""

import re
from pathlib import Path

import pytest

from reports.record import REQUEST_COLUMNS, USER_REQUEST_COLUMNS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "life-of-a-request.md").read_text(encoding="utf-8")
WRITERS = dict(re.findall(r"^\| `(\w+_ps)` \|.*\| `([\w/.]+)` \|$", PAGE, re.MULTILINE))


def test_every_file_of_the_page_exists() -> None:
    named = re.findall(r"`((?:sim|traffic|reports|api_shim)/[\w/]+\.py)`", PAGE)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_stamp_of_a_request_stands_on_the_page() -> None:
    stamps = {column.name for column in REQUEST_COLUMNS if column.kind == "stamp"}
    assert stamps | {"left_ps"} == set(WRITERS)
    assert "left_ps" in {column.name for column in USER_REQUEST_COLUMNS}


@pytest.mark.parametrize("stamp", WRITERS)
def test_a_stamp_is_written_where_the_page_says(stamp: str) -> None:
    """Set as an attribute, or handed over under its name where a tuple is made."""
    writer = (ROOT / WRITERS[stamp]).read_text(encoding="utf-8")
    assert re.search(rf"\b{stamp}\b", writer)


@pytest.mark.parametrize("stamp", ["admitted_ps", "first_seen_ps", "ended_ps"])
def test_the_platform_stamps_are_written_nowhere_else(stamp: str) -> None:
    """`-1` at the making of a ticket is no writing."""
    written = re.compile(rf"\.{stamp}(?:, [\w.]+)* = (?!-1)|, \w+\.{stamp} = ")
    files = [*(ROOT / "sim" / "platform").rglob("*.py"), *(ROOT / "sim" / "node").rglob("*.py")]
    found = {
        str(file.relative_to(ROOT)) for file in files if written.search(file.read_text(encoding="utf-8"))
    }
    assert found <= {WRITERS[stamp]}, found
