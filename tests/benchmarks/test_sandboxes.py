"""What a sandbox costs: to make, to run something in, to end. Times are told, not asserted."""

import statistics
import time  # noqa: TID251 -- sandboxes are in real time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from api_shim.sandboxes.bubblewrap import Bubblewrap
from api_shim.sandboxes.keeper import Keeper
from api_shim.sandboxes.sandbox import Program
from tests.sandboxes.conftest import Box, Boxes, require_isolation
from tests.support.speeds import Speeds

ROUNDS = 20
PER_SANDBOX = 5
SPIN = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"


def test_making_running_and_ending_are_quick(speeds: Speeds) -> None:
    require_isolation()
    keeper = Keeper(Bubblewrap())
    boxes = Boxes(keeper)
    boxes().stop()  # with the probe
    made: list[Box] = []
    times: dict[str, list[float]] = {name: [] for name in ("create", "python", "command", "stop")}
    for _ in range(ROUNDS):
        timed(times["create"], lambda: made.append(boxes()))
        box = made[-1]
        for _ in range(PER_SANDBOX):
            timed(times["python"], partial(box.python, "pass"))
            timed(times["command"], partial(box.run, Program(("true",))))
        timed(times["stop"], box.stop)
    keeper.close()
    assert len(made) == ROUNDS
    for name, found in times.items():
        p50, p95 = (1e3 * statistics.quantiles(found, n=20)[i] for i in (9, 18))
        speeds.note(f"sandbox: {name}", f"{p50:8.1f} ms at p50, {p95:.1f} at p95")


def timed(times: list[float], act: Callable[[], Any]) -> None:
    began = time.perf_counter()
    act()
    times.append(time.perf_counter() - began)


@pytest.mark.parametrize("milli_cpus", [100, 250, 500])
def test_a_busy_program_gets_its_share_over_a_second(speeds: Speeds, milli_cpus: int) -> None:
    require_isolation()
    keeper = Keeper(Bubblewrap())
    used = Boxes(keeper)(milli_cpus=milli_cpus).python(SPIN)
    keeper.close()
    assert used.exit_code == 0
    share = used.cpu_s / used.wall_s
    speeds.note(f"sandbox: CPU, {milli_cpus} thousandths of a core", f"{1000 * share:8.0f} thousandths")
    assert share < 1.35 * milli_cpus / 1000  # 1.2 was passed by a four-hundredth on a busy machine
