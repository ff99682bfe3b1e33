"""Python packages for a sandbox: from a folder of wheels, without a network, or from an index if allowed.

No code of a package runs outside: wheels are unpacked, by a pip that runs in a sandbox. An index is asked by
another, short-lived sandbox, which has a network and runs nothing but pip.
"""

import io
import json
import os
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from api_shim.sandboxes.backend import Backend, SandboxRefusedError
from api_shim.sandboxes.bubblewrap import HOME, WHEELHOUSE
from api_shim.sandboxes.inside import PACKAGES
from api_shim.sandboxes.sandbox import Outcome, Program, Sandbox

VERSION = r"\s*(===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+"
REQUIREMENT = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._ -]+\])?({VERSION}(\s*,{VERSION})*)?")
"""Names and versions: no options, no addresses, no paths."""
MOST_REQUIREMENTS = 100
LONGEST_REQUIREMENT = 200
INSTALL_S = 300.0
PIP = "/tmp/pip.zip"  # noqa: S108 -- of the sandbox
FETCHED = f"{HOME}/.wheels"
QUIET = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--only-binary=:all:")
HAS_PIP = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class PackageSource:
    """Where packages may come from."""

    wheelhouse: Path | None = None
    index: str | None = None
    """The address of an index, as after `pip --index-url`."""

    async def install(self, sandbox: Sandbox, requirements: Iterable[str], backend: Backend) -> Outcome:
        """What pip ended with. Raises SandboxRefusedError and SandboxEndedError."""
        wanted = _checked(requirements)
        if not wanted:
            return Outcome(0, b"", b"", None, 0.0, 0.0)
        if self.index is not None:
            return await self._from_index(self.index, sandbox, wanted, backend)
        if self.wheelhouse is None:
            raise SandboxRefusedError(
                "this server has no packages: serve with `--wheelhouse DIR`, a folder of wheels, or allow an "
                "index with `--package-index URL`"
            )
        return await _install(sandbox, WHEELHOUSE, wanted)

    async def _from_index(self, index: str, sandbox: Sandbox, wanted: list[str], backend: Backend) -> Outcome:
        proxies = tuple((name, os.environ[name]) for name in PROXIES if name in os.environ)
        wish = replace(sandbox.wish, name=f"{sandbox.wish.name}-packages", network=True, environment=proxies)
        fetching = await Sandbox.create(backend, wish)
        try:
            pip = await _pip(fetching)
            command = (*pip, "download", *QUIET, "--index-url", index, "--dest", FETCHED, "--", *wanted)
            outcome = await fetching.run(Program(command), timeout_s=INSTALL_S)
            if outcome.exit_code != 0:
                return outcome
            for name in await _names(fetching):
                most_bytes = sandbox.wish.limits.disk_mb * 2**20
                await sandbox.put(f"{FETCHED}/{name}", await fetching.get(f"{FETCHED}/{name}", most_bytes))
        finally:
            await fetching.stop()
        outcome = await _install(sandbox, FETCHED, wanted)
        await sandbox.run(Program(("rm", "-rf", FETCHED)))
        return outcome


async def _install(sandbox: Sandbox, wheels: str, wanted: list[str]) -> Outcome:
    target = f"{HOME}/{PACKAGES}"
    pip = await _pip(sandbox)
    command = (*pip, "install", *QUIET, "--no-index", "--find-links", wheels, "--upgrade", "--target", target)
    return await sandbox.run(Program((*command, "--", *wanted)), timeout_s=INSTALL_S)


async def _pip(sandbox: Sandbox) -> tuple[str, ...]:
    """The sandbox's own; else this interpreter's, which Python also runs from an archive."""
    if (await sandbox.run(Program(code=HAS_PIP))).exit_code == 0:
        return ("python3", "-m", "pip")
    await sandbox.put(PIP, _own_pip())
    return ("python3", f"{PIP}/pip")


@cache
def _own_pip() -> bytes:
    """Raises SandboxRefusedError."""
    found = find_spec("pip")
    if found is None or found.origin is None:
        raise SandboxRefusedError(
            "there is no pip in the sandbox, and none beside the server: install python3-pip"
        )
    package = Path(found.origin).parent
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                file.write(path, Path("pip") / path.relative_to(package))
    return archive.getvalue()


async def _names(sandbox: Sandbox) -> list[str]:
    """Of the wheels that came. They are told by a sandbox, so they are looked at."""
    listed = await sandbox.run(Program(code=f"import json, os; print(json.dumps(os.listdir({FETCHED!r})))"))
    try:
        names = json.loads(listed.output)
    except ValueError:
        names = None
    if not isinstance(names, list) or len(names) > 1000:
        raise SandboxRefusedError("the packages that came cannot be listed")
    return [name for name in names if isinstance(name, str) and re.fullmatch(r"[\w.+-]+\.whl", name)]


def _checked(requirements: Iterable[str]) -> list[str]:
    """Raises SandboxRefusedError."""
    wanted = [requirement.strip() for requirement in requirements]
    if len(wanted) > MOST_REQUIREMENTS:
        raise SandboxRefusedError(f"{len(wanted)} packages at once: at most {MOST_REQUIREMENTS} are taken")
    for requirement in wanted:
        if len(requirement) > LONGEST_REQUIREMENT or not REQUIREMENT.fullmatch(requirement):
            raise SandboxRefusedError(
                f"{requirement[:LONGEST_REQUIREMENT]!r} is no package: write a name and, if need be, "
                "versions, such as `numpy>=2`"
            )
    return wanted
