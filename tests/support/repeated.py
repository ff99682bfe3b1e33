"""Every twentieth simulation of the test suite happens twice and must come out the same, to the byte.

Which ones follows from what they are asked for, so a test that fails here fails each time. Determinism that
only its own tests check would be lost wherever they do not look.
"""

from functools import wraps
from hashlib import blake2b
from unittest.mock import patch

import pyarrow as pa

from reports.stored import whole
from reports.tables import RunTables
from sim.run import replications
from sim.run.replications import Outcome, Task
from sim.workers import interrupt
from sim.workers.executor import Tell

ONE_IN = 20


def repeat_some() -> None:
    """To be called before anybody imports `simulate`. Other processes simulate once."""
    once = replications.simulate

    @wraps(once)
    def simulate(task: Task, tell: Tell | None = None) -> Outcome:
        outcome = once(task, tell)
        if outcome.complete and is_repeated(task):
            with patch.object(interrupt, "asked", lambda: False):  # tests count how often it is
                require_same(task, outcome, once(task))
        return outcome

    replications.simulate = simulate


def is_repeated(task: Task) -> bool:
    text = task.scenario.model_dump_json()
    asked = task._replace(scenario=text, folder=None)  # type: ignore[arg-type]  # its text will do
    digest = blake2b(repr(tuple(asked)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % ONE_IN == 0


def require_same(task: Task, one: Outcome, other: Outcome) -> None:
    told = f"{task.variant}, seed {task.seed}, replication {task.replication}, engine {task.engine}"
    assert one.streams == other.streams, f"random streams stand elsewhere after a second run: {told}"
    assert bytes_of(one.tables) == bytes_of(other.tables), f"a second run wrote other tables: {told}"


def bytes_of(tables: RunTables) -> list[bytes]:
    found = []
    for table in (tables.requests, tables.nodes, tables.user_requests, tables.gaps):
        sink = pa.BufferOutputStream()
        if table is not None:
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(whole(table))
        found.append(sink.getvalue().to_pybytes())
    return found
