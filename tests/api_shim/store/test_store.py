"""The state directory: what is in it after an end of any kind."""

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from api_shim.store.contents import Writing
from api_shim.store.files import Files, StoredFile, Wanted
from api_shim.store.full_disk import StorageFullError
from api_shim.store.migrations import MIGRATIONS
from api_shim.store.store import DATABASE, FILES, Store
from e80sim.mistakes import UserError

ALL = Wanted(10_000)


def add(
    store: Store, content: bytes = b"abc", expires_s: int | None = None, project: str = "p"
) -> StoredFile:
    writing = store.files.begin()
    try:
        writing.write([content])
        return store.files.add(
            writing,
            instance="00000000",
            project=project,
            filename="in.jsonl",
            purpose="batch",
            created_s=1000,
            expires_s=expires_s,
        )
    finally:
        writing.discard()


def content_of(files: Files, file: StoredFile) -> bytes:
    opened = files.open(file)
    assert opened is not None
    with opened:
        return opened.read()


def on_disk(state: Path) -> list[str]:
    return sorted(path.name for path in (state / FILES).iterdir())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_what_was_kept_is_there_when_the_directory_is_opened_again(state: Path) -> None:
    store = Store(state)
    file = add(store, b"hello")
    store.close()
    store = Store(state)
    assert store.files.get("p", file.id, 1000) == file
    assert content_of(store.files, file) == b"hello"
    store.close()


def test_without_a_directory_nothing_is_left_behind() -> None:
    store = Store()
    file = add(store)
    path = store.files.path(file)
    assert path.read_bytes() == b"abc"
    store.close()
    assert not path.parent.exists()


def test_only_one_server_uses_a_directory(state: Path) -> None:
    store = Store(state)
    with pytest.raises(UserError, match="another server is using it"):
        Store(state)
    store.close()
    Store(state).close()


def test_a_directory_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used: "):
        Store(tmp_path / "file")
    (tmp_path / DATABASE).write_text(
        "no database at all, of any kind, but long enough to be taken for one" * 20
    )
    with pytest.raises(UserError, match="cannot be used: file is not a database"):
        Store(tmp_path)


def test_a_database_of_a_later_version_is_left_alone(state: Path) -> None:
    Store(state).close()
    with sqlite3.connect(state / DATABASE) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(UserError, match="a newer version of e80sim has written it"):
        Store(state)


def test_numbers_are_never_given_twice(state: Path) -> None:
    store = Store(state)
    first = add(store)
    assert store.files.remove("p", first.id, 1000)
    assert not store.files.remove("p", first.id, 1000)
    assert add(store).id > first.id
    store.close()


def test_what_has_expired_is_gone_for_readers_at_once_and_from_the_disk_with_the_next_upload(
    state: Path,
) -> None:
    """Created at 1000, expiring at 1000 too: gone from that very second on."""
    store = Store(state)
    file = add(store, expires_s=1001)
    assert store.files.get("p", file.id, 1000.9) == file
    assert store.files.get("p", file.id, 1001.0) is None
    assert store.files.page("p", 1001.0, ALL).total == 0
    assert on_disk(state) == ["1"]
    store.files.forget_expired(1001.0)
    assert on_disk(state) == []
    store.close()


