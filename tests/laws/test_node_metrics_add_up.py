"""What a node's metrics say in the end is what the record says of its requests, whatever came and left."""

import asyncio
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api_shim.testing import VirtualPlatform
from sim.run.live import LONGEST_S, live_tables
from tests.support.live import LLAMA, MS, Wire, chat, scenario

ASIC = {
    "kind": "hardwired_asic",
    "decode_step_ms": 10.0,
    "prefill_ms_per_token": 1.0,
    "kv_pool_tokens": 200,
    "max_concurrent_sequences": 3,
}
MODEL = {
    "hardware": ASIC,
    "nodes": 2,
    "context_tokens": 100,
    "batching": {"block_size": 4, "enable_prefix_caching": True, "max_num_queued_reqs": 5},
}
BEGINNINGS = ["the steam engine of Watt was " * 2, "a history of looms and of mills " * 2, ""]
asks = st.fixed_dictionaries(
    {
        "at_ms": st.integers(0, 300),
        "port": st.sampled_from([9001, 9001, 9002, 80]),
        "says": st.sampled_from(BEGINNINGS),
        "tokens": st.integers(1, 20),
        "n": st.integers(1, 2),
        "stream": st.booleans(),
        "leaves_ms": st.none() | st.integers(1, 400),
    }
)


REASON = re.compile(r'reason="(\w+)"')


def told(text: str) -> dict[str, float]:
    """Without histograms' buckets, by name and reason."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("vllm:") and "_bucket" not in line and LLAMA in line:
            labelled, _, value = line.rpartition(" ")
            name = labelled.partition("{")[0].removeprefix("vllm:")
            found[" ".join([name, *REASON.findall(labelled)])] = float(value)
    return found


async def ask(wire: Wire, one: dict[str, Any]) -> None:
    await asyncio.sleep(one["at_ms"] / 1000)
    leaves_ms = one["leaves_ms"]
    await wire.send(
        "/v1/chat/completions",
        chat(one["says"] + "!", max_tokens=one["tokens"], ignore_eos=True, n=one["n"], stream=one["stream"]),
        port=one["port"],
        headers={"x-sim-place": "here"},
        leave_at_ps=None if leaves_ms is None else wire.platform.world.env.now + leaves_ms * MS,
    )


@settings(max_examples=10, deadline=None)
@given(st.lists(asks, min_size=1, max_size=12))
def test_a_nodes_counters_are_the_sums_over_its_requests(asked: list[dict[str, Any]]) -> None:
    spec = scenario(llama=MODEL, run={"horizon_s": LONGEST_S})
    wire = Wire(VirtualPlatform(spec, node_ports=["llama:9001"]))

    async def story() -> list[dict[str, float]]:
        await asyncio.gather(*(ask(wire, one) for one in asked))
        await asyncio.sleep(60)
        replies = [await wire.send("/metrics", port=port, key=None) for port in (9001, 9002, 80)]
        return [told(reply.body.decode()) for reply in replies]

    seen = wire.platform.run(story())
    wire.platform.close()
    tables = live_tables(wire.platform.world)
    rows = tables.requests.to_pylist()
    nodes = {node["node"]: node for node in tables.nodes.to_pylist() if node["model"] == "llama"}
    for index in (0, 1):
        assert_adds_up(seen[index], [row for row in rows if row["node"] == index], nodes[index])
    for name in ("iteration_tokens_total_sum", "inter_token_latency_seconds_count", "num_preemptions_total"):
        assert seen[2][name] == seen[0][name] + seen[1][name]


def assert_adds_up(seen: dict[str, float], rows: list[dict[str, Any]], node: dict[str, Any]) -> None:
    inside = [row for row in rows if not row["outcome"].startswith("rejected")]
    made = sum(row["output_tokens"] for row in inside)
    began = seen["time_to_first_token_seconds_count"]
    assert seen["generation_tokens_total"] == made == node["output_tokens"]
    # A first token comes with the prompt; every further one is computed in a step, and ends a gap.
    assert seen["iteration_tokens_total_sum"] == node["prompt_tokens"] + made - began
    assert seen["iteration_tokens_total_count"] == node["steps"]
    assert seen["inter_token_latency_seconds_count"] == made - began
    refused = sum(row["outcome"] == "rejected_max_num_queued_reqs" for row in rows)
    assert seen.get("admission_rejections_total max_num_queued_reqs", 0) == refused
    finished, left = (seen.get(f"request_success_total {reason}", 0) for reason in ("length", "abort"))
    assert finished + left == sum(row["samples"] for row in inside)
    assert finished == seen["e2e_request_latency_seconds_count"]
    whole = [row for row in inside if row["outcome"] == "completed"]
    assert finished >= sum(row["samples"] for row in whole), "who leaves may leave one that is complete"
    if whole == inside:
        assert seen["request_generation_tokens_sum"] == made
        assert seen["request_params_n_sum"] == finished
    gauges = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
    assert [seen[name] for name in gauges] == [0, 0, 0]
