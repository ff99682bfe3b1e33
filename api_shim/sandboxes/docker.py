"""Isolation by Docker, through its command line: where bubblewrap is not to be had, and for images."""

import asyncio
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from api_shim.sandboxes.backend import Launched, NoIsolationError, SandboxRefusedError, Wish
from api_shim.sandboxes.bubblewrap import HOME, WHEELHOUSE
from api_shim.sandboxes.limits import MIB

IMAGE = "python:3.12-slim"
"""Anything with `python3` in its path will do."""
NOBODY = "65534:65534"
PROBE_S = 30.0


class Docker:
    name = "docker"

    def __init__(self, *, docker: str = "docker", image: str = IMAGE, wheelhouse: Path | None = None) -> None:
        self._wheelhouse = wheelhouse
        self._docker = docker
        self._image = image

    async def probe(self) -> None:
        if shutil.which(self._docker) is None:
            raise NoIsolationError(
                f"sandboxes need `{self._docker}`, which is not installed: install its CLI"
            )
        asking = await self._command("version", "--format", "{{.Server.Version}}")
        try:
            async with asyncio.timeout(PROBE_S):
                _, said = await asking.communicate()
        except TimeoutError:
            asking.kill()
            await asking.wait()
            said = b"no answer in time"
        if asking.returncode != 0:
            raise NoIsolationError(
                f"Docker's daemon does not answer: {said.decode(errors='replace').strip()[:500]}; start it, "
                "or let this user reach it (group `docker`)"
            )

    async def launch(self, wish: Wish) -> Launched:
        if wish.image is not None and wish.image.startswith("-"):
            raise SandboxRefusedError(f"{wish.image[:200]!r} is no image")
        source = files(__package__).joinpath("inside.py").read_text()
        name = f"e80sim-{wish.name}"
        process = await asyncio.create_subprocess_exec(
            self._docker,
            *self._arguments(wish, name),
            wish.image or self._image,
            *("python3", "-I", "-c", source),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None

        async def forget() -> None:
            """The server inside goes when its input ends; this is for one that does not."""
            removing = await self._command("rm", "--force", name)
            await removing.communicate()

        return Launched(process, process.stdout, process.stdin, forget, watched=False)

    async def _command(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._docker,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    def _arguments(self, wish: Wish, name: str) -> Iterator[str]:
        limits = wish.limits
        yield from ("run", "--rm", "--interactive", "--init", "--name", name)
        yield from ("--network", "bridge" if wish.network else "none", "--read-only", "--cap-drop", "ALL")
        yield from ("--security-opt", "no-new-privileges", "--user", NOBODY)
        yield from ("--pids-limit", str(limits.processes), "--cpus", f"{limits.share:g}")
        yield from ("--memory", f"{limits.memory_mb}m", "--memory-swap", f"{limits.memory_mb}m")
        yield from ("--ulimit", f"nofile={limits.descriptors}", "--ulimit", "core=0")
        yield from ("--shm-size", f"{limits.shared_memory_mb}m")
        for path, size_mb in ((HOME, limits.disk_mb), ("/tmp", limits.temporary_mb)):  # noqa: S108 -- inside
            size = f"size={size_mb * MIB},nr_inodes={limits.files},mode=1777,exec"
            yield from ("--tmpfs", f"{path}:rw,nosuid,nodev,{size}")
        if self._wheelhouse is not None:
            yield from ("--volume", f"{self._wheelhouse.resolve()}:{WHEELHOUSE}:ro")
        yield from ("--workdir", HOME)
        for variable, value in (("HOME", HOME), ("PYTHONPATH", f"{HOME}/.deps"), *wish.environment):
            yield from ("--env", f"{variable}={value}")
