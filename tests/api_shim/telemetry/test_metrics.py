"""`/metrics` of the platform, by vLLM's names.

A prompt token costs 1 ms and every further token 10 ms, one sequence at a time on each of two nodes.
"hello" has 11 tokens.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from api_shim.clocks.histogram import Histogram
from api_shim.telemetry.kinds import BETWEEN_TOKENS_MS, FIRST_TOKEN_MS, LATENCY_MS, STEP_TOKENS
from api_shim.telemetry.step_tally import MOST_KEPT, StepTally, merged
from sim.node.gaps import stretch
from tests.support.live import GPT_OSS, LLAMA, MS, MakeWire, Wire, chat, scenario
from traffic.scrapes.counted import count

CHAT = "/v1/chat/completions"
Samples = dict[str, float]


def scraped(text: str, model: str = LLAMA) -> Samples:
    """By name and what tells its samples apart beside the model."""
    found: Samples = {}
    family: Metric
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            if labels.pop("model_name", None) == model:
                if sample.name.startswith("vllm:"):
                    assert labels.pop("engine") == "0"
                told = ",".join(f"{name}={value}" for name, value in labels.items())
                found[sample.name.removeprefix("vllm:") + (f"{{{told}}}" if told else "")] = sample.value
    return found


def looked_at(wire: Wire, at_ms: list[int], *bodies: dict[str, object]) -> list[Samples]:
    """What `/metrics` says at these times, of requests that all come at 0."""

    async def story() -> list[Samples]:
        asked = [asyncio.ensure_future(wire.send(CHAT, body)) for body in bodies]
        seen, now = [], 0
        for at in at_ms:
            await asyncio.sleep((at - now) / 1000)
            now = at
            seen.append(scraped((await wire.send("/metrics")).body.decode()))
        await asyncio.gather(*asked)
        return seen

    return wire.platform.run(story())


def test_steps_and_gaps_are_counted_while_an_answer_is_decoded(wire: Wire) -> None:
    """11 ms of prompt in a step of 11 tokens, then a step of one token each 10 ms: 48 of them by 500 ms."""
    (seen,) = looked_at(wire, [500], chat(max_tokens=100, ignore_eos=True))
    assert seen["iteration_tokens_total_count"] == 49
    assert seen["iteration_tokens_total_sum"] == 11 + 48
    assert seen["iteration_tokens_total_bucket{le=1.0}"] == 48
    assert seen["iteration_tokens_total_bucket{le=8.0}"] == 48
    assert seen["iteration_tokens_total_bucket{le=16.0}"] == 49
    assert seen["inter_token_latency_seconds_count"] == 48
    assert seen["inter_token_latency_seconds_sum"] == pytest.approx(0.48)
    assert seen["inter_token_latency_seconds_bucket{le=0.01}"] == 48
    before = [name for name in seen if "inter_token_latency_seconds_bucket{le=0.00" in name]
    assert len(before) > 8, "finer than vLLM's first edge"
    assert not any(seen[name] for name in before)


def test_who_waits_is_told_by_why(make: MakeWire) -> None:
    """One node; its only place is taken by the first of three, and the others lack it."""
    wire = make(scenario(llama={"nodes": 1}))
    (seen,) = looked_at(wire, [50], *[chat(max_tokens=10, ignore_eos=True)] * 3)
    assert seen["num_requests_running"] == 1
    assert seen["num_requests_waiting"] == 2
    assert seen["num_requests_waiting_by_reason{reason=capacity}"] == 2
    assert seen["num_requests_waiting_by_reason{reason=deferred}"] == 0


def test_fixed_work_before_the_batch_defers(make: MakeWire) -> None:
    wire = make(scenario(llama={"nodes": 1, "hardware": OVERHEAD}))
    (before, after) = looked_at(wire, [50, 150], *[chat(max_tokens=10, ignore_eos=True)] * 2)
    assert before["num_requests_waiting_by_reason{reason=deferred}"] == 2
    assert before["num_requests_waiting_by_reason{reason=capacity}"] == 0
    assert (before["num_requests_running"], after["num_requests_running"]) == (0, 1)
    assert after["num_requests_waiting_by_reason{reason=capacity}"] == 1


OVERHEAD = {
    "kind": "hardwired_asic",
    "decode_step_ms": 10.0,
    "prefill_ms_per_token": 1.0,
    "kv_pool_tokens": 2000,
    "request_overhead_ms": 100.0,
    "overhead_holds_slot": False,
}


def test_routers_find_the_size_of_a_nodes_cache(make: MakeWire) -> None:
    batching = {"block_size": 16, "enable_prefix_caching": True}
    (seen,) = looked_at(make(scenario(llama={"batching": batching})), [1])
    (name,) = [name for name in seen if name.startswith("cache_config_info")]
    assert name == "cache_config_info{block_size=16,enable_prefix_caching=True,num_gpu_blocks=125}"
    assert seen[name] == 1


def test_prompts_are_looked_up_when_they_are_scheduled(make: MakeWire) -> None:
    """A node's second prompt waits for the first to end, and is looked up then, before it is answered."""
    batching = {"block_size": 4, "enable_prefix_caching": True}
    wire = make(scenario(llama={"nodes": 1, "batching": batching}))
    body = chat(max_tokens=10, ignore_eos=True)
    first, second, over = looked_at(wire, [50, 102, 400], body, body)
    assert (first["prefix_cache_queries_total"], first["prefix_cache_hits_total"]) == (11, 0)
    assert (second["prefix_cache_queries_total"], second["prefix_cache_hits_total"]) == (22, 8)
    assert second["prompt_tokens_total"] == 11, "of those answered"
    assert over["prompt_tokens_cached_total"] == 8
    assert over["request_prefill_kv_computed_tokens_sum"] == 11 + 3


