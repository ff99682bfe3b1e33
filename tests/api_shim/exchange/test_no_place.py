"""What clients are told when there is no place for them: a status, OpenAI's error object, and which limit."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.live import LLAMA, MakeWire, Reply, Wire, chat, scenario

FULL = {"nodes": 1, "batching": {"max_num_seqs": 1, "max_num_queued_reqs": 1}}


def both(wire: Wire, **second: object) -> tuple[Reply, Reply]:
    """Two requests, the second while the first is in the node."""

    async def story() -> tuple[Reply, Reply]:
        first = asyncio.ensure_future(wire.send("/v1/chat/completions", chat(max_tokens=5)))
        await asyncio.sleep(0.001)
        return await wire.send("/v1/chat/completions", chat(max_tokens=5, **second)), await first

    late, early = wire.platform.run(story())
    return early, late


@pytest.mark.parametrize("stream", [False, True])
def test_a_node_that_is_full_answers_503_and_says_by_which_limit(make: MakeWire, stream: bool) -> None:
    wire = make(scenario(llama=FULL))
    early, late = both(wire, stream=stream)
    assert (early.status, late.status) == (200, 503)
    assert late.error == {
        "message": f"A node of {LLAMA} is too busy: requests that wait or run: 1, and "
        "max_num_queued_reqs is 1. Please try again later.",
        "type": "server_error",
        "param": None,
        "code": "server_overloaded",
    }
    assert late.headers["x-sim-refused-by"] == "max_num_queued_reqs"
    assert "retry-after" not in late.headers  # nobody knows how long; SDKs try again by themselves
    assert "x-should-retry" not in late.headers
    assert wire.ask(body=chat(max_tokens=5)).status == 200


def test_what_nodes_refuse_is_counted_by_vllms_name(make: MakeWire) -> None:
    wire = make(scenario(llama={"nodes": 1, "batching": {"max_num_queued_tokens": 11}}))
    early, late = both(wire)
    assert (early.status, late.status) == (200, 503)
    families = text_string_to_metric_families(wire.ask("/metrics", method="GET").body.decode())
    samples = [one for family in families for one in family.samples if "rejections_total" in one.name]
    assert [(one.name, one.labels, one.value) for one in samples] == [
        (
            "vllm:admission_rejections_total",
            {"model_name": LLAMA, "reason": "max_num_queued_tokens"},
            1.0,
        )
    ]


def test_limits_apart_have_headers_apart(make: MakeWire) -> None:
    wire = make(scenario(limits={"input_tokens_per_minute": 30, "also": [{"requests_per_minute": 2}]}))
    reply = wire.ask(body=chat(max_tokens=5))
    told = {name: value for name, value in reply.headers.items() if name.startswith("x-ratelimit-")}
    assert told == {
        "x-ratelimit-limit-input-tokens": "30",
        "x-ratelimit-remaining-input-tokens": "19",
        "x-ratelimit-reset-input-tokens": "22s",
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "30s",
    }
    assert wire.ask(body=chat("x " * 30, max_tokens=5)).headers["x-sim-refused-by"] == "input_tokens"
