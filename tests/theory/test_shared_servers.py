"""A node that batches shares a processor or serves in bulk; its slots are a pool; hops in series a tandem."""

from pathlib import Path

import pytest

from tests.support.study import assert_agrees, summary_of

pytestmark = pytest.mark.theory

REPLICATIONS = 20

SHARED = """
name: shared
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: gpu_iteration
      t_fixed_ms: 0
      t_host_ms: 0
      t_weights_ms: 0
      ms_per_token: 0
      ms_per_attn_pair: 0
      ms_per_kv_token: 0
      ms_per_sequence: 5
      p_norm: 1
      prefill_tile_tokens: 0
      mixed_kv_multiplier: 1
      kv_pool_tokens: 1000000
    context_tokens: 100000
    batching: {max_num_seqs: 4000, max_num_batched_tokens: 4096}
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  callers:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 0.6}
    lengths:
      prompt: {kind: fixed, tokens: 1}
      output: {kind: fixed, tokens: 200}
run: {horizon_s: 2400, warm_up_s: 100, replications: 20, seed: 1971}
"""


@pytest.mark.parametrize("output", ["{kind: fixed, tokens: 200}", "{kind: geometric, mean: 200}"])
def test_sharing_a_processor_is_insensitive_to_the_spread_of_the_work(tmp_path: Path, output: str) -> None:
    # A step gives each of n sequences a token and lasts n x 5 ms: processor sharing in slices of a token.
    # E[S] = 200 x 5 ms = 1 s, load 0.6: E[T] = 1 / 0.4 = 2.5 s for any distribution (Sakata et al. 1971).
    # A slice is 1/200 of a job, so the discrete server differs from the limit by about that share.
    (group,) = summary_of(SHARED, tmp_path, [f"traffic.callers.lengths.output={output}"])["variants"]["base"][
        "groups"
    ]
    assert_agrees(group["metrics"]["e2e"]["mean"], 2.5, REPLICATIONS, precision=0.065)


BATCH_OF_ALL = [
    "models.m.hardware.t_fixed_ms=20",
    "models.m.hardware.ms_per_sequence=10",
    "traffic.callers.lengths.output={kind: fixed, tokens: 1}",
    "run.warm_up_s=10",
]


@pytest.mark.parametrize(
    ("rate", "horizon_s", "exact_s", "bound_s"),
    [(30, 60, 0.050798, 0.05373), (60, 100, 0.094513, 0.09529), (85, 140, 0.251329, 0.25135)],
)
def test_one_token_answers_are_the_bulk_server_that_takes_all_who_wait(
    tmp_path: Path, rate: float, horizon_s: float, exact_s: float, bound_s: float
) -> None:
    # A step of b requests lasts 10 ms x b + 20 ms. The exact mean comes from the embedded chain of batch
    # sizes, and lies below the closed bound of Inoue 2021 (Performance Evaluation 147:102183).
    settings = [*BATCH_OF_ALL, f"traffic.callers.arrivals.rate_per_s={rate}", f"run.horizon_s={horizon_s}"]
    (group,) = summary_of(SHARED, tmp_path, settings)["variants"]["base"]["groups"]
    mean = group["metrics"]["e2e"]["mean"]
    assert_agrees(mean, exact_s, REPLICATIONS, precision=0.045)
    assert mean["low"] < bound_s


SLOTS = """
name: slots
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      decode_step_ms: 5
      pipeline_depth: 64
      max_concurrent_sequences: 4
      request_overhead_ms: 0
      kv_pool_tokens: 1000000
    context_tokens: 100000
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  callers:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 2.8}
    lengths:
      prompt: {kind: fixed, tokens: 1}
      output: {kind: geometric, mean: 200}
run: {horizon_s: 1200, warm_up_s: 100, replications: 20, seed: 1917}
"""


def test_four_slots_are_a_pool_of_four_servers(tmp_path: Path) -> None:
    # Steps last 5 ms whatever they hold; an answer takes a geometric number of them, 1 s on average: M/M/4
    # at load 0.7 in slices of 1/200. Erlang C: 0.4287 of the requests wait, so E[T] = 1 + 0.4287/(4 - 2.8)
    # = 1.3572 s. Entering at the next step boundary adds 2.5 ms.
    (group,) = summary_of(SLOTS, tmp_path)["variants"]["base"]["groups"]
    assert_agrees(group["metrics"]["e2e"]["mean"], 1.3572 + 0.0025, REPLICATIONS, precision=0.03)


SERIES = """
name: series
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      prefill_ms_per_token: 8
      decode_step_ms: 5
      request_overhead_ms: 0
      kv_pool_tokens: 100000
      max_concurrent_sequences: 1
    context_tokens: 100000
gateway: {overhead_ms: 100, concurrency: 1}
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  callers:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 7}
    lengths:
      prompt: {kind: fixed, tokens: 10}
      output: {kind: fixed, tokens: 1}
run: {horizon_s: 500, warm_up_s: 20, replications: 20, seed: 1965}
"""


def test_behind_a_slower_fixed_server_nobody_waits(tmp_path: Path) -> None:
    # The gateway lets one pass every 100 ms at most, the node needs 80 ms.
    # M/D/1 at the gateway: 0.1 + 7 x 0.01 / (2 x 0.3) = 0.2166667 s, and 0.08 s behind it.
    (group,) = summary_of(SERIES, tmp_path)["variants"]["base"]["groups"]
    assert group["metrics"]["queue"]["p99"]["value"] == 0
    assert_agrees(group["metrics"]["e2e"]["mean"], 0.2966667, REPLICATIONS, precision=0.045)


def test_fixed_servers_in_series_wait_as_long_in_either_order(tmp_path: Path) -> None:
    # Friedman 1965, Avi-Itzhak 1965: the waiting of the whole tandem is that of its slowest server alone, so
    # with 80 ms first and 100 ms second the mean is the same 0.2966667 s.
    settings = ["gateway.overhead_ms=80", "models.m.hardware.prefill_ms_per_token=10"]
    (group,) = summary_of(SERIES, tmp_path, settings)["variants"]["base"]["groups"]
    assert group["metrics"]["queue"]["mean"]["value"] > 0.05
    assert_agrees(group["metrics"]["e2e"]["mean"], 0.2966667, REPLICATIONS, precision=0.045)


def test_calls_in_a_row_are_a_network_of_product_form(tmp_path: Path) -> None:
    # Each user request comes back to the one server four times. With (nearly) exponential service of 0.2 s
    # the network has product form (Jackson 1957; Baskett et al. 1975): the server sees 4 x 0.75 = 3 visits a
    # second, a visit takes 1 / (5 - 3) = 0.5 s, the user request 2 s. Service is geometric in steps of 1 ms.
    settings = [
        "gateway={overhead_ms: 0}",
        "apps={agent: {place: here, model: m, calls: 4}}",
        (
            "traffic.callers={place: here, app: agent, arrivals: {kind: poisson, rate_per_s: 0.75},"
            " lengths: {prompt: {kind: fixed, tokens: 1}, output: {kind: geometric, mean: 200}}}"
        ),
        "models.m.hardware.prefill_ms_per_token=1",
        "models.m.hardware.decode_step_ms=1",
        "run.horizon_s=1000",
    ]
    (group,) = summary_of(SERIES, tmp_path, settings)["variants"]["base"]["groups"]
    assert_agrees(group["metrics"]["felt"]["mean"], 2.0, REPLICATIONS, precision=0.065)
