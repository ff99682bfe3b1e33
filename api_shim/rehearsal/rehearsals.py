"""The same application at several places, each time from its import on in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from api_shim.rehearsal.measured import MeasuredPlace, place_of
from api_shim.rehearsal.part import Part
from e80sim.environment import users_own
from e80sim.mistakes import UserError, say

LONGEST_S = 600.0
"""Of real time, for each place."""
STAGE = ("-W", "ignore::DeprecationWarning", "-m", "api_shim.rehearsal.stage")
"""From Python 3.12 on a fork beside threads is warned of; numpy has some, and they hold nothing."""
LAST_LINES = 12
START_UP = "start-up"
SERVER_ERROR = 500


def rehearse(parts: Sequence[Part]) -> list[MeasuredPlace]:
    """In the order of `parts`. Raises UserError."""
    environment = {**users_own(), "PYTHONHASHSEED": "0", "PYTHONPATH": _import_path()}
    limit_s = LONGEST_S * len(parts)
    try:
        done = subprocess.run(  # noqa: S603 -- this interpreter, with our own module
            [sys.executable, *STAGE],
            input=json.dumps([asdict(part) for part in parts]),
            stdout=subprocess.PIPE,
            text=True,
            timeout=limit_s,
            env=environment,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"the application was not done after {limit_s:g} s of real time: does it loop without waiting? "
            "Fewer requests, or a smaller --repeat, take less"
        ) from None
    return [_measured(part, result) for part, result in zip(parts, json.loads(done.stdout), strict=True)]


def _measured(part: Part, result: dict[str, Any]) -> MeasuredPlace:
    said = _last(result["said"])
    if "mistake" in result:
        raise UserError(result["mistake"] + (f"\n{said}" if said and START_UP in result["mistake"] else ""))
    if "measured" not in result:
        raise UserError(
            f"at {part.place} the application's process ended with status {result['status']}"
            + (f":\n{said}" if said else "")
        )
    place = place_of(result["measured"])
    if said and any(visit.status >= SERVER_ERROR or not visit.status for visit in place.visits):
        say(f"at {part.place} the application said, in the end:\n{said}")
    return place


def _import_path() -> str:
    """With the home of e80sim first, wherever this was started from."""
    home = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])


def _last(said: str) -> str:
    return "\n".join(said.strip().splitlines()[-LAST_LINES:])
