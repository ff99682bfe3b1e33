"""Runs what was deployed: artifacts of people who have a login or a key, hence isolated."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from api_shim.accounts.deployments import (
    DEPENDENCIES_FOLDER,
    PROJECT_FOLDER,
    AppConfigError,
    DeployedApp,
    DeploymentService,
)
from api_shim.edge.edge_app import AppState, EdgeApp
from api_shim.edge.isolation import check_isolation
from api_shim.edge.manifest import slug_of
from api_shim.edge.plan import EdgePlan
from api_shim.edge.service import EdgeService
from api_shim.sandboxes.backend import NoIsolationError
from api_shim.sandboxes.bubblewrap import PYTHON
from api_shim.store.archives import BadArchiveError, unpack
from api_shim.store.deployments import Deployment, DeploymentStatus
from api_shim.store.full_disk import StorageFullError
from e80sim.mistakes import UserError

STARTS = "It starts."
MOST_APPS = 100
"""Of projects, each with one that runs and perhaps one that is to take its place."""
STARTS_AT_ONCE = 8
"""So that most are not held up by one that unpacks gigabytes."""
UNPACKED = "e80sim-deployed-"
"""What the folders of unpacked artifacts begin with, which are not below the state directory: applications
have users of their own, who may not go in there."""
STATUS: dict[str, DeploymentStatus] = {"starting": "in_progress", "running": "running"}
"""Of a state; any other one is the end of a deployment that has never run, and a pause of one that has."""


class DeployedApps:
    """A project has one application, at its slug: the last that was deployed."""

    def __init__(self, edge: EdgeService, deployments: DeploymentService) -> None:
        self._edge = edge
        self._deployments = deployments
        self._loop = asyncio.get_running_loop()
        remove_forsaken()
        self._folder, self._lock = locked_folder()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = [asyncio.Lock() for _ in range(STARTS_AT_ONCE)]
        edge.listeners.append(self._hear)

    def deployed(self, deployment: Deployment) -> None:
        self._soon(self._start(deployment))

    def close(self) -> None:
        """When the applications have ended."""
        for task in self._tasks:
            task.cancel()
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, deployment: Deployment) -> None:
        """Those at one slug one after the other, in the order in which they came."""
        async with self._turns[hash(slug_of(deployment.project)) % STARTS_AT_ONCE]:
            try:
                if not await self._deployments.note(deployment.id, "in_progress", STARTS):
                    return
                await self._run(deployment)
            except (AppConfigError, BadArchiveError, NoIsolationError, UserError, OSError) as error:
                await self._deployments.note(deployment.id, "dead", f"It cannot be started: {error}")

    async def _run(self, deployment: Deployment) -> None:
        app = await self._deployments.plan(deployment)
        slug = slug_of(deployment.project)
        if app.gpu_count:
            raise UserError(f"it wants {app.gpu_count} GPUs, and applications have none here.")
        check_place(slug, app.deployment.project, [one.plan for one in self._edge.apps])
        folder = self._folder / deployment.id
        folder.mkdir(mode=0o700)
        # Not beside the store, where others wait for theirs: it may be gigabytes.
        plan = await asyncio.to_thread(self._unpacked, slug, app, folder)
        await self._edge.run(plan)

    def _unpacked(self, slug: str, app: DeployedApp, folder: Path) -> EdgePlan:
        """Raises BadArchiveError, NoIsolationError, UserError and OSError."""
        unpack(app.archive, folder)
        plan = self._plan(slug, app, folder)
        check_isolation(plan)
        _check_python(plan, app.python_version)
        return plan

    def _plan(self, slug: str, app: DeployedApp, folder: Path) -> EdgePlan:
        project, dependencies = folder / PROJECT_FOLDER, folder / DEPENDENCIES_FOLDER
        project.mkdir(exist_ok=True)
        dependencies.mkdir(exist_ok=True)
        return EdgePlan(
            slug=slug,
            project=app.deployment.project,
            entrypoint=app.entrypoint,
            folder=project,
            limits=self._edge.limits(app.cpu_mhz, app.memory_size_mb),
            environment=app.environment,
            secrets=app.secrets,
            libraries=(dependencies,),
            python=self._edge.python or PYTHON,
            isolated=True,
        )

    def _hear(self, app: EdgeApp) -> None:
        """In the applications' thread."""
        state, ran = app.state, app.started_in_s is not None
        self._loop.call_soon_threadsafe(lambda: self._soon(self._note(app, state, ran=ran)))

    async def _note(self, app: EdgeApp, state: AppState, *, ran: bool) -> None:
        if not app.plan.isolated:
            return
        folder = app.plan.folder.parent
        if state.name == "stopped":  # it was replaced, or the server ends, and the next one runs it again
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            return
        status = STATUS.get(state.name, "in_progress" if ran else "dead")
        words = str(state).removesuffix(".")  # which an error of Python's often has
        with suppress(StorageFullError):
            await self._deployments.note(folder.name, status, f"{words[0].upper()}{words[1:]}.")
        if status == "dead":
            await self._edge.stop(app)


def check_place(slug: str, project: str, running: Sequence[EdgePlan]) -> None:
    """Whether a project's application may run at `slug`, beside those or in place of its own one there.

    Raises UserError.
    """
    there = [plan for plan in running if plan.slug == slug]
    if any(not plan.isolated for plan in there):
        raise UserError(f"this server runs a folder of its own at {slug!r}.")
    if any(plan.project != project for plan in there):
        raise UserError(f"another project, whose name differs in - and _ alone, is at {slug!r}.")
    if not there and len({plan.slug for plan in running if plan.isolated}) >= MOST_APPS:
        raise UserError(f"{MOST_APPS} projects have applications here, which is all that this server runs.")


def locked_folder() -> tuple[Path, int]:
    """Where every user may look for a name that it knows; locked as long as the descriptor is open."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=UNPACKED))
        folder.chmod(0o711)
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)  # somebody has found it before it was locked


def remove_forsaken() -> None:
    """Those of servers that were killed, whose locks the kernel has taken back."""
    for folder in Path(tempfile.gettempdir()).glob(f"{UNPACKED}*"):
        with suppress(OSError):  # somebody else's, or another one removes it, too
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its server lives
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _check_python(plan: EdgePlan, built_for: str) -> None:
    """Compiled libraries fit one version of Python alone. Raises UserError."""
    compiled = next(plan.libraries[0].rglob("*.so"), None)
    if compiled is None:
        return
    tell = "import sys; print('%d.%d' % sys.version_info[:2])"
    found = subprocess.run(  # noqa: S603 -- the operator's interpreter, and our own words
        [plan.interpreter(), "-I", "-c", tell], capture_output=True, text=True, check=False
    ).stdout.strip()
    if found != ".".join(built_for.split(".")[:2]):
        raise UserError(
            f"it was built for Python {built_for}, with compiled libraries ({compiled.name}), and runs with "
            f"{found or 'none'} here: serve with --app-python FILE."
        )
