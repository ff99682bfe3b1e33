"""What a run will take, told before it starts: requests, simulated seconds, memory, and room on the disk."""

import math
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

import numpy as np

from e80sim.mistakes import UserError
from reports.record import LARGE
from reports.words import plural
from sim.scenario.check import target_model
from sim.scenario.load import Plan
from sim.scenario.schema import Scenario, Source
from sim.time.units import PS_PER_S

MAX_REQUESTS = 10**9
"""Of one run: hours of work, and more rows than any report can use."""

# Measured on runs of 10,000 to 200,000 requests (CPython 3.11, Linux); `tests/benchmarks/test_memory.py`
# measures them again.
PROCESS_BYTES = 125 * 10**6
"""Of a process with everything that a run loads."""
ROW_BYTES = 1450
"""Of a request of a run that fits into memory, at its end: its row in the tables, and what a summary makes of
the columns. Of more than LARGE requests most lie on the disk, and count as the next says."""
LONG_ROW_BYTES = 40
"""Of each request beyond: a summary looks at a few columns of all of them at a time."""
WORKER_ROW_BYTES = 1050
"""While the replication that it belongs to is simulated by a process of its own; of LARGE at most."""
TABLE_ROW_BYTES = 250
"""While other replications are simulated; of LARGE at most."""
DISK_ROW_BYTES = 60
WHILE_RUNNING = 2
"""Times that rows lie on the disk while they are put in order."""
DISK_BYTES = 3 * 10**6
"""Of a run directory without any request: mostly the report."""

SAMPLED = 64
"""Requests of a source whose mean size is taken for that of all."""

MEMINFO = Path("/proc/meminfo")
CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


class RunEstimate(NamedTuple):
    """Of all variants and replications together; a search for precision may add to the latter."""

    name: str
    requests: int
    """Rows of the records, calls of apps and the user requests that set them off included."""
    simulated_s: float
    memory_bytes: int
    disk_bytes: int
    most_from: str
    """The source that sends the most."""

    def sentence(self) -> str:
        return (
            f"{self.name}: about {plural(self.requests, 'request')} in {self.simulated_s:,.10g} simulated "
            f"seconds, {size(self.memory_bytes)} of memory"
        )


def estimate(plan: Plan, jobs: int) -> RunEstimate:
    run = plan.base.run
    by_source = [found for scenario in plan.variants.values() for found in _requests(scenario)]
    of_each_round = sum(requests for _, requests in by_source)
    largest = max(_requests_of_variant(scenario) for scenario in plan.variants.values())
    rows = of_each_round * run.replications
    workers = min(jobs, run.replications * len(plan.variants))
    held = min(rows, LARGE)
    together = PROCESS_BYTES + ROW_BYTES * held + LONG_ROW_BYTES * (rows - held)
    if workers > 1:
        at_work = workers * (PROCESS_BYTES + WORKER_ROW_BYTES * min(largest, LARGE))
        together = max(together, at_work + PROCESS_BYTES + TABLE_ROW_BYTES * held)
    return RunEstimate(
        plan.base.name,
        math.ceil(rows),
        run.horizon_s * run.replications * len(plan.variants),
        math.ceil(together),
        math.ceil(DISK_BYTES + DISK_ROW_BYTES * (rows + WHILE_RUNNING * (rows if rows > LARGE else 0))),
        max(by_source, key=lambda found: found[1])[0],
    )


def require_fitting(expected: RunEstimate) -> None:
    """Raises UserError for more requests than a run may have, or more than this machine can hold."""
    about = f"{expected.name}: about {expected.requests:,} requests"
    fix = f"lower traffic.{expected.most_from}.arrivals, run.horizon_s or run.replications"
    if expected.requests > MAX_REQUESTS:
        raise UserError(f"{about} are more than the {MAX_REQUESTS:,} that one run may have: {fix}")
    free = available_bytes()
    if free is not None and expected.memory_bytes > free:
        raise UserError(
            f"{about} need {size(expected.memory_bytes)} of memory, and {size(free)} are available here: "
            f"{fix}, or run it with --force"
        )


def require_room(expected: RunEstimate, directory: Path) -> None:
    """Raises UserError where the disk of `directory` is too full for the run."""
    around = next(path for path in directory.absolute().parents if path.exists())
    free = disk_usage(around).free
    if expected.disk_bytes > free:
        raise UserError(
            f"{directory} needs about {size(expected.disk_bytes)}, and {size(free)} are free on its disk: "
            "choose another with --out, or run it with --force"
        )


def _requests_of_variant(scenario: Scenario) -> float:
    return sum(requests for _, requests in _requests(scenario))


def _requests(scenario: Scenario) -> Iterator[tuple[str, float]]:
    """Expected in one replication, by source."""
    for name, source in scenario.traffic.items():
        rows_per_ask = 1 if source.app is None else 1 + scenario.apps[source.app].mean_calls
        asks = source.requests_per_arrival
        if source.callers is not None:
            asks = source.callers.asks(*_waits_s(scenario, source), scenario.run.horizon_s)
        if source.retry is not None or source.hedge is not None:
            rows_per_ask *= 2  # asks have a table of their own; how many attempts one takes nobody knows
        yield name, rows_per_ask * asks * (source.arrivals.expected(scenario.run.horizon_s) or 0.0)


def _waits_s(scenario: Scenario, source: Source) -> tuple[float, float]:
    """(an answer on a node of its own, one for each of its callers), about, and without a network."""
    model = scenario.models[target_model(scenario, source)]
    hardware, calls = model.build_hardware(), 1.0
    if source.app is not None:
        calls = scenario.apps[source.app].mean_calls
    rng = np.random.default_rng(0)
    sizes = list(islice(source.pairs(rng, rng, SAMPLED), SAMPLED))
    prompt, output = (round(sum(one) / SAMPLED) for one in zip(*sizes, strict=True))
    law, batch = hardware.step_time, hardware.max_num_seqs
    first_ps = law.step_ps([(prompt, 0)], 0, 0)
    alone_ps: float = (
        hardware.request_overhead_ps
        + hardware.launch_ps
        + first_ps
        + (output - 1) * law.step_ps([], 1, prompt)
    )
    together_ps: float = first_ps + (output - 1) * law.step_ps([], batch, batch * prompt) / batch
    callers = source.arrivals.callers or 1
    return calls * alone_ps / PS_PER_S, callers * calls * together_ps / model.nodes / PS_PER_S


def available_bytes() -> int | None:
    """What this process may still take, None where the system does not tell."""
    found = [_of_cgroup(*files) for files in CGROUPS]
    try:
        lines = dict(line.split(":") for line in MEMINFO.read_text(encoding="ascii").splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        found.append(_of_machine())
    return min((free for free in found if free is not None), default=None)


def _of_cgroup(most: Path, used: Path) -> int | None:
    try:
        return max(0, int(most.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such group, or `max`
        return None


def _of_machine() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def size(count: float) -> str:
    """In decimal units, as disks are sold and parsed by people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
