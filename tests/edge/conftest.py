import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from api_shim.edge.edge_app import EdgeApp
from api_shim.edge.host import EdgeHost
from api_shim.edge.plan import AppLimits, EdgePlan
from tests.edge.apps import SOURCE

PATIENCE_S = 20.0
"""On a busy machine; what is waited for comes within a second."""
SECRET = "sk-token-of-search"


@pytest.fixture(scope="module")
def host() -> Iterator[EdgeHost]:
    host = EdgeHost(backoff_s=(0.02,))
    yield host
    host.close()


@pytest.fixture(scope="module")
def start(host: EdgeHost, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., EdgeApp]:
    """An application that runs, or has failed to."""

    def start(source: str = SOURCE, entrypoint: str = "main:app", **limits: Any) -> EdgeApp:
        folder = tmp_path_factory.mktemp("app")
        (folder / "main.py").write_text(source)
        plan = EdgePlan(
            folder.name,
            "examples",
            entrypoint,
            folder,
            replace(AppLimits(), **limits),
            {"TOKEN": SECRET},
            (SECRET,),
        )
        app = host.thread.submit(host.start(plan)).result(PATIENCE_S)
        settle(host, app)
        return app

    return start


def settle(host: EdgeHost, app: EdgeApp) -> None:
    host.thread.submit(app.until_settled(PATIENCE_S)).result()


def wait_until(host: EdgeHost, holds: Callable[[], bool]) -> None:
    async def look() -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 -- what is waited for tells nobody
                await asyncio.sleep(0.01)

    host.thread.submit(look()).result()


def ask(app: EdgeApp, path: str, body: bytes = b"") -> httpx.Response:
    assert app.life is not None
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(app.life.socket)), base_url="http://app"
    ) as client:
        return client.post(path, content=body, timeout=PATIENCE_S)
