"""Tasks on a Dask cluster, for studies past one machine.

Start workers with one thread each (`dask worker tcp://... --nthreads 1`): a simulation is pure Python, and
two threads of one process would take turns.
"""

import time  # noqa: TID251 -- how long a cluster has had no workers
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Self

from distributed import Client, KilledWorker

from e80sim.mistakes import UserError
from sim.workers import interrupt
from sim.workers.executor import Ended, Failure, Work
from sim.workers.version import versions

CONNECT_S = 10.0
LOOK_S = 0.2
"""How often an interrupt is looked for."""
COUNT_S = 5.0
"""How often the workers are counted, while nothing else happens."""
ALONE_S = 60.0
"""A cluster may have no workers for so long, since others may be about to start."""
AHEAD = 2
"""Tasks for each thread of the cluster: the next one is there when it has finished one."""


class DaskCluster:
    """An executor over the workers that `scheduler` has. It takes no part of the work itself.

    Raises:
        UserError: there is no scheduler at this address, it has no workers, or their versions differ.

    """

    def __init__(self, scheduler: str) -> None:
        try:
            self._client: Any = _client(scheduler)
        except (OSError, ValueError) as error:
            raise UserError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from None
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._at_work: dict[str, tuple[int, Any]] = {}
        self._counted_s = self._peopled_s = time.monotonic()
        """When workers were last counted, and last there."""
        try:
            self.places = AHEAD * self._threads(scheduler)
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._give_up()
        self._client.close()

    def submit(self, number: int, work: Work, task: object) -> None:
        future = self._client.submit(_perform, versions(), work, task, pure=False)
        self._at_work[future.key] = number, future
        self._peopled_s = time.monotonic()
        future.add_done_callback(self._ended.put)

    def ended(self, tell: Callable[[int, float], None]) -> Ended:  # noqa: ARG002 -- nobody tells of parts
        while True:
            try:
                future = self._ended.get(timeout=LOOK_S)
            except Empty:
                if interrupt.asked():
                    return self._given_up()
                self._require_connection()
                self._require_workers()
                continue
            if future.key in self._at_work:  # else it was given up
                number, _ = self._at_work.pop(future.key)
                return Ended(number, *_outcome(future))

    def _threads(self, scheduler: str) -> int:
        threads: Mapping[str, int] = self._client.nthreads()
        if not threads:
            raise UserError(f"--scheduler {scheduler}: it has no workers: start some with `dask worker`")
        theirs: Mapping[str, object] = self._client.run(_versions, on_error="return")
        for worker, found in theirs.items():
            _require_same(found, worker)
        return sum(threads.values())

    def _require_connection(self) -> None:
        if self._client.status not in {"running", "connecting"}:
            raise UserError("the Dask scheduler is gone; the same command goes on from what is complete")

    def _require_workers(self) -> None:
        """Tasks of a lost worker go to others; where there are none they would be waited for for ever."""
        now_s = time.monotonic()
        if now_s - self._counted_s < COUNT_S:
            return
        self._counted_s = now_s
        if self._client.nthreads():
            self._peopled_s = now_s
        elif now_s - self._peopled_s >= ALONE_S:
            raise UserError(
                f"the Dask cluster has had no workers for {ALONE_S:.0f} s: start some, and the same command "
                "goes on from what is complete"
            )

    def _given_up(self) -> Ended:
        number, _ = self._at_work[next(iter(self._at_work))]
        del self._at_work[next(iter(self._at_work))]
        return Ended(number, None, Failure("it was interrupted", None, final=True))

    def _give_up(self) -> None:
        futures = [future for _, future in self._at_work.values()]
        self._at_work.clear()
        if futures and self._client.status == "running":
            self._client.cancel(futures)


def _client(scheduler: str) -> Any:  # noqa: ANN401 -- half of its methods have no types
    """Of one executor alone: a library does not become everybody's default."""
    return Client(scheduler, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]


def _perform(wanted: Mapping[str, str], work: Work, task: object) -> Any:  # noqa: ANN401 -- whatever comes out
    """On a worker, which may have come after the others were looked at."""
    _require_same(versions(), "a worker", wanted)
    return work(task, lambda _share, _note: None)


def _versions() -> dict[str, str]:
    return versions()


def _require_same(theirs: object, worker: str, ours: Mapping[str, str] | None = None) -> None:
    """Raises UserError."""
    ours = versions() if ours is None else ours
    if isinstance(theirs, Exception):
        raise UserError(f"{worker} cannot run e80sim: {type(theirs).__name__}: {theirs}")
    assert isinstance(theirs, Mapping)
    differing = next((name for name in ours if theirs.get(name) != ours[name]), None)
    if differing is not None:
        raise UserError(
            f"{worker} has {differing} {theirs.get(differing)} and this is {ours[differing]}: "
            "client and workers need the same e80sim, Python and numpy, or the cells would not be the same"
        )


def _outcome(future: Any) -> tuple[Any, Failure | None]:  # noqa: ANN401 -- distributed's, half typed
    try:
        return future.result(), None
    except KilledWorker:
        return None, Failure(
            "the workers that worked on it were lost, perhaps for want of memory", None, final=True
        )
    except Exception as error:  # noqa: BLE001 -- whoever asked for the work decides
        return None, Failure.raised(error)
