"""Where the rows of long tables lie while a run goes on: `DIR.running`, beside the DIR that it makes.

It is there only while a run with long tables goes on, and afterwards only where the run was killed.
"""

from pathlib import Path
from shutil import rmtree

from e80sim.mistakes import UserError

SUFFIX = ".running"


def rows_folder(directory: Path) -> Path:
    """For the run that makes `directory`. Raises UserError where another run has left one."""
    folder = directory.with_name(f"{directory.name}{SUFFIX}")
    if folder.exists():
        raise UserError(
            f"{folder} has the rows of a run that still goes on, or was killed: choose another directory, or "
            f"look at them (docs/run-directory.md) and remove it"
        )
    return folder


def clear(folder: Path) -> None:
    rmtree(folder, ignore_errors=True)


def kept_in(folder: Path) -> bool:
    return any(folder.glob("*/*.parquet"))
