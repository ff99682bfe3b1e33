"""vllm-router over four nodes."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def url(nodes: Any, run_router: Any, free_ports: tuple[int, int], tmp_path: Path) -> Iterator[str]:
    port, of_metrics = free_ports
    of_router = ("--port", str(port), "--prometheus-port", str(of_metrics), "--policy", "round_robin")
    launch = (sys.executable, "-m", "vllm_router.launch_router", *of_router, "--worker-urls", *nodes.urls)
    with run_router(*launch, at="/health", port=port, folder=tmp_path) as router:
        yield router


def test_its_turns_reach_every_node_and_two_at_one_node_wait_for_each_other(nodes: Any, url: str) -> None:
    served = nodes.ask_together(url, 200, times=8)
    assert Counter(one.node for one in served) == {0: 2, 1: 2, 2: 2, 3: 2}
    nodes.assert_one_after_the_other(served)


def test_a_node_that_others_load_makes_its_turn_wait(nodes: Any, url: str) -> None:
    """It goes round and round, whoever is loaded: the physics is the node's."""
    with nodes.loaded([2], tokens=5_000):
        served = nodes.ask_together(url, 5, times=4)
    ttft_ms = {one.node: one.ttft_ms for one in served}
    assert ttft_ms.keys() == {0, 1, 2, 3}
    assert ttft_ms.pop(2) > 1000
    assert max(ttft_ms.values()) < 10
