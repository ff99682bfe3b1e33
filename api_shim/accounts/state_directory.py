"""The database of a server's state directory, for commands that change it beside the server."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api_shim.settings import IN_MEMORY
from api_shim.store.database import Database
from api_shim.store.full_disk import StorageFullError
from api_shim.store.migrations import NewerDatabaseError
from api_shim.store.store import DATABASE
from e80sim.mistakes import UserError


@contextmanager
def opened(state: Path, *, make: bool = False) -> Iterator[Database]:
    """`make` it where there is none. Raises UserError."""
    if str(state) == IN_MEMORY:
        raise UserError(f"--state {state} keeps nothing, so no server would know of it: name a directory")
    if not make and not (state / DATABASE).exists():
        raise UserError(
            f"--state {state}: there is nothing yet; `e80sim serve --state` or `key create` makes it"
        )
    database = Database(state / DATABASE)
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        database.open()
        yield database
    except StorageFullError:
        raise UserError(f"--state {state}: the disk is full") from None
    except NewerDatabaseError:
        raise UserError(f"--state {state}: a newer version of e80sim has written it") from None
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"--state {state} cannot be used: {reason}") from None
    finally:
        database.close()
