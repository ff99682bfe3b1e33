"""mvllm, a router that reads each node's `/metrics` twice a second and asks one that has nothing to do."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVERS = """
[servers]
servers = [{servers}]
[config]
health_check_interval = 1
"""
READINGS_S = 1.5
"""Until it has read the nodes at least once more."""


@pytest.fixture
def url(nodes: Any, run_router: Any, free_ports: tuple[int, int], tmp_path: Path) -> Iterator[str]:
    servers = ", ".join(f'{{url = "{one}", max_concurrent_requests = 1}}' for one in nodes.urls)
    config = tmp_path / "servers.toml"
    config.write_text(SERVERS.format(servers=servers))
    port = free_ports[0]
    served_at = ("--host", "127.0.0.1", "--port", str(port), "--config", str(config))
    mvllm = ("-c", "from mvllm.cli import app; app()", "run", "--console", *served_at)
    with run_router(sys.executable, *mvllm, at="/health", port=port, folder=tmp_path) as router:
        yield router


def test_it_sees_by_the_metrics_of_nodes_who_is_idle_and_asks_that_one(nodes: Any, url: str) -> None:
    for idle in (3, 1):
        with nodes.loaded([index for index in range(4) if index != idle], tokens=15_000):
            time.sleep(READINGS_S)
            served = [nodes.ask(url, 5) for _ in range(3)]
        assert {one.node for one in served} == {idle}
        assert max(one.ttft_ms for one in served) < 10
