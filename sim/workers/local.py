"""The executor of this machine."""

from sim.workers.executor import Executor
from sim.workers.here import Here
from sim.workers.processes import Processes


def local(jobs: int) -> Executor:
    """For up to `jobs` tasks at once; a single one needs no other process."""
    return Here() if jobs <= 1 else Processes(jobs)
