"""Artifacts and what is deployed of them: the seam between the platform's API and whoever runs apps.

A server that runs none leaves every deployment pending, and says so. One that does sets `runner`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from api_shim.clocks.clock import Clock
from api_shim.store import archives
from api_shim.store.archives import ArchiveLimits
from api_shim.store.artifacts import Artifact, Artifacts
from api_shim.store.deployments import Deployment, DeploymentPage, Deployments, DeploymentStatus
from api_shim.store.projects import Projects
from api_shim.store.secrets import Secrets

NOBODY_RUNS_APPS = "This server runs no apps: the artifact is kept, and waits."
WAITS = "It waits to be started."
RESTARTED = "The server was started again."
PROJECT_FOLDER, DEPENDENCIES_FOLDER = "project", "dependencies"
"""Of an unpacked artifact; both belong on the path of its Python."""


class NoArtifactError(Exception):
    """The project has no whole artifact of that id."""


class AppConfigError(Exception):
    """What a deployment states cannot be had; a sentence for whoever looks at it."""


class DeploymentRunner(Protocol):
    """Whoever runs apps."""

    def deployed(self, deployment: Deployment) -> None:
        """It is to run, in place of what runs of its project; called on the loop, which must not wait.

        `DeploymentService.note` says how it goes on. Once it is `running` those before it are dead.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeployedApp:
    """What a deployment says of how it wants to run."""

    deployment: Deployment
    archive: Path
    """The zip file; `archives.unpack` makes a folder of it."""
    entrypoint: str
    """`module:attribute`, below PROJECT_FOLDER."""
    python_version: str
    cpu_mhz: int | None
    gpu_count: int | None
    memory_size_mb: int | None
    environment: dict[str, str] = field(repr=False)
    """Whose it is, `env_vars`, and of `env_secrets` what they hold."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What no log may show of it."""


class DeploymentService:
    def __init__(
        self,
        clock: Clock,
        artifacts: Artifacts,
        deployments: Deployments,
        secrets: Secrets,
        projects: Projects,
        new_id: Callable[[str], str],
        limits: ArchiveLimits,
    ) -> None:
        self._clock = clock
        self._artifacts = artifacts
        self._deployments = deployments
        self._secrets = secrets
        self._projects = projects
        self._new_id = new_id
        self._limits = limits
        self._finishing = asyncio.Lock()
        self.runner: DeploymentRunner | None = None
        """None: nobody runs apps."""

    def check_archive(self, content: BinaryIO) -> None:
        """Raises BadArchiveError."""
        archives.check(content, self._limits)

    async def finish(self, upload: Artifact) -> Artifact:
        """Of the parts of an upload a whole; one that is whole already stays as it is.

        One step after the other, as others wait for the store meanwhile, and one upload after the other.
        Raises MissingPartError, BadArchiveError, NoArtifactError and StorageFullError.
        """
        async with self._finishing:
            found = await self._clock.aside(partial(self._artifacts.get, upload.project, upload.id))
            if found is None:
                raise NoArtifactError
            if found.digest is not None:
                return found
            steps = self._artifacts.finish(found, self.check_archive)
            try:
                whole: Artifact | None = None
                while whole is None:
                    whole = await self._clock.aside(partial(next, steps))
            finally:
                await self._clock.aside(steps.close)
            return whole

    async def resume(self) -> None:
        """Whatever ran when the last server ended is to run again; call it when `runner` is set."""
        reason = RESTARTED if self.runner else NOBODY_RUNS_APPS
        for one in await self.live():
            await self.note(one.id, "pending", reason)
        for one in await self.live():
            self._tell(one)

    async def create(self, project: str, artifact_id: str) -> Deployment:
        """Raises NoArtifactError and StorageFullError."""
        artifact = await self._clock.aside(partial(self._artifacts.get, project, artifact_id))
        if artifact is None or artifact.digest is None:
            raise NoArtifactError
        reason = WAITS if self.runner else NOBODY_RUNS_APPS
        now_s = int(self._clock.unix_s())
        made = Deployment(self._new_id("dep_"), project, artifact.id, now_s, "pending", reason)
        await self._clock.aside(partial(self._deployments.add, made))
        self._tell(made)
        return made

    async def note(self, id_: str, status: DeploymentStatus, reason: str = "") -> bool:
        """What has become of one; False for one that is dead, which it stays. Raises StorageFullError."""
        now_s = int(self._clock.unix_s())
        return await self._clock.aside(partial(self._deployments.note, id_, status, reason, now_s))

    async def get(self, project: str | None, id_: str) -> Deployment | None:
        return await self._clock.aside(partial(self._deployments.get, project, id_))

    async def live(self, project: str | None = None) -> list[Deployment]:
        """Those that run or are to run, oldest first; None: of all projects."""
        return await self._clock.aside(partial(self._deployments.live, project))

    async def page(self, project: str, limit: int, offset: int) -> DeploymentPage:
        """Newest first."""
        return await self._clock.aside(partial(self._deployments.page, project, limit, offset))

    async def plan(self, deployment: Deployment) -> DeployedApp:
        """With secrets as they are at present. Raises AppConfigError."""
        return await self._clock.aside(partial(self._plan, deployment))

    async def artifact(self, deployment: Deployment) -> Artifact | None:
        """None where it is not kept any more."""
        return await self._clock.aside(partial(self._artifacts.get, deployment.project, deployment.artifact))

    def _plan(self, deployment: Deployment) -> DeployedApp:
        artifact = self._artifacts.get(deployment.project, deployment.artifact)
        if artifact is None or artifact.digest is None:
            raise AppConfigError("Its artifact is not kept any more: deploy it again.")
        config = artifact.config
        secrets = self._resolved(deployment.project, config["env_secrets"])
        told = {"_8080_ORGANIZATION_SLUG": self._projects.organisation_of(deployment.project)}
        return DeployedApp(
            deployment=deployment,
            archive=self._artifacts.path(artifact),
            entrypoint=config["entrypoint"],
            python_version=config["artifact_metadata"]["python_version"],
            cpu_mhz=config["cpu_count"],
            gpu_count=config["gpu_count"],
            memory_size_mb=config["memory_size_mb"],
            environment=told | (config["env_vars"] or {}) | secrets,
            secrets=tuple(secrets.values()),
        )

    def _resolved(self, project: str, env_secrets: dict[str, str] | None) -> dict[str, str]:
        """Variable -> what the secret holds. Which of the two names a client writes first is assumed."""
        resolved = {}
        for variable, name in (env_secrets or {}).items():
            secret = self._secrets.get(project, name)
            if secret is None:
                raise AppConfigError(f"{variable} is to hold the secret {name!r}, which the project has not.")
            if secret.is_local:
                raise AppConfigError(f"{variable} is to hold the secret {name!r}, which is local.")
            resolved[variable] = secret.text()
        return resolved

    def _tell(self, deployment: Deployment) -> None:
        if self.runner is not None:
            self.runner.deployed(deployment)
