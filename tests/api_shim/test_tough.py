"""Whatever is thrown at it: the right kind of status, no crash, and nothing left behind."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.live import LLAMA, MS, Wire, chat, make_wire, scenario

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = """
    model messages prompt n stop temperature top_p logprobs top_logprobs seed stream stream_options max_tokens
    max_completion_tokens min_tokens ignore_eos metadata user log tools tool_choice response_format
    logit_bias echo
""".split()  # noqa: SIM905 -- a list literal would take a line per word
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "tool", "x"]) | ANYTHING,
        "content": st.text(max_size=20) | ANYTHING,
    }
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=6).flatmap(
    lambda odd: st.fixed_dictionaries(
        {
            "model": st.just(LLAMA) | ANYTHING,
            "messages": st.just([{"role": "user", "content": "hi"}])
            | st.lists(MESSAGE, max_size=3)
            | ANYTHING,
            "prompt": st.just("hi") | ANYTHING,
        }
    ).map(lambda usual: {**usual, **odd})
)


def nothing_is_left(wire: Wire) -> None:
    platform, shim = wire.platform.world.platform, wire.platform.shim
    wire.platform.run(asyncio.sleep(60))
    assert platform.inside == {}
    assert not shim.exchanges
    assert shim.streams == 0
    for pool in platform.pools.values():
        for node in pool.nodes:
            assert node.kernel.free_blocks == 2000
            assert node.outstanding == node.kernel.running == node.kernel.waiting == 0


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(path=st.sampled_from(["/v1/chat/completions", "/v1/completions"]), body=BODIES)
def test_no_json_whatever_answers_5xx(path: str, body: Any) -> None:
    wire = make_wire()
    try:
        reply = wire.ask(path, body)
        assert reply.status in {200, 400, 404}
        if reply.status != 200:
            assert reply.error["message"]
        nothing_is_left(wire)
    finally:
        wire.platform.close()


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200))
def test_no_bytes_whatever_answer_5xx(body: bytes) -> None:
    wire = make_wire()
    try:
        assert wire.ask(body=body).status == 400
    finally:
        wire.platform.close()


REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 300),  # sent at this ms
        st.integers(1, 60),  # tokens
        st.booleans(),  # streamed
        st.sampled_from(["here", "away"]),
        st.none() | st.integers(0, 700),  # hangs up at this ms
        st.integers(1, 3),  # completions
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(requests=REQUESTS)
def test_however_clients_come_and_go_every_block_comes_back(requests: list[tuple[Any, ...]]) -> None:
    wire = make_wire(scenario(limits={"requests_per_minute": 9, "tokens_per_minute": 5000}))

    async def one(at_ms: int, tokens: int, stream: bool, place: str, leave_ms: int | None, n: int) -> None:
        await asyncio.sleep(at_ms / 1000)
        leave_ps = None if leave_ms is None else (at_ms + leave_ms) * MS
        body = chat(max_tokens=tokens, ignore_eos=True, stream=stream, n=n)
        reply = await wire.send(
            "/v1/chat/completions", body, headers={"x-sim-place": place}, leave_at_ps=leave_ps
        )
        assert reply.status in {0, 200, 429, 499}

    async def all_of_them() -> None:
        await asyncio.gather(*(one(*request) for request in requests))

    try:
        wire.platform.run(all_of_them())
        nothing_is_left(wire)
        rows = len(wire.platform.world.platform.records.arrays("number")["number"])
        assert rows == len(requests), "every request is recorded once"
    finally:
        wire.platform.close()
