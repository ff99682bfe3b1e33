"""litellm's Router over four nodes, each a deployment at a port of its own."""

import asyncio
from collections import Counter
from typing import Any

import litellm
import pytest

MODEL = "openai/8080/taalas/llama3.1-8b-instruct"
HELLO: Any = [{"role": "user", "content": "hello"}]
HEADERS = "llm_provider-"
"""Before the names of a server's own headers."""


def router(nodes: Any, strategy: Any) -> litellm.Router:
    deployments = [
        {
            "model_name": "any",
            "model_info": {"id": f"node {index}"},
            "litellm_params": {"model": MODEL, "api_base": f"{url}/v1", "api_key": "sk-me"},
        }
        for index, url in enumerate(nodes.urls)
    ]
    return litellm.Router(model_list=deployments, routing_strategy=strategy, num_retries=0)


async def asked(nodes: Any, router: litellm.Router, tokens: int) -> Any:
    answer: Any = await router.acompletion(
        model="any", messages=HELLO, max_tokens=tokens, extra_body={"ignore_eos": True}
    )
    served = nodes.served(answer._hidden_params["additional_headers"], HEADERS)
    assert answer._hidden_params["model_id"] == f"node {served.node}", "it landed where the router said"
    return served


@pytest.mark.anyio
async def test_the_least_busy_are_asked_and_whoever_comes_second_waits_there(nodes: Any) -> None:
    """Eight at once: the router counts two for each node, and a node serves them one after the other."""
    least_busy = router(nodes, "least-busy")
    served = await asyncio.gather(*(asked(nodes, least_busy, 200) for _ in range(8)))
    assert Counter(one.node for one in served) == {0: 2, 1: 2, 2: 2, 3: 2}
    nodes.assert_one_after_the_other(served)
    assert sum(one.ttft_ms < 10 for one in served) == 4
    assert max(one.ttft_ms for one in served) > 100, "most of an answer of 400 ms"


@pytest.mark.anyio
async def test_a_node_that_others_load_is_slow_to_answer_and_is_avoided(nodes: Any) -> None:
    """As soon as the router has tried it: what it goes by is what its own calls took."""
    fastest = router(nodes, "latency-based-routing")
    tried: list[Any] = []
    with nodes.loaded([0], tokens=10_000):
        while {one.node for one in tried} != {0, 1, 2, 3}:
            tried.append(await asked(nodes, fastest, 20))
            await asyncio.sleep(0.1)  # its bookkeeping runs in the background
    assert max(one.ttft_ms for one in tried if one.node == 0) > 1000, "behind an answer of 20 s"
    assert max(one.ttft_ms for one in tried if one.node != 0) < 10
    for _ in range(8):
        assert (await asked(nodes, fastest, 20)).node != 0
