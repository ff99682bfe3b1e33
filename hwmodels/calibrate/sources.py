"""The files that step times come in. A new one is how it is told, and a reader that gives a `StepTable`."""

from collections.abc import Mapping
from pathlib import Path

from hwmodels.calibrate.columns import TableError
from hwmodels.calibrate.read import read_step_table
from hwmodels.calibrate.step_table import StepTable
from hwmodels.calibrate.vllm_forward import is_forward, read_forward, unstable


def read_steps(
    path: Path, columns: Mapping[str, str], where: Mapping[str, str]
) -> tuple[StepTable, tuple[str, ...]]:
    """The steps, and what a reader of them must know, in sentences. Raises TableError."""
    if not is_forward(path):
        return read_step_table(path, columns, where), ()
    if columns or where:
        raise TableError(
            f"{path} is of vllm bench forward and has no columns: leave --column and --where out"
        )
    return read_forward(path), tuple(unstable(path))
