"""Sandboxes as a server has them: of a project, in the store, on the model's clock.

To make one takes as long as the scenario says. A program really runs: what it took by a real clock is what it
takes by the model's. What the machine needed on top of that makes the answer late, as with any other.
"""

import time  # noqa: TID251 -- how long programs really took
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any, Generic, NamedTuple, TypeVar

from api_shim.clocks.clock import Clock, until
from api_shim.sandboxes.backend import SandboxRefusedError, Wish
from api_shim.sandboxes.choice import SandboxChoice
from api_shim.sandboxes.keeper import Ending, Keeper
from api_shim.sandboxes.limits import SandboxLimits
from api_shim.sandboxes.sandbox import Program, Sandbox
from api_shim.store.sandboxes import OpenPort, SandboxPage, SandboxRow, StoredSandboxes
from sim.scenario.schema import SandboxSection
from sim.time.units import PS_PER_MS, ps_of_ms, ps_of_s

T = TypeVar("T")
MOST_PORTS = 32
MOST_TOKENS = 10_000


class TooManySandboxesError(Exception):
    """The project has as many as it may."""


@dataclass(frozen=True, slots=True)
class Took(Generic[T]):
    value: T
    simulated_ms: float
    wall_ms: float
    lateness_ms: float
    """How long the answer was due, by the model's clock, when it was there."""


class Made(NamedTuple):
    row: SandboxRow
    token: str
    """For whoever talks to the sandbox itself; shown once."""


@dataclass(frozen=True, slots=True)
class SandboxPlan:
    """What a client states of a sandbox; None: the scenario's."""

    memory_mb: int | None = None
    milli_cpus: int | None = None
    image: str | None = None
    entrypoint: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


