"""What clients are told when there is no place for them: a status, OpenAI's error object, and which limit."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sim.platform.pool import Pool
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
            {"model_name": LLAMA, "engine": "0", "reason": "max_num_queued_tokens"},
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


FLOW = {"max_concurrency": 1, "max_requests": 1}


def three(wire: Wire, **headers: str) -> list[Reply]:
    """The first is served, the second waits, the third comes too late; each a millisecond after the other."""

    async def story() -> list[Reply]:
        asked = []
        for number in range(3):
            own = headers if number else {}
            asked.append(
                asyncio.ensure_future(wire.send("/v1/chat/completions", chat(max_tokens=5), headers=own))
            )
            await asyncio.sleep(0.001)
        return [await reply for reply in asked]

    return wire.platform.run(story())


def test_a_full_queue_at_the_gateway_answers_429_with_llm_ds_reason(make: MakeWire) -> None:
    wire = make(scenario(llama={"nodes": 1, "flow_control": FLOW}))
    replies = three(wire)
    assert [reply.status for reply in replies] == [200, 200, 429]
    refused = replies[2]
    assert refused.error == {
        "message": f"{LLAMA} is saturated, and so is its queue.",
        "type": "rate_limit_error",
        "param": None,
        "code": "rejected-saturated",
    }
    assert refused.headers["x-llm-d-request-dropped-reason"] == "rejected-saturated"
    assert refused.headers["x-sim-refused-by"] == "saturated"


def test_who_has_waited_its_time_to_live_gets_429_then_and_nobody_waits_without_a_node(
    make: MakeWire,
) -> None:
    wire = make(scenario(llama={"nodes": 1, "flow_control": FLOW | {"max_requests": 5, "ttl_s": 0.01}}))
    replies = three(wire)
    assert [reply.status for reply in replies] == [200, 429, 429]
    assert [reply.headers["x-llm-d-request-dropped-reason"] for reply in replies[1:]] == [
        "rejected-ttl-expired",
        "rejected-ttl-expired",
    ]
    pool = wire.platform.world.platform.pools["llama"]
    assert isinstance(pool, Pool)
    pool.drain(pool.nodes[0])
    gone = wire.ask(body=chat(max_tokens=5))
    assert (gone.status, gone.error["code"]) == (503, "server_overloaded")
    assert gone.headers["x-llm-d-request-dropped-reason"] == "rejected-no-endpoints"


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("x-llm-d-slo-ttft-ms", "soon"),
        ("x-slo-ttft-ms", "0"),
        ("x-llm-d-slo-ttft-ms", "86400001"),
        ("x-llm-d-inference-fairness-id", "x" * 201),
    ],
)
def test_a_wrong_word_to_the_router_is_named(wire: Wire, header: str, wrong: str) -> None:
    reply = wire.ask(body=chat(max_tokens=1), headers={header: wrong})
    assert (reply.status, reply.error["param"]) == (400, header)


def test_what_headers_tell_the_router_decides_who_goes_next(make: MakeWire) -> None:
    flow = {"max_concurrency": 1, "order": "slo_deadline"}
    wire = make(scenario(llama={"nodes": 1, "flow_control": flow}))

    async def story() -> list[int]:
        asked = []
        for objective in ("", "900", "30"):
            headers = {"x-llm-d-slo-ttft-ms": objective, "x-llm-d-inference-fairness-id": "team"}
            asked.append(wire.send("/v1/chat/completions", chat(max_tokens=5), headers=headers))
        return [reply.ended_ps for reply in await asyncio.gather(*asked)]

    first, relaxed, urgent = wire.platform.run(story())
    assert first < urgent < relaxed


def test_who_waits_at_the_gateway_stands_in_the_metrics(make: MakeWire) -> None:
    wire = make(scenario(llama={"nodes": 1, "flow_control": FLOW}))

    async def story() -> str:
        asked = [
            asyncio.ensure_future(wire.send("/v1/chat/completions", chat(max_tokens=5))) for _ in range(2)
        ]
        await asyncio.sleep(0.001)
        text = (await wire.send("/metrics", method="GET")).body.decode()
        await asyncio.gather(*asked)
        return text

    text = wire.platform.run(story())
    assert f'e80sim:flow_control_queue_size{{model_name="{LLAMA}"}} 1.0' in text
    assert f'e80sim:flow_control_pool_saturation{{model_name="{LLAMA}"}} 1.0' in text