def test_leftovers_of_a_killed_server_are_swept_and_nothing_else(state: Path) -> None:
    """An upload half received, a content without a row; and a row's content, which stays."""
    store = Store(state)
    file = add(store)
    store.close()
    (state / FILES / "incoming-x").write_bytes(b"half")
    (state / FILES / "77").write_bytes(b"nobody was told")
    store = Store(state)
    assert on_disk(state) == ["1"]
    assert content_of(store.files, file) == b"abc"
    store.close()


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """The system itself refuses more, as a full disk or a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_while_a_content_is_written_changes_nothing(state: Path) -> None:
    store = Store(state)
    kept = add(store)
    with files_of_at_most(100_000), pytest.raises(StorageFullError):
        add(store, b"x" * 200_000)
    assert store.files.page("p", 1000, ALL).files == [kept]
    assert on_disk(state) == ["1"]
    again = add(store, b"x" * 200_000)
    assert store.files.page("p", 1000, ALL).files == [again, kept]
    store.close()


def test_a_disk_that_fills_up_under_the_database_changes_nothing(state: Path) -> None:
    """Rows with long names, until SQLite itself finds no page any more."""
    store = Store(state)
    store.database.query("PRAGMA max_page_count = 12")
    kept = list(added_until_full(store))
    assert 1 < len(kept) < 100
    assert store.files.page("p" * 500, 1000, ALL).files == kept[::-1]
    assert len(on_disk(state)) == len(kept)
    store.database.query("PRAGMA max_page_count = 1000")
    add(store, project="p" * 500)
    assert store.database.query("PRAGMA integrity_check")[0][0] == "ok"
    store.close()


def added_until_full(store: Store) -> Iterator[StoredFile]:
    for _ in range(1000):
        try:
            yield add(store, project="p" * 500)
        except StorageFullError:
            return


def test_a_content_that_cannot_get_its_name_leaves_no_row(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(state)
    with monkeypatch.context() as patch:
        patch.setattr(Writing, "keep", Mock(side_effect=StorageFullError))
        with pytest.raises(StorageFullError):
            add(store)
    assert store.files.page("p", 1000, ALL).total == 0
    assert on_disk(state) == []
    store.close()


DYING = """
import os, signal, sys
from pathlib import Path
from tests.api_shim.store.test_store import add
from api_shim.store.contents import Writing
from api_shim.store.store import Store
keep = Writing.keep
def die(writing, path):
    if sys.argv[2] == "named":
        keep(writing, path)
    os.kill(os.getpid(), signal.SIGKILL)
Writing.keep = die
add(Store(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("when", ["written", "named"])
def test_kill_9_before_the_commit_leaves_neither_row_nor_content(state: Path, when: str) -> None:
    """With the content under its temporary name, and under the one that its row would have."""
    died = subprocess.run([sys.executable, "-c", DYING, state, when], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(on_disk(state)) == 1
    store = Store(state)
    assert store.files.page("p", 1000, ALL).total == 0
    assert on_disk(state) == []
    store.close()


WRITER = """
import sys
from pathlib import Path
from tests.api_shim.store.test_store import add
from api_shim.store.store import Store
store = Store(Path(sys.argv[1]))
for number in range(10**6):
    file = add(store, str(number).encode() * 1000)
    if number % 3 == 2:
        store.files.remove("p", file.id, 1000)
        print("removed", file.id, flush=True)
    else:
        print(number, file.id, flush=True)
"""


def test_kill_9_in_the_middle_of_writes_loses_nothing_that_was_acknowledged(state: Path) -> None:
    """Twelve processes, one after the other on one directory, each killed after another number of lines."""
    acknowledged: dict[str, bytes] = {}
    removed: set[str] = set()
    for round_ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, state], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(5 + 7 * round_ % 30):
                _note(process.stdout.readline(), acknowledged, removed)
            process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().splitlines(keepends=True):
                _note(line, acknowledged, removed)
    store = Store(state)
    there = {file.id: file for file in store.files.page("p", 1000, ALL).files}
    assert acknowledged.keys() <= there.keys()
    assert not removed & there.keys()
    assert len(there) - len(acknowledged) <= 12  # one of each process was durable before anybody was told
    assert all(content_of(store.files, there[id_]) == content for id_, content in acknowledged.items())
    assert len(on_disk(state)) == len(there)
    assert store.database.query("PRAGMA integrity_check")[0][0] == "ok"
    store.close()


def _note(line: str, acknowledged: dict[str, bytes], removed: set[str]) -> None:
    if not line.endswith("\n"):
        return  # cut off: nobody was told
    number, id_ = line.split()
    if number == "removed":
        removed.add(id_)
    else:
        acknowledged[id_] = number.encode() * 1000
