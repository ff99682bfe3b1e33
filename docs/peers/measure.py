"""What a process takes from start to exit, with all that it starts and waits for."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

LAUNCHER = Path(__file__).parent / "drivers" / "launched.py"


class Cost(NamedTuple):
    cpu_s: float
    """User and system, of the process and of those it waited for."""
    wall_s: float
    peak_mb: float
    """Of the largest of these processes."""


def cost_of(command: Sequence[str | Path], said: Path) -> Cost:
    """What it says goes to the file `said`. Raises RuntimeError with the end of that where it fails."""
    launched = subprocess.run(  # noqa: S603 -- words of ours
        [sys.executable, "-I", "-S", LAUNCHER, said, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=said.parent,
        check=True,
    )
    told = json.loads(launched.stdout)
    if told.pop("exit"):
        raise RuntimeError(f"{command[0]}: {said.read_text(encoding='utf-8', errors='replace')[-2000:]}")
    return Cost(**told)


class Spread(NamedTuple):
    middle: float
    """The median."""
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours to theirs, round by round, since a machine that slows down slows both of a round."""
    return Spread.of([one / other for one, other in zip(ours, theirs, strict=True)])
