"""In which order deployments start, with stand-ins for what unpacks and runs them."""

import asyncio
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from api_shim.accounts.deployments import DeployedApp
from api_shim.edge import deployed
from api_shim.edge.deployed import STARTS_AT_ONCE, DeployedApps
from api_shim.edge.plan import AppLimits, EdgePlan
from api_shim.store.deployments import Deployment

PATIENCE_S = 10


class Platform:
    """Notes which deployments have begun to run."""

    def __init__(self) -> None:
        self.apps: list[Any] = []
        self.listeners: list[Any] = []
        self.python = None
        self.ran: list[str] = []
        self.limits = lambda *_: AppLimits()

    async def run(self, plan: EdgePlan) -> None:
        self.ran.append(plan.folder.parent.name)

    async def note(self, *_: object) -> bool:
        return True

    async def plan(self, deployment: Deployment) -> DeployedApp:
        return DeployedApp(deployment, Path(deployment.id), "main:app", "3.11", None, None, None, {})


def of(id_: str, project: str) -> Deployment:
    return Deployment(id_, project, "art_1", 1, "pending", "")


def elsewhere(project: str) -> str:
    """The name of one whose starts do not wait for those of `project`."""
    turn = hash(project) % STARTS_AT_ONCE
    return next(name for name in (f"p{n}" for n in range(1000)) if hash(name) % STARTS_AT_ONCE != turn)


def test_one_that_is_long_in_unpacking_holds_up_its_successors_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unpacked = Event()

    def unpack(archive: Path, folder: Path) -> None:
        assert folder.is_dir()
        assert archive.name != "first" or unpacked.wait(PATIENCE_S)

    monkeypatch.setattr(deployed, "unpack", unpack)
    monkeypatch.setattr(deployed, "check_isolation", lambda _: None)
    platform: Any = Platform()

    async def deploy() -> None:
        apps = DeployedApps(platform, SimpleNamespace(note=platform.note, plan=platform.plan))  # type: ignore[arg-type]
        for deployment in (of("first", "big"), of("second", "big"), of("other", elsewhere("big"))):
            apps.deployed(deployment)
        async with asyncio.timeout(PATIENCE_S):
            while platform.ran != ["other"]:  # noqa: ASYNC110 -- what is waited for tells nobody
                await asyncio.sleep(0.01)
            unpacked.set()
            while len(platform.ran) < 3:  # noqa: ASYNC110 -- the same
                await asyncio.sleep(0.01)
        apps.close()

    asyncio.run(deploy())
    assert platform.ran == ["other", "first", "second"]
