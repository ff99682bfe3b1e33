"""The one fault of a disk that its user can mend."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC

NO_ROOM = {ENOSPC, EDQUOT, EFBIG}
NO_ROOM_FOR_SQLITE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,  # what it makes of a quota, or of a limit on a file's size
}


class StorageFullError(Exception):
    """Nothing was kept of what was to be written, and everything else still is."""


@contextmanager
def noticing_full_disk() -> Iterator[None]:
    """Raises StorageFullError for what the system or SQLite says of it."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise StorageFullError from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in NO_ROOM_FOR_SQLITE:
            raise
        raise StorageFullError from error
