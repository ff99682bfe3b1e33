"""The state directory of a server, or its stand-in that keeps nothing."""

import fcntl
import sqlite3
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import IO
from weakref import finalize

from api_shim.store.app_spans import AppSpans
from api_shim.store.artifacts import Artifacts
from api_shim.store.batches import Batches
from api_shim.store.contents import Contents
from api_shim.store.conversations import Conversations
from api_shim.store.database import Database
from api_shim.store.deployments import Deployments
from api_shim.store.files import Files
from api_shim.store.keys import Keys
from api_shim.store.logins import Logins
from api_shim.store.migrations import NewerDatabaseError
from api_shim.store.projects import Projects
from api_shim.store.responses import MOST_IN_MEMORY, MOST_ON_DISK, Responses
from api_shim.store.sandboxes import StoredSandboxes
from api_shim.store.sealing import KEY_FILE, KEY_VARIABLE, Seal, WrongSealError
from api_shim.store.secrets import Secrets
from api_shim.store.traces import Traces
from e80sim.mistakes import UserError

DATABASE = "state.sqlite"
LOCK = "lock"
FILES, ARTIFACTS = "files", "artifacts"


class Store:
    """All but the keys is used in `Clock.aside`, which does one thing at a time."""

    def __init__(self, directory: Path | None = None) -> None:
        """None keeps nothing: rows in memory, contents in a temporary directory, both made when first used.

        Raises UserError where the directory cannot be used, or another server uses it.
        """
        self._directory = directory
        self._lock: IO[bytes] | None = None
        self._forget: list[Callable[[], object]] = []
        """What removes temporary directories."""
        self.database = Database(None if directory is None else directory / DATABASE)
        self.files = Files(self.database, lambda: self._contents)
        self.traces = Traces(self.database)
        self.batches = Batches(self.database, lambda: self._contents)
        self.sandboxes = StoredSandboxes(self.database)
        self.responses = Responses(self.database, MOST_IN_MEMORY if directory is None else MOST_ON_DISK)
        self.conversations = Conversations(self.database)
        self.secrets = Secrets(self.database, Seal(directory))
        self.artifacts = Artifacts(self.database, lambda: self._artifact_contents)
        self.deployments = Deployments(self.database)
        self.app_spans = AppSpans(self.database)
        self.keys = None if directory is None else Keys(Database(directory / DATABASE))
        """Read where requests come in, not aside. None: nobody could make one."""
        self.projects = Projects(self.database)
        self.logins = Logins(Database(None if directory is None else directory / DATABASE))
        """The same; where nothing is kept, `logins_aside` are these, too."""
        self.logins_aside = self.logins if directory is None else Logins(self.database)
        """Where they are made and revoked."""
        if directory is not None:
            self._open(directory)

    def close(self) -> None:
        self.database.close()
        if self.keys is not None:
            self.keys.close()
        self.logins.close()
        if self._lock is not None:
            self._lock.close()
        for forget in self._forget:
            forget()

    @cached_property
    def _contents(self) -> Contents:
        return self._folder(FILES)

    @cached_property
    def _artifact_contents(self) -> Contents:
        return self._folder(ARTIFACTS)

    def _folder(self, name: str) -> Contents:
        if self._directory is not None:
            return Contents(self._directory / name)
        folder = mkdtemp(prefix=f"e80sim-{name}-")
        self._forget.append(finalize(self, rmtree, folder, ignore_errors=True))
        return Contents(Path(folder))

    def _open(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (directory / LOCK).open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.database.open()
            self.files.sweep()
            self.batches.sweep()
            self.artifacts.sweep()
            self.secrets.check()
        except BlockingIOError:
            self.close()
            raise UserError(
                f"--state {directory}: another server is using it; give each a directory of its own"
            ) from None
        except WrongSealError:
            self.close()
            raise UserError(
                f"--state {directory}: its secrets were sealed with another key; put {KEY_FILE} back there, "
                f"or set {KEY_VARIABLE} to what it was"
            ) from None
        except UserError:
            self.close()
            raise
        except NewerDatabaseError:
            self.close()
            raise UserError(f"--state {directory}: a newer version of e80sim has written it") from None
        except (OSError, sqlite3.Error) as error:
            self.close()
            reason = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"--state {directory} cannot be used: {reason}") from None
