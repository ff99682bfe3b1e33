"""Zip files that want to be somewhere else, or more, than they should."""

import io
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from api_shim.store import archives
from api_shim.store.archives import ArchiveLimits, BadArchiveError

SMALL = ArchiveLimits(most_entries=10, most_bytes=1000)


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # it says so where a name is there twice
        for name, content in entries:
            archive.writestr(name, content)
    return written.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = mode << 16
    return entry


def refusal(content: bytes, limits: ArchiveLimits = SMALL) -> str:
    with pytest.raises(BadArchiveError) as refused:
        archives.check(io.BytesIO(content), limits)
    return str(refused.value)


def test_both_trees_of_an_app_are_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "app.zip"
    file.write_bytes(
        zipped(("project/main.py", b"app = 1\n"), ("dependencies/", b""), ("dependencies/x.py", b""))
    )
    archives.check(io.BytesIO(file.read_bytes()), SMALL)
    archives.unpack(file, tmp_path / "app", SMALL)
    assert (tmp_path / "app" / "project" / "main.py").read_bytes() == b"app = 1\n"
    assert (tmp_path / "app" / "dependencies" / "x.py").read_bytes() == b""


@pytest.mark.parametrize(
    "name",
    ["../out", "project/../../out", "/etc/out", "project//out", "a/./b", "..\\out", "c:\\out", "project/.."],
)
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    assert "is no path below a folder" in refusal(zipped((name, b"x")))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_an_entry_is_a_file_or_a_folder(kind: int) -> None:
    assert "neither a file nor a folder" in refusal(
        zipped((special("project/x", kind | 0o777), b"/etc/passwd"))
    )


@pytest.mark.parametrize(
    "names", [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a/", "a"), ("a/b/c", "a/b")], ids="+".join
)
def test_no_entry_lies_where_another_one_does(names: tuple[str, str]) -> None:
    content = zipped(*((name, b"x" * (not name.endswith("/"))) for name in names))
    assert "is there twice, or within a file" in refusal(content)


def test_ten_gigabytes_of_zeros_are_refused_by_what_they_would_be() -> None:
    """Three entries that say so in a few bytes: nothing of them is unpacked to find out."""
    content = bytearray(zipped(*((f"project/zeros{n}", b"\0" * 100) for n in range(3))))
    entry = content.index(b"PK\x01\x02")
    while entry >= 0:
        struct.pack_into("<I", content, entry + 24, 3_500_000_000)
        entry = content.find(b"PK\x01\x02", entry + 4)
    said = refusal(bytes(content), ArchiveLimits())
    assert said == "Unpacked it has more than 4,294,967,296 bytes."


def test_sizes_of_many_small_entries_add_up() -> None:
    refused = refusal(zipped(("project/a", b"\0" * 600), ("project/b", b"\0" * 600)))
    assert refused == "Unpacked it has more than 1,000 bytes."


def test_an_entry_that_is_larger_than_it_says_is_not_written_out(tmp_path: Path) -> None:
    content = bytearray(zipped(("project/zeros", b"\0" * 100_000)))
    directory, local = content.index(b"PK\x01\x02"), content.index(b"PK\x03\x04")
    struct.pack_into("<I", content, directory + 24, 10)
    struct.pack_into("<I", content, local + 22, 10)
    file = tmp_path / "app.zip"
    file.write_bytes(content)
    archives.check(io.BytesIO(content), SMALL)
    with pytest.raises(BadArchiveError, match="cannot be unpacked: Bad CRC-32"):
        archives.unpack(file, tmp_path / "app", SMALL)
    assert sum(path.stat().st_size for path in (tmp_path / "app").rglob("*") if path.is_file()) <= 10


def test_more_entries_than_are_taken_are_refused() -> None:
    assert "It has 11 entries: at most 10 are taken" in refusal(zipped(*((f"p/{n}", b"") for n in range(11))))


def test_a_list_of_entries_that_fills_the_memory_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_DIRECTORY_BYTES", 200)
    assert "list of entries has more than 200 bytes" in refusal(zipped(*((f"p/{n}", b"") for n in range(9))))


def test_an_encrypted_entry_is_refused() -> None:
    content = bytearray(zipped(("project/x", b"x")))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "is encrypted" in refusal(bytes(content))


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no zip file", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_zip_file_is_refused(content: bytes) -> None:
    assert "It is no zip file that can be read" in refusal(content)


def test_a_file_that_is_cut_off_is_refused() -> None:
    content = zipped(("project/x", b"x" * 500))
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(BadArchiveError):
            archives.check(io.BytesIO(content[:length]), SMALL)
