"""One sandbox: programs, files and packages in it, and its end. Lives in the loop of its `Keeper`."""

import asyncio
import posixpath
import time  # noqa: TID251 -- programs that really run take real time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from api_shim.sandboxes import inside
from api_shim.sandboxes.backend import Backend, Launched, NoIsolationError, SandboxRefusedError, Wish
from api_shim.sandboxes.bubblewrap import HOME, end
from api_shim.sandboxes.connection import BrokenRulesError, Channel, Connection, ConnectionLostError
from api_shim.sandboxes.inside import ERRORS, MOST_CHANNELS, NOT_FOUND
from api_shim.sandboxes.watchdog import Watchdog

T = TypeVar("T")
START_S = 20.0
GRACE_S = 1.0
"""After a program was killed until the whole sandbox is, which does not do as it is told."""
MOST_OUTPUT_BYTES = 2**20
NODE = ("node", "-")
LONGEST_CODE = inside.LONGEST_FRAME - 2**20


class SandboxEndedError(Exception):
    """It is not there any more, or has ended under what was asked of it; the message says why."""


@dataclass(frozen=True, slots=True)
class Program:
    argv: tuple[str, ...] = ()
    """Empty: `code` is run by the interpreter that is already there."""
    code: str = ""
    directory: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    terminal: tuple[int, int] | None = None
    """Rows and columns; None: no terminal."""

    def start(self) -> dict[str, Any]:
        what: dict[str, Any] = {"kind": "command", "argv": list(self.argv)}
        if not self.argv:
            what = {"kind": "python", "code": self.code}
        if self.directory is not None:
            what["directory"] = self.directory
        if self.terminal is not None:
            what["terminal"] = list(self.terminal)
        return what | {"env": dict(self.environment)}


@dataclass(frozen=True, slots=True)
class Outcome:
    exit_code: int
    """Of a program that a signal killed, its number below 0."""
    output: bytes
    errors: bytes
    stopped_by: str | None
    """`timeout` or `output`, where it was not left to end."""
    wall_s: float
    cpu_s: float


@dataclass(slots=True)
class Execution:
    """A program under way. `read` until it answers None; then there is an exit code."""

    channel: Channel
    sandbox: "Sandbox"

    async def read(self) -> tuple[bool, bytes] | None:
        """(whether to the error stream, what). Raises SandboxEndedError."""
        piece = await self.sandbox.guarded(self.channel.read())
        return None if piece is None else (piece[0] == ERRORS, piece[1])

    async def write(self, data: bytes) -> None:
        """Raises SandboxEndedError."""
        self.sandbox.touch()
        await self.sandbox.guarded(self.channel.write(data))

    @property
    def exit_code(self) -> int:
        """Raises SandboxRefusedError where it could not be started."""
        return _exit_code(self.channel)