def test_requests_that_lost_their_blocks_are_counted_by_how_often(make: MakeWire) -> None:
    """Two of 11 + 20 tokens in 50 blocks of a token each: the second loses its own, and comes back."""
    asic = OVERHEAD | {"kv_pool_tokens": 50, "request_overhead_ms": 0.0, "max_concurrent_sequences": 2}
    wire = make(scenario(llama={"nodes": 1, "hardware": asic, "context_tokens": 50}))
    body = chat(max_tokens=20, ignore_eos=True)
    (seen,) = looked_at(wire, [2000], body, body)
    assert seen["num_preemptions_total"] >= 1
    assert seen["request_num_preemptions_sum"] == seen["num_preemptions_total"]
    assert seen["request_num_preemptions_bucket{le=0.0}"] == 1
    assert seen["request_num_preemptions_count"] == 2


@pytest.mark.parametrize(
    ("name", "edges_ms"),
    [
        ("time_to_first_token_seconds", FIRST_TOKEN_MS),
        ("inter_token_latency_seconds", BETWEEN_TOKENS_MS),
        ("request_time_per_output_token_seconds", BETWEEN_TOKENS_MS),
        ("e2e_request_latency_seconds", LATENCY_MS),
        ("request_queue_time_seconds", LATENCY_MS),
    ],
)
def test_a_dashboard_made_for_vllm_finds_its_edges(wire: Wire, name: str, edges_ms: tuple[int, ...]) -> None:
    seen = scraped(wire.ask("/metrics").body.decode())
    assert {f"{name}_bucket{{le={ms / 1000}}}" for ms in edges_ms} <= seen.keys()
    assert {f"iteration_tokens_total_bucket{{le={n:.1f}}}" for n in STEP_TOKENS} <= seen.keys()


def test_models_are_told_apart(wire: Wire) -> None:
    assert wire.ask(body=chat(max_tokens=5)).status == 200
    text = wire.ask("/metrics").body.decode()
    assert scraped(text)["iteration_tokens_total_count"] == 5
    assert scraped(text, GPT_OSS)["iteration_tokens_total_count"] == 0


def test_what_is_kept_to_be_counted_later_is_counted_when_it_is_much() -> None:
    tally = StepTally()
    for n in range(1, MOST_KEPT + 2):
        tally.stepped(2, n)
        tally.gaps(stretch(0, 1, n * MS, 0, 3))
    assert max(len(tally._rows), len(tally._steps)) <= 2
    histograms = merged([tally, StepTally()], [])
    steps, gaps = histograms["iteration_tokens_total"], histograms["inter_token_latency_seconds"]
    assert (steps.total, gaps.total) == (2 * (MOST_KEPT + 1), 3 * (MOST_KEPT + 1))
    assert gaps.sum // 3 == steps.sum // 2 * MS == (MOST_KEPT + 1) * (MOST_KEPT + 2) // 2 * MS


bounds = st.sets(st.integers(1, 400), min_size=1, max_size=12).map(lambda edges: tuple(sorted(edges)))


@settings(max_examples=60, deadline=None)
@given(bounds, st.integers(1, 300), st.integers(0, 20), st.integers(1, 30), st.integers(1, 4))
def test_a_stretch_fills_the_buckets_that_its_steps_would_one_by_one(
    edges: tuple[int, ...], first: int, slope: int, steps: int, each: int
) -> None:
    at_once, one_by_one, merged = Histogram(edges), Histogram(edges), Histogram(edges)
    at_once.observe_steps(first, slope, steps, each)
    for step in range(steps):
        for _ in range(each):
            one_by_one.observe(first + slope * step)
    merged.merge(at_once)
    of: Callable[[Histogram], tuple[object, ...]] = lambda h: (h.counts, h.total, h.sum, h.max)  # noqa: E731
    assert of(at_once) == of(one_by_one) == of(merged)


def test_what_a_server_counted_is_a_source_of_a_scenario(wire: Wire, tmp_path: Path) -> None:
    """Three chats of 11 tokens in and 3 out, counted by our own server as vLLM's does."""
    for _ in range(3):
        wire.ask(CHAT, chat(max_tokens=3, ignore_eos=True))
    path = tmp_path / "metrics.txt"
    path.write_bytes(wire.ask("/metrics").body)
    counted = count([path], None, 10.0, LLAMA)
    assert counted.windows == ((10.0, 3.0),)
    assert (counted.output.requests, counted.output.tokens) == (3, 9)
    assert (counted.prompt.requests, counted.prompt.tokens) == (3, 3 * 11)
