"""Zip files of people whom nobody has to trust: looked at before they are kept, and unpacked into a folder.

What a zip file says of itself is not believed: names are judged as paths on this machine, no more is written
than was said, and no entry is anything but a file or a folder.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

GIB = 2**30
COPY_BYTES = 2**20
LONGEST_PATH = 1024
LONGEST_PART = 255
MOST_DIRECTORY_BYTES = 64 * 2**20
"""Of a zip file's list of entries, which is read into memory."""
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class BadArchiveError(Exception):
    """A sentence for whoever sent it."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    most_entries: int = 100_000
    most_bytes: int = 4 * GIB
    """Unpacked."""


def check(content: BinaryIO, limits: ArchiveLimits) -> None:
    """Raises BadArchiveError."""
    with _opened(content) as archive:
        for _ in _entries(archive, limits):
            pass


def unpack(file: Path, folder: Path, limits: ArchiveLimits | None = None) -> None:
    """Into an empty folder. Raises BadArchiveError, after which the folder holds a part; and OSError."""
    with file.open("rb") as content, _opened(content) as archive:
        for path, entry in _entries(archive, limits or ArchiveLimits()):
            target = folder / path
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as written:
                _copy(archive, entry, written)


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, written: IO[bytes]) -> None:
    """As many bytes as the entry says: fewer or others are a fault of the file, more are not read."""
    try:
        with archive.open(entry) as packed:
            while piece := packed.read(COPY_BYTES):
                written.write(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise _bad(entry.filename, f"cannot be unpacked: {error}") from None


class _Bounded:
    """A file of which nobody reads a piece that fills the memory: the list of entries is read in one."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self.seek, self.tell, self.seekable = content.seek, content.tell, content.seekable

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(
            MOST_DIRECTORY_BYTES + 1 if size < 0 else min(size, MOST_DIRECTORY_BYTES + 1)
        )
        if len(piece) > MOST_DIRECTORY_BYTES:
            raise BadArchiveError(f"Its list of entries has more than {MOST_DIRECTORY_BYTES:,} bytes.")
        return piece


def _opened(content: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(_Bounded(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, OSError) as error:
        raise BadArchiveError(f"It is no zip file that can be read: {error}.") from None


def _entries(
    archive: zipfile.ZipFile, limits: ArchiveLimits
) -> Iterator[tuple[PurePosixPath, zipfile.ZipInfo]]:
    """(where it goes, the entry), each after it has been judged."""
    entries = archive.infolist()
    if len(entries) > limits.most_entries:
        raise BadArchiveError(f"It has {len(entries):,} entries: at most {limits.most_entries:,} are taken.")
    total = 0
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    for entry in entries:
        path = _path(entry)
        total += entry.file_size
        if total > limits.most_bytes:
            raise BadArchiveError(f"Unpacked it has more than {limits.most_bytes:,} bytes.")
        if path in files or (path in folders and not entry.is_dir()) or not files.isdisjoint(path.parents):
            raise _bad(entry.filename, "is there twice, or within a file")
        folders.update(path.parents)
        (folders if entry.is_dir() else files).add(path)
        yield path, entry


def _path(entry: zipfile.ZipInfo) -> PurePosixPath:
    """Raises BadArchiveError where it is none below the folder, or no plain file or folder."""
    name = entry.filename
    parts = name.removesuffix("/").split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or {"", ".", ".."} & set(parts):
        raise _bad(name, "is no path below a folder")
    if len(name) > LONGEST_PATH or max(len(part.encode(errors="replace")) for part in parts) > LONGEST_PART:
        raise _bad(name, "is too long a path")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG}:
        raise _bad(name, "is neither a file nor a folder but a link, or a device")
    if entry.flag_bits & 1:
        raise _bad(name, "is encrypted")
    if entry.compress_type not in METHODS:
        raise _bad(name, "is compressed in a way that is not taken: store or deflate it")
    return PurePosixPath(*parts)


def _bad(name: str, what: str) -> BadArchiveError:
    shown = name if len(name) <= 80 else f"{name[:77]}..."
    return BadArchiveError(f"Its entry {shown!r} {what}.")
