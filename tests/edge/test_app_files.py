from pathlib import Path

import pytest

from api_shim.edge.app_files import is_plain, place_files
from api_shim.store.store import Store


@pytest.fixture
def store() -> Store:
    return Store()


def upload(store: Store, name: str, content: bytes, project: str = "mine") -> str:
    writing = store.files.begin()
    writing.write([content])
    made = store.files.add(
        writing,
        instance="00000000",
        project=project,
        filename=name,
        purpose="user_data",
        created_s=1,
        expires_s=None,
    )
    return made.id


def placed(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("files/[!.]*")}


def test_the_newest_of_a_name_lies_there_until_it_is_deleted(store: Store, tmp_path: Path) -> None:
    upload(store, "a.txt", b"old")
    newer = upload(store, "a.txt", b"new")
    upload(store, "b.txt", b"of others", "theirs")
    place_files(store.files, "mine", tmp_path, 2)
    assert placed(tmp_path) == {"a.txt": b"new"}
    assert store.files.remove("mine", newer, 2)
    place_files(store.files, "mine", tmp_path, 2)
    assert placed(tmp_path) == {"a.txt": b"old"}
    place_files(store.files, None, tmp_path, 2)
    assert placed(tmp_path) == {"a.txt": b"old", "b.txt": b"of others"}


def test_what_somebody_else_has_put_there_stays(store: Store, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_bytes(b"theirs")
    file = upload(store, "a.txt", b"uploaded")
    upload(store, "b.txt", b"uploaded")
    place_files(store.files, "mine", tmp_path, 2)
    assert placed(tmp_path) == {"a.txt": b"theirs", "b.txt": b"uploaded"}
    assert store.files.remove("mine", file, 2)
    place_files(store.files, "mine", tmp_path, 2)
    assert placed(tmp_path) == {"a.txt": b"theirs", "b.txt": b"uploaded"}


def test_no_label_leads_out_of_the_folder(store: Store, tmp_path: Path) -> None:
    for name in ("../main.py", "/etc/passwd", ".placed.json", "..", "a\\b", "sub/file"):
        assert not is_plain(name)
        upload(store, name, b"bad")
    place_files(store.files, "mine", tmp_path, 2)
    assert list(tmp_path.iterdir()) == []


def test_what_an_artifact_says_of_its_files_is_not_believed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / ".placed.json").write_text("[" * 100_000)
    upload(store, "a.txt", b"uploaded")
    place_files(store.files, "mine", tmp_path, 2)
    assert placed(tmp_path) == {"a.txt": b"uploaded"}
