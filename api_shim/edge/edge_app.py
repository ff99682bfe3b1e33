"""One application: started, looked after, started again. Lives in the loop of its `EdgeHost`.

What becomes of it is its state, with the reason in words; nothing that it does is an error of the server.
"""

import asyncio
import re
import shutil
import sys
import tempfile
import time  # noqa: TID251 -- applications really run
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from api_shim.edge.app_log import AppLog
from api_shim.edge.health import answers
from api_shim.edge.isolation import Opened, isolated
from api_shim.edge.plan import EdgePlan
from api_shim.edge.visits import Visits
from api_shim.edge.watchdog import AppWatchdog
from api_shim.sandboxes.backend import NoIsolationError

StateName = Literal["starting", "running", "crashed", "out_of_memory", "hung", "stopped"]
GUARD = Path(__file__).with_name("guard.py")
LOOK_WHILE_STARTING_S = 0.02
GRACE_S = 5.0
"""For its last answers, when it is to stop."""
BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Until it is started again, by how often in a row it has ended."""
STEADY_S = 60.0
"""After so long a life the next end is the first of a row again."""
READ_BYTES = 2**16
LEVEL = re.compile(r"^[A-Z]+:\s+(?=Error )")
"""What uvicorn puts before its own errors."""


@dataclass(frozen=True, slots=True)
class AppState:
    name: StateName
    reason: str = ""
    """In words, where there is something to explain."""

    def __str__(self) -> str:
        words = self.name.replace("_", " ")
        return f"{words}: {self.reason}" if self.reason else words


@dataclass(frozen=True, slots=True)
class AppLife:
    """One process, from its start to its end."""

    process: asyncio.subprocess.Process
    socket: Path
    watchdog: AppWatchdog
    began_s: float


class EdgeApp:
    def __init__(
        self,
        plan: EdgePlan,
        told: Callable[["EdgeApp"], object] = lambda _app: None,
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ) -> None:
        """`told` is called in the loop of the host, whenever the state has changed."""
        self.plan = plan
        self.log = AppLog(plan.secrets)
        self.state = AppState("starting")
        self.started_in_s: float | None = None
        """Real time from its last start to its first answer."""
        self.restarts = 0
        self.life: AppLife | None = None
        """None while nothing runs."""
        self.visits = Visits()
        self._told = told
        self._backoff_s = backoff_s
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    def told(self) -> str:
        """Its state in a line, for whoever runs the server."""
        words = str(self.state)
        if self.state.name == "running" and self.started_in_s is not None:
            words += f", after {self.started_in_s:.2f} s"
        return f"app {self.plan.slug}: {words}"

    async def stop(self) -> None:
        """May be called again, and then waits for the same end."""
        self._stopping.set()
        await self._running

    async def until_settled(self, patience_s: float) -> None:
        """Until it runs, or will not for now, or patience is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self.state.name == "starting":
                    self._changed.clear()
                    await self._changed.wait()

    async def _run(self) -> None:
        in_a_row = 0
        while not self._stopping.is_set():
            self._become(AppState("starting"))
            began_s = time.monotonic()
            ending = await self._live()
            if self._stopping.is_set():
                break
            in_a_row = 0 if time.monotonic() - began_s > STEADY_S else in_a_row
            pause_s = self._backoff_s[min(in_a_row, len(self._backoff_s) - 1)]
            in_a_row += 1
            self.restarts += 1
            self._become(ending)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
        self._become(AppState("stopped"))

    async def _live(self) -> AppState:
        """One life, from its start until nothing of it is left."""
        directory = Path(tempfile.mkdtemp(prefix="e80sim-app-"))
        try:
            life = self.life = await self._launch(directory / "http")
        except (
            OSError,
            ValueError,
            NoIsolationError,
        ) as error:  # a value may be none that a variable can have
            shutil.rmtree(directory, ignore_errors=True)
            return AppState("crashed", f"it cannot be started: {error}")
        reading = asyncio.create_task(self._read(life.process))
        ends = [
            asyncio.create_task(end)
            for end in (
                self._exit(life),
                self._too_much(life),
                self._silence(life),
                self._asked_to_stop(life),
            )
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            ending = next(end for end in ends if end in done).result()
        finally:
            self.life = None
            for end in ends:
                end.cancel()
            assert life.process.stdin is not None
            life.process.stdin.close()  # the guard kills all that is left, if anything is
            await life.process.wait()
            await reading
        if ending.name == "crashed":
            return AppState("crashed", f"{ending.reason}{self._last_words()}")
        return ending

    async def _launch(self, socket: Path) -> AppLife:
        plan = self.plan
        space_bytes = plan.limits.address_space_bytes
        unconfined = Opened(plan.command("--uds", str(socket)), plan.variables())
        with isolated(plan, socket) if plan.isolated else nullcontext(unconfined) as opened:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(GUARD), str(socket.parent), str(space_bytes)),
                *opened.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=opened.environment,
                cwd=plan.folder,
                pass_fds=opened.fds,
                start_new_session=True,  # Ctrl-C is for the server, which lets its applications end
            )
        return AppLife(process, socket, AppWatchdog(process.pid, plan.limits), time.monotonic())

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while data := await process.stdout.read(READ_BYTES):
            self.log.write(data)
        self.log.end()

    # What can end a life; each answers the state that follows.

    async def _exit(self, life: AppLife) -> AppState:
        status = await life.process.wait()
        when = " while starting" if self.state.name == "starting" else ""
        what = f"killed by signal {status - 128}" if status > 128 else f"ended with status {status}"
        return AppState("crashed", what + when)

    async def _too_much(self, life: AppLife) -> AppState:
        why = await life.watchdog.watch()
        return AppState("out_of_memory", why.removeprefix("out of memory: "))

    async def _silence(self, life: AppLife) -> AppState:
        limits = self.plan.limits
        while not await answers(life.socket, limits.start_s):
            if time.monotonic() - life.began_s > limits.start_s:
                return AppState("hung", f"no answer within {limits.start_s:g} s of its start")
            await asyncio.sleep(LOOK_WHILE_STARTING_S)
        self.started_in_s = time.monotonic() - life.began_s
        self._become(AppState("running"))
        answered_s = time.monotonic()
        while time.monotonic() - answered_s < limits.hang_s:
            if await answers(life.socket, limits.hang_s):
                answered_s = time.monotonic()
            await asyncio.sleep(limits.look_s)
        return AppState("hung", f"no answer for {limits.hang_s:g} s")

    async def _asked_to_stop(self, life: AppLife) -> AppState:
        await self._stopping.wait()
        assert life.process.stdin is not None
        with suppress(OSError):
            life.process.stdin.write(b"\0")
            await life.process.stdin.drain()
        await asyncio.sleep(GRACE_S)
        return AppState("stopped")

    def _last_words(self) -> str:
        words = LEVEL.sub("", self.log.last_words())
        return f": {words}" if words else ""

    def _become(self, state: AppState) -> None:
        if state == self.state and state.name == "starting" and not self.restarts:
            return  # from the beginning
        self.state = state
        self.log.note(str(state))
        self._changed.set()
        self._told(self)
