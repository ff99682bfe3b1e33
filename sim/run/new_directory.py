"""Where a run is written: a directory that does not exist yet and can be made, told before the run."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain, count
from pathlib import Path

from e80sim.mistakes import UserError
from reports.run_directory import partial_of
from sim.scenario.load import Plan


def new_directory(plan: Plan) -> Path:
    """`runs/<name>/<time>-<hash>`. Raises UserError."""
    digest = sha256(plan.resolved().encode()).hexdigest()[:8]
    base = Path("runs") / plan.base.name / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{digest}"
    candidates = chain([base], (base.with_name(f"{base.name}-{n}") for n in count(2)))
    _require_writable(base)
    return next(path for path in candidates if not path.exists())


def require_new(directory: Path, option: str) -> None:
    """Raises UserError where `directory` exists or cannot be made."""
    if os.path.lexists(directory):
        raise UserError(f"{option} {directory} exists already: choose a directory that does not")
    _require_writable(directory)


def _require_writable(directory: Path) -> None:
    # Path.exists raises where it may not look.
    around = next(path for path in directory.absolute().parents if os.path.exists(path))  # noqa: PTH110
    if not around.is_dir():
        raise UserError(f"{directory} cannot be made: {around} is not a directory")
    if not os.access(around, os.W_OK | os.X_OK):
        raise UserError(f"{directory} cannot be made: {around} cannot be written to")
    _make_and_remove(directory)


def _make_and_remove(directory: Path) -> None:
    """What `reports.run_directory.write` will do after the work: only doing it proves that it can be done."""
    made: list[Path] = []
    try:
        for path in (*reversed(directory.absolute().parents), partial_of(directory.absolute())):
            if not path.exists():
                path.mkdir()
                made.append(path)
    except OSError as error:
        raise UserError(f"{directory} cannot be made: {error.strerror}") from None
    finally:
        for path in reversed(made):
            with suppress(OSError):  # somebody else has put something there
                path.rmdir()
