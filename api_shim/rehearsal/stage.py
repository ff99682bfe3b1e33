"""The process of one rehearsal: a `Part` comes in on stdin, what was measured goes out on stdout.

    python -m api_shim.rehearsal.stage

What the application prints goes to stderr.
"""

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from e80sim.mistakes import UserError


def main() -> None:
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    told = json.load(sys.stdin)
    json.dump(_performed(told), answer, allow_nan=False)
    answer.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # whatever threads the application has left behind


def _performed(told: dict[str, Any]) -> dict[str, Any]:
    from api_shim.rehearsal.measured import measured  # noqa: PLC0415 -- what fails to import is told, too
    from api_shim.rehearsal.part import Part  # noqa: PLC0415
    from api_shim.rehearsal.performance import perform  # noqa: PLC0415

    try:
        return {"measured": asdict(measured(perform(Part(**told))))}
    except UserError as mistake:
        return {"mistake": str(mistake)}


if __name__ == "__main__":
    main()
