"""What each part of a scenario adds to the cost of a request. A part that is absent costs no event at all."""

from functools import partial
from pathlib import Path

import pytest

from tests.benchmarks.scenarios import scenario
from tests.benchmarks.test_pipeline import events_per_request, run
from tests.support.speeds import Speeds

BARE = """
name: bare
models:
  llama:
    id: m
    llm: llama3.1-8b
    hardware: {preset: hc1, kv_pool_tokens: 25000, request_overhead_ms: 0, prefill_fixed_ms: 0}
    nodes: 8
    context_tokens: 25000
network:
  site: aws:us-east-1
  places:
    here: {kind: custom, rtt_ms: 0}
    aws: {kind: region, region: "aws:us-east-1"}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 120}
    lengths:
      prompt: {kind: fixed, tokens: 512}
      output: {kind: fixed, tokens: 128}
run: {horizon_s: 80, replications: 1}
"""

NETWORK = "traffic.chat.place=aws"
GATEWAY = "gateway={overhead_ms: 0.5, concurrency: 64}"
LIMITS = "models.llama.limits={requests_per_minute: 100000, tokens_per_minute: 1000000000}"
TIMEOUT = "traffic.chat.timeout_s=30"
OVERHEAD = "models.llama.hardware.request_overhead_ms=3"
CACHE = "models.llama.batching.enable_prefix_caching=true"
PREFIXES = "traffic.chat.prefix={kind: groups, groups: 8, tokens: {kind: fixed, tokens: 256}}"

PARTS = [
    # name, settings, events per request without the stale ones that arrivals leave behind
    ("bare: source, node, records", (), 4.2),
    ("+ node overhead", (OVERHEAD,), 5.2),
    ("+ network", (NETWORK,), 5.2),
    ("+ gateway service", (GATEWAY,), 5.2),
    ("+ rate limits", (LIMITS,), 4.2),
    ("+ deadline", (TIMEOUT,), 5.2),
    ("+ queue by priority", ("models.llama.batching.queue=priority",), 4.2),
    ("+ those who push out", ("models.llama.batching={queue: priority, preempt: true}",), 4.2),
    ("+ shortest first", ("models.llama.batching.queue=shortest_first",), 4.2),
    ("+ fair queue", ("models.llama.batching.queue=fair",), 4.2),
    ("+ whole prefill", ("models.llama.batching.prefill=whole",), 4.2),
    ("+ prefix cache, with prefixes of 256 tokens", (CACHE, PREFIXES), 4.2),
    ("+ dynamic batches", ("models.llama.batching={admission: dynamic, max_queue_delay_ms: 0}",), 4.2),
    ("+ clients that never retry, told apart all the same", ("traffic.chat.retry={like: none}",), 4.2),
    ("+ clients like openai's", ("traffic.chat.retry={like: openai-python}",), 4.2),
    ("+ hedges after 10 s", ("traffic.chat.hedge={after_ms: 10000}",), 7.2),
    ("+ everything above", (OVERHEAD, NETWORK, GATEWAY, LIMITS, TIMEOUT), 8.2),
]


@pytest.mark.parametrize(("name", "settings", "most"), PARTS, ids=[part[0] for part in PARTS])
def test_a_part_costs_its_own_events_and_no_others(
    speeds: Speeds, tmp_path: Path, name: str, settings: tuple[str, ...], most: float
) -> None:
    spec = scenario(tmp_path, BARE, *settings)
    per_request = events_per_request(spec)
    assert most - 1.2 <= per_request <= most
    requests = run(spec).numbers.next()
    speeds.measure(f"{name} ({per_request:.2f} events)", requests, partial(run, spec), rounds=5)


def test_a_call_of_an_app_costs_its_request_and_one_event_for_the_apps_turn(
    speeds: Speeds, tmp_path: Path
) -> None:
    text = BARE.replace("    model: llama\n    arrivals", "    app: agent\n    arrivals")
    settings = (
        "apps={agent: {place: here, model: llama, calls: 10}}",
        "traffic.chat.arrivals.rate_per_s=12",
    )
    spec = scenario(tmp_path, text, *settings)
    events, requests = events_per_request(spec), run(spec).numbers.next()
    assert events <= 5.0  # user requests count as requests here, one in eleven
    speeds.measure(f"an app with 10 calls ({events:.2f} events)", requests, partial(run, spec), rounds=5)
