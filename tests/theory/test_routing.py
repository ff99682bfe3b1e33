"""What routing makes of many single servers has closed forms.

Each node serves one request at a time in steps of 5 ms, a geometric number of them, 200 on average: service
is exponential with a mean of 1 s but for a share of 1/200, E[S^2] = (0.005 s)^2 (2 - p) / p^2 = 1.995 s^2.
"""

from pathlib import Path
from typing import Any

import pytest

from sim.run.world import World
from sim.time.timeline import Alarm
from tests.support.study import assert_agrees, plan_of, summary_of

pytestmark = pytest.mark.theory

REPLICATIONS = 10
SERVERS = """
name: servers
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      decode_step_ms: 5
      pipeline_depth: 64
      max_concurrent_sequences: 1
      request_overhead_ms: 0
      kv_pool_tokens: 1000000
    context_tokens: 100000
    nodes: 4
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
run: {horizon_s: 1000, warm_up_s: 50, replications: 10, seed: 1917}
"""


def mean_e2e(folder: Path, *settings: str) -> dict[str, float]:
    (group,) = summary_of(SERVERS, folder, settings)["variants"]["base"]["groups"]
    found: dict[str, float] = group["metrics"]["e2e"]["mean"]
    return found


def test_splitting_at_random_leaves_each_node_a_queue_of_its_own(tmp_path: Path) -> None:
    # Part of a Poisson stream is one: four M/G/1 at load 0.5, 1 + 0.5 x 1.995 / (2 x 0.5) = 1.9975 s.
    found = mean_e2e(tmp_path, "models.m.routing=random", "traffic.callers.arrivals.rate_per_s=2")
    assert_agrees(found, 1.9975, REPLICATIONS, precision=0.06)


def test_one_queue_for_all_nodes_is_erlangs(tmp_path: Path) -> None:
    # M/M/4 at load 0.7: 0.4287 wait (Erlang C), E[T] = 1 + 0.4287 / (4 - 2.8) = 1.3572 s.
    found = mean_e2e(tmp_path, "models.m.routing=central_queue")
    assert_agrees(found, 1.3572, REPLICATIONS, precision=0.06)


def test_weights_split_the_stream(tmp_path: Path) -> None:
    # 3 : 1 of 0.6/s: loads 0.45 and 0.15 wait 0.45 x 1.995 / 1.1 = 0.816136 s and 0.15 x 1.995 / 1.7 =
    # 0.176029 s, so the mean is 1 + 0.75 x 0.816136 + 0.25 x 0.176029 = 1.656109 s.
    found = mean_e2e(
        tmp_path,
        "models.m.nodes=2",
        "models.m.routing=weighted",
        "models.m.node_weights={0: 3}",
        "traffic.callers.arrivals.rate_per_s=0.6",
        "run.horizon_s=4000",
    )
    assert_agrees(found, 1.656109, REPLICATIONS, precision=0.06)


def test_of_two_random_nodes_the_shorter_queue_makes_tails_doubly_exponential(tmp_path: Path) -> None:
    # Of very many nodes at load r a share r^(2^k - 1) has k requests or more (Mitzenmacher 1996, Vvedenskaya
    # et al. 1996): at 0.8 it is 0.8, 0.512, 0.2097, 0.0352; one that is chosen at random has k or more with
    # 0.8^k: 0.64, 0.512, 0.41. The number in the system varies by more than the theory's error.
    nodes, load = 200, 0.8
    settings = [
        f"models.m.nodes={nodes}",
        "models.m.routing=power_of_two",
        f"traffic.callers.arrivals.rate_per_s={nodes * load}",
        "run.horizon_s=120",
    ]
    world = World(plan_of(SERVERS, tmp_path, settings).base, 3, 0, engine="fast")
    inside: list[Any] = []
    pool = world.platform.pools["m"]
    for second in range(20, 120):
        Alarm(world.env, second * 10**12, lambda _: inside.extend(node.outstanding for node in pool.nodes))
    world.run_to(120 * 10**12)
    looks = 100 * nodes
    for least, share, within in ((1, 0.8, 0.02), (2, 0.512, 0.04), (3, 0.2097, 0.04), (4, 0.0352, 0.02)):
        found = sum(count >= least for count in inside) / looks
        assert abs(found - share) < within, (least, found)