class SandboxService:
    def __init__(
        self,
        choice: SandboxChoice,
        section: SandboxSection,
        clock: Clock,
        stored: StoredSandboxes,
        new_id: Callable[[str], str],
        stated_run_ms: float | None = None,
    ) -> None:
        """`stated_run_ms`: what every program takes by the model's clock; None: what it really took."""
        self._choice = choice
        self.section = section
        self._clock = clock
        self._stored = stored
        self._new_id = new_id
        self._stated_run_ms = stated_run_ms
        self._made_keeper: Keeper | None = None
        self._digests: dict[str, bytes] = {}
        """Of the tokens of the sandboxes made last, those that have ended included."""
        self._coming: dict[str, int] = {}
        """By project: on their way, and in no list yet."""
        self._endings: deque[tuple[Ending, float]] = deque()
        """With the time on the shim's clock. They come from another thread, and wait for `_settle`."""
        self._used = False

    def close(self) -> None:
        """End them all. Whoever still asks gets none."""
        if self._made_keeper is not None:
            self._made_keeper.close()
            self._write_endings()

    async def create(self, project: str, plan: SandboxPlan) -> Took[Made]:
        """Raises NoIsolationError, SandboxRefusedError, TooManySandboxesError and StorageFullError."""
        limits, _ = self._limits(plan), self._keeper
        await self._settle()
        coming = self._coming.get(project, 0)
        if (
            await self._aside(partial(self._stored.running, project)) + coming
            >= self.section.most_per_project
        ):
            raise TooManySandboxesError
        id_ = self._new_id("sbx_")
        wish = Wish(id_, limits, plan.image, plan.environment)
        self._coming[project] = self._coming.get(project, 0) + 1
        try:
            least_ps = round(self.section.create_ms * PS_PER_MS)
            took = await self._really(self._begin(wish, plan.entrypoint), lambda _: least_ps)
            token = token_urlsafe(24)
            image = {"docker_image_name": plan.image, "entrypoint": list(plan.entrypoint)}
            stated = {name: value for name, value in image.items() if value}
            now_s = int(self._clock.unix_s())
            row = SandboxRow(
                id_,
                project,
                now_s,
                None,
                None,
                limits.memory_mb,
                limits.milli_cpus,
                stated,
                dict(plan.labels),
            )
            await self._aside(partial(self._stored.add, row))
            self._digests[id_] = sha256(token.encode()).digest()
            if len(self._digests) > MOST_TOKENS:
                del self._digests[next(iter(self._digests))]
        except BaseException:
            if self._made_keeper is not None:
                self._made_keeper.submit(self._made_keeper.stop(id_))
            raise
        finally:
            self._coming[project] -= 1
            if not self._coming[project]:
                del self._coming[project]
        return Took(Made(row, token), took.simulated_ms, took.wall_ms, took.lateness_ms)

    async def get(self, project: str, id_: str) -> SandboxRow | None:
        await self._settle()
        return await self._aside(partial(self._stored.get, project, id_))

    async def page(self, project: str, limit: int, offset: int) -> SandboxPage:
        await self._settle()
        return await self._aside(partial(self._stored.page, project, limit, offset))

    async def stop(self, project: str, id_: str) -> SandboxRow | None:
        """As it is then; None where the project has no such sandbox. May be called again."""
        row = await self.get(project, id_)
        if row is None or row.terminated_s is not None:
            return row
        await self.end(id_)
        return await self.get(project, id_)

    async def end(self, id_: str) -> None:
        """Whatever project it is of."""
        if self._made_keeper is not None:
            await self._clock.elsewhere(self._made_keeper.submit(self._made_keeper.stop(id_)))

    async def open_ports(self, project: str, id_: str, ports: list[OpenPort]) -> SandboxRow | None:
        """Beside those that are open; of two with the same number outside the later one counts.

        Raises SandboxRefusedError.
        """
        row = await self.get(project, id_)
        if row is None:
            return None
        by_number = {port.as_port: port for port in (*row.ports, *ports)}
        if len(by_number) > MOST_PORTS:
            raise SandboxRefusedError(
                f"{len(by_number)} ports: at most {MOST_PORTS} of a sandbox can be open"
            )
        opened = tuple(by_number.values())
        await self._aside(partial(self._stored.open_ports, id_, opened))
        return replace(row, ports=opened)

    async def target_of(self, id_: str, as_port: int) -> int | None:
        """The port inside, of whatever project the sandbox is; None where it is not open."""
        ports = await self._aside(partial(self._stored.ports_of, id_))
        return next((port.target_port for port in ports if port.as_port == as_port), None)

    def find(self, id_: str) -> Sandbox | None:
        """One that runs."""
        return None if self._made_keeper is None else self._made_keeper.find(id_)

    def is_its_token(self, id_: str, token: str) -> bool:
        digest = self._digests.get(id_)
        return digest is not None and compare_digest(digest, sha256(token.encode(errors="replace")).digest())

    async def run(self, work: Coroutine[Any, Any, T]) -> Took[T]:
        """Something that really runs, and takes as long by the model's clock. Raises what it raises."""
        overhead_ps, stated_ms = ps_of_ms(self.section.exec_overhead_ms), self._stated_run_ms

        def simulated_ps(wall_s: float) -> int:
            return overhead_ps + (ps_of_s(wall_s) if stated_ms is None else ps_of_ms(stated_ms))

        return await self._really(work, simulated_ps)

    async def live(self, work: Coroutine[Any, Any, T]) -> T:
        """For a terminal, whose user sits at a real clock."""
        return await self._clock.elsewhere(self._keeper.submit(work))

    def install(self, sandbox: Sandbox, requirements: list[str]) -> Coroutine[Any, Any, Any]:
        return self._keeper.install(sandbox, requirements)

    @property
    def _keeper(self) -> Keeper:
        """Raises NoIsolationError."""
        if self._made_keeper is None:
            self._made_keeper = self._choice.keeper()
            self._made_keeper.on_end = self._ended
        return self._made_keeper

    async def _begin(self, wish: Wish, entrypoint: tuple[str, ...]) -> None:
        sandbox = await self._keeper.create(wish)
        if entrypoint:
            sandbox.leave_running(await sandbox.start(Program(entrypoint)))

    async def _really(self, work: Coroutine[Any, Any, T], simulated_ps: Callable[[float], int]) -> Took[T]:
        began_ps = self._clock.now_ps()
        future: Future[tuple[T, float]] = self._keeper.submit(_timed(work))
        value, wall_s = await self._clock.elsewhere(future)
        took_ps = simulated_ps(wall_s)
        await until(self._clock, began_ps + took_ps)
        late_ps = max(0, self._clock.now_ps() - began_ps - took_ps)
        return Took(value, took_ps / PS_PER_MS, wall_s * 1e3, late_ps / PS_PER_MS)

    def _ended(self, ending: Ending) -> None:
        """In the keeper's thread."""
        self._endings.append((ending, self._clock.unix_s()))

    async def _settle(self) -> None:
        """Before the store is asked: it has to know who has ended meanwhile."""
        if not self._used:
            self._used = True
            why, now_s = "its server ended", int(self._clock.unix_s())
            await self._aside(partial(self._stored.end_all, why, now_s))
        if self._endings:
            await self._aside(self._write_endings)

    def _write_endings(self) -> None:
        while self._endings:
            ending, now_s = self._endings.popleft()
            self._stored.end(ending.name, ending.why, int(now_s))

    async def _aside(self, work: Callable[[], T]) -> T:
        return await self._clock.aside(work)

    def _limits(self, plan: SandboxPlan) -> SandboxLimits:
        """Raises SandboxRefusedError."""
        section = self.section
        stated = {"memory_mb": plan.memory_mb, "milli_cpus": plan.milli_cpus}
        for name, value in stated.items():
            most = getattr(section, f"most_{name}")
            if value is not None and value > most:
                raise SandboxRefusedError(f"{name} is {value:,}: at most {most:,} are given")
        return SandboxLimits(
            memory_mb=plan.memory_mb or section.memory_mb,
            milli_cpus=plan.milli_cpus or section.milli_cpus,
            processes=section.processes,
            disk_mb=section.disk_mb,
            idle_s=section.idle_s,
            lifetime_s=section.lifetime_s,
        )


async def _timed(work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    began_s = time.monotonic()
    value = await work
    return value, time.monotonic() - began_s
