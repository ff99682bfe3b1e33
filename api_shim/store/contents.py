"""The bytes of files on the disk, each under the number of its row: no name that a client chose is a path."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from api_shim.store.full_disk import noticing_full_disk

INCOMING, HELD = "incoming-", "held-"
BYTES_PER_SYNC = 8 * 2**20
"""So that the last sync, for which others wait, has little left to do."""


class Writing:
    """A content on its way in. Ends with `keep` or `discard`."""

    def __init__(self, folder: Path) -> None:
        self.size_bytes = 0
        self._unsynced_bytes = 0
        self._file = NamedTemporaryFile(prefix=INCOMING, dir=folder, delete=False)  # noqa: SIM115 -- `keep` closes it

    def write(self, pieces: Sequence[bytes]) -> None:
        """Raises StorageFullError."""
        with noticing_full_disk():
            self._file.writelines(pieces)
            written = sum(map(len, pieces))
            self.size_bytes += written
            self._unsynced_bytes += written
            if self._unsynced_bytes >= BYTES_PER_SYNC:
                self._sync()

    def finish(self) -> None:
        """All of it is on the disk. Raises StorageFullError."""
        with noticing_full_disk():
            self._sync()
            self._file.close()

    def open(self) -> BinaryIO:
        """To read it, after `finish` and before it is kept."""
        return Path(self._file.name).open("rb")

    def keep(self, path: Path) -> None:
        """Under its name, durably, after `finish`."""
        with noticing_full_disk():
            Path(self._file.name).rename(path)
            _sync_folder(path.parent)

    def discard(self) -> None:
        """Nothing where it was kept."""
        with suppress(OSError):  # what the disk could not take is lost on purpose
            self._file.close()
        Path(self._file.name).unlink(missing_ok=True)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced_bytes = 0


class Contents:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> Writing:
        """Raises StorageFullError."""
        with noticing_full_disk():
            return Writing(self.folder)

    def path(self, number: int) -> Path:
        return self.folder / str(number)

    def remove(self, number: int) -> None:
        self.path(number).unlink(missing_ok=True)

    def hold(self, number: int, holder: int) -> None:
        """Keep a content for a batch, durably, whatever becomes of the file. Raises FileNotFoundError."""
        with noticing_full_disk():
            self.held(holder).hardlink_to(self.path(number))
            _sync_folder(self.folder)

    def held(self, holder: int) -> Path:
        return self.folder / f"{HELD}{holder}"

    def let_go(self, holder: int) -> None:
        self.held(holder).unlink(missing_ok=True)

    def sweep(self, known: set[int]) -> None:
        """What a killed server left: contents that nobody was told of, or whose rows are gone."""
        for path in self.folder.iterdir():
            if path.name.startswith(INCOMING) or (path.name.isdecimal() and int(path.name) not in known):
                path.unlink()

    def sweep_held(self, holders: set[int]) -> None:
        """The same for what batches held that are over, or that nobody was told of."""
        for path in self.folder.glob(f"{HELD}*"):
            if int(path.name.removeprefix(HELD)) not in holders:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