@dataclass(slots=True)
class Sandbox:
    wish: Wish
    launched: Launched
    connection: Connection
    watchdog: Watchdog | None
    python: tuple[int, ...]
    """The version of the interpreter inside."""
    began_s: float
    used_s: float
    """Of `time.monotonic`, as all times here."""
    ended_by: str | None = None
    """Why it has ended."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    async def create(cls, backend: Backend, wish: Wish) -> Self:
        """Raises NoIsolationError and SandboxRefusedError."""
        launched = await backend.launch(wish)
        try:
            connection = Connection(launched.reader, launched.writer)
            async with asyncio.timeout(START_S):
                greeting = await connection.greeting()
            version = tuple(int(part) for part in greeting.get("python", ())[:3])
        except (BrokenRulesError, ConnectionLostError, TimeoutError, TypeError, ValueError) as error:
            await end(launched)
            assert launched.process.stderr is not None
            said = (await launched.process.stderr.read(2000)).decode(errors="replace").strip()
            raise NoIsolationError(f"the sandbox did not start: {said or repr(error)}") from None
        except BaseException:
            await end(launched)
            raise
        now_s = time.monotonic()
        dog = None
        if launched.watched:
            dog = Watchdog(launched.process.pid, wish.limits, own_network=not wish.network)
        sandbox = cls(wish, launched, connection, dog, version, now_s, now_s)
        sandbox._tasks = [
            asyncio.create_task(sandbox._end_with(waits()))
            for waits in (sandbox._listen, sandbox._exit, sandbox._expire, *([dog.watch] if dog else []))
        ]
        return sandbox

    @property
    def is_over(self) -> bool:
        return self.ended_by is not None

    def touch(self) -> None:
        self.used_s = time.monotonic()

    async def stop(self, why: str = "stopped") -> None:
        """Kill everything in it. May be called again, and then waits for the same end."""
        if self.ended_by is None:
            self.ended_by = why
            self.connection.lose()
            me = asyncio.current_task()
            for task in self._tasks:
                if task is not me:
                    task.cancel()
            await end(self.launched)
            self.over.set()
        await self.over.wait()

    async def start(self, program: Program) -> Execution:
        """Raises SandboxEndedError and SandboxRefusedError."""
        if len(program.code) > LONGEST_CODE or sum(map(len, program.argv)) > LONGEST_CODE:
            raise SandboxRefusedError(f"a program of more than {LONGEST_CODE:,} letters")
        return Execution(self._channel(**program.start()), self)

    def leave_running(self, execution: Execution) -> None:
        """Nobody reads what it says."""
        self._tasks.append(asyncio.create_task(_drain(execution)))

    async def run(
        self,
        program: Program,
        *,
        stdin: bytes = b"",
        timeout_s: float = 60.0,
        most_bytes: int = MOST_OUTPUT_BYTES,
    ) -> Outcome:
        """To its end, or to that of its time or output. Raises SandboxEndedError and SandboxRefusedError."""
        began_s = time.monotonic()
        execution = await self.start(program)
        channel = execution.channel
        output, errors = bytearray(), bytearray()
        feeding = asyncio.create_task(_feed(execution, stdin))
        stopped_by = None
        try:
            async with asyncio.timeout(timeout_s):
                while (piece := await execution.read()) is not None:
                    is_error, data = piece
                    (errors if is_error else output).extend(data)
                    if len(output) + len(errors) > most_bytes:
                        stopped_by = "output"
                        break
        except TimeoutError:
            stopped_by = "timeout"
        finally:
            feeding.cancel()
            if channel.answer is None:
                await self._finish(channel)
        del output[most_bytes:], errors[max(0, most_bytes - len(output)) :]
        wall_s = time.monotonic() - began_s
        cpu_s = (channel.answer or {}).get("cpu_s")
        return Outcome(
            _exit_code(channel),
            bytes(output),
            bytes(errors),
            stopped_by,
            wall_s,
            float(cpu_s) if isinstance(cpu_s, int | float) else 0.0,
        )

    async def run_js(self, code: str, timeout_s: float = 60.0) -> Outcome:
        """Raises SandboxEndedError, and SandboxRefusedError where there is no Node.js."""
        outcome = await self.run(Program(NODE), stdin=code.encode(), timeout_s=timeout_s)
        if outcome.exit_code == NOT_FOUND and outcome.errors.startswith(b"node: "):
            raise SandboxRefusedError(
                "there is no Node.js in this sandbox: install it where the server runs (`apt-get install -y "
                "nodejs`), or serve with `--sandboxes docker` and ask for an image that has it"
            )
        return outcome

    async def put(self, path: str, content: bytes) -> None:
        """Whole or not at all. Raises SandboxEndedError and SandboxRefusedError."""
        channel = self._channel(kind="put", path=_absolute(path))
        await self.guarded(channel.write(content))
        channel.end_input()
        while await self.guarded(channel.read()) is not None:
            pass
        _raise_refusal(channel)

    async def get(self, path: str, most_bytes: int) -> bytes:
        """Raises SandboxEndedError, and SandboxRefusedError also for more than `most_bytes`."""
        channel = self._channel(kind="get", path=_absolute(path))
        content = bytearray()
        while (piece := await self.guarded(channel.read())) is not None:
            content += piece[1]
            if len(content) > most_bytes:
                channel.kill()
                await self._finish(channel)
                raise SandboxRefusedError(f"{path}: larger than {most_bytes:,} bytes")
        _raise_refusal(channel)
        return bytes(content)

    def connect(self, port: int) -> Channel:
        """To a server in the sandbox: what is written goes there, what it says is read.

        Raises SandboxEndedError. Where nobody listens it has ended at once, with an `error`.
        """
        return self._channel(kind="connect", port=port)

    async def guarded(self, waiting: Awaitable[T]) -> T:
        """Raises SandboxEndedError instead of what the connection says."""
        try:
            return await waiting
        except ConnectionLostError:
            await self.over.wait()
            raise SandboxEndedError(self.ended_by or "stopped") from None
        finally:
            self.touch()

    def _channel(self, **what: Any) -> Channel:  # noqa: ANN401 -- JSON
        self.touch()
        if self.ended_by is not None:
            raise SandboxEndedError(self.ended_by)
        if self.connection.busy >= MOST_CHANNELS:
            raise SandboxRefusedError(f"{MOST_CHANNELS} programs and files are under way in it already")
        if self.watchdog is not None:
            self.watchdog.wake()
        return self.connection.start(**what)

    async def _finish(self, channel: Channel) -> None:
        """Kill a program, and the sandbox with it if it does not go."""
        channel.kill()
        try:
            async with asyncio.timeout(GRACE_S):
                while await self.guarded(channel.read()) is not None:
                    pass
        except TimeoutError:
            await self.stop("its server did not do as it was told")
            raise SandboxEndedError(self.ended_by or "stopped") from None

    async def _end_with(self, reason: Awaitable[str]) -> None:
        await self.stop(await reason)

    async def _listen(self) -> str:
        why = await self.connection.listen()
        if why:
            return why
        await self.launched.process.wait()
        return _exit_reason(self.launched)

    async def _exit(self) -> str:
        await self.launched.process.wait()
        return _exit_reason(self.launched)

    async def _expire(self) -> str:
        limits = self.wish.limits
        while True:
            now_s = time.monotonic()
            if self.connection.busy:
                self.touch()
            left_s = self.began_s + limits.lifetime_s - now_s
            idle_left_s = self.used_s + limits.idle_s - now_s
            if left_s <= 0:
                return f"its {limits.lifetime_s:g} s are over"
            if idle_left_s <= 0:
                return f"nobody used it for {limits.idle_s:g} s"
            await asyncio.sleep(min(left_s, idle_left_s))


async def _drain(execution: Execution) -> None:
    with suppress(SandboxEndedError):
        while await execution.read() is not None:
            pass


async def _feed(execution: Execution, stdin: bytes) -> None:
    with suppress(SandboxEndedError):
        await execution.write(stdin)
        execution.channel.end_input()


def _absolute(path: str) -> str:
    """As inside, where nothing outside can be named. Raises SandboxRefusedError."""
    if not path or "\0" in path or len(path) > 4096:
        raise SandboxRefusedError("a path of 1 to 4,096 letters is needed")
    return posixpath.normpath(posixpath.join(HOME, path))


def _raise_refusal(channel: Channel) -> None:
    error = (channel.answer or {}).get("error")
    if error is not None:
        raise SandboxRefusedError(str(error)[:500])


def _exit_code(channel: Channel) -> int:
    _raise_refusal(channel)
    code = (channel.answer or {}).get("exit_code")
    return code if isinstance(code, int) and -256 < code < 256 else -1


def _exit_reason(launched: Launched) -> str:
    return f"its server ended (status {launched.process.returncode})"
