"""One server for all suites of a worker."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.served import Served

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""Without a network litellm would try three times to fetch its list of prices."""


@pytest.fixture(scope="session")
def nodes_behind() -> Iterator[dict[str, str]]:
    """For routers: where each node of a model is."""
    options = ("--speed", "10", "--state", ":memory:", "--no-auth", "--node-ports", "0")
    server = Served(HERE / "nodes.yaml", *options)
    yield ENVIRONMENT | {"NODE_URLS": " ".join(server.urls[1:])}
    server.end()


@pytest.fixture(scope="session")
def settings_of() -> Iterator[Callable[[str], dict[str, str]]]:
    """Where the server is and whose key is sent, by the names that all clients look for."""
    server = Served(HERE / "served.yaml", "--speed", "10", "--state", ":memory:", "--trace-sample", "1")

    def settings(key: str) -> dict[str, str]:
        return ENVIRONMENT | {"OPENAI_BASE_URL": f"{server.urls[0]}/v1", "OPENAI_API_KEY": f"sk-{key}"}

    yield settings
    server.end()
