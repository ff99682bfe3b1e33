"""The same application at several places, each time from its import on in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from api_shim.rehearsal.measured import MeasuredPlace, place_of
from api_shim.rehearsal.part import Part
from e80sim.mistakes import UserError

LONGEST_S = 600.0
"""Of real time, for one place."""
AT_ONCE = 2
STAGE = ("-m", "api_shim.rehearsal.stage")
LAST_LINES = 12


def rehearse(parts: Sequence[Part]) -> list[MeasuredPlace]:
    """In the order of `parts`. Raises UserError."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(_rehearse, parts))


def _rehearse(part: Part) -> MeasuredPlace:
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": _import_path()}
    try:
        done = subprocess.run(  # noqa: S603 -- this interpreter, with our own module
            [sys.executable, *STAGE],
            input=json.dumps(asdict(part)),
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"at {part.place} the application was not done after {LONGEST_S:g} s of real time: "
            "does it loop without waiting? Fewer requests, or a smaller --repeat, take less"
        ) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise UserError(
            f"at {part.place} the application's process ended with status {done.returncode}:\n"
            f"{_last(done.stderr)}"
        ) from None
    if "mistake" in answer:
        said = _last(done.stderr)
        raise UserError(
            answer["mistake"] + (f"\n{said}" if "stands above" in answer["mistake"] and said else "")
        )
    if any(not visit["status"] or visit["status"] >= 500 for visit in answer["measured"]["visits"]):
        sys.stderr.write(_last(done.stderr) + "\n")
    return place_of(answer["measured"])


def _import_path() -> str:
    """With the home of e80sim first, wherever this was started from."""
    home = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])


def _last(said: str) -> str:
    return "\n".join(said.strip().splitlines()[-LAST_LINES:])
