"""Nothing that a request costs grows with how many nodes, places, keys, ... there are, nor with the run.

What is asserted are calls and executed lines of our own functions: that sees loops in Python, and none inside
C. They are counted once everything has been met: to make a node, a connection or a limiter costs once.
"""

import sys
from collections.abc import Callable
from copy import deepcopy
from types import FrameType
from typing import Any, NamedTuple

import pytest

from sim.run.world import World
from sim.scenario.schema import Scenario
from sim.time.units import PS_PER_S
from tests.benchmarks.test_policies import OURS
from tests.support.speeds import Speeds

Spec = dict[str, Any]
SIZES = (1, 10, 1000)
COUNTED_S = 3
LENGTHS = {"kind": "lognormal", "sigma": 0.5, "high": 4000}
GPU: Spec = {"hardware": {"preset": "h100_vllm"}, "batching": {"enable_prefix_caching": True}}
LIMITS: Spec = {"requests_per_minute": 100_000, "tokens_per_minute": 10**9, "scope": "key"}
PREFIX: Spec = {"kind": "groups", "tokens": {"kind": "fixed", "tokens": 256}}
HOME: Spec = {"kind": "internet", "access": "cable", "near": "aws:us-east-1"}


class Work(NamedTuple):
    """For each request."""

    calls: float
    lines: float


def work(spec: Spec, met_s: int) -> Work:
    """From `met_s` on."""
    world = World(Scenario.model_validate(spec), 1, 0, engine="fast")
    world.run_to(met_s * PS_PER_S)
    before = world.numbers.next()
    calls = lines = 0

    def line(_frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        nonlocal lines
        lines += event == "line"
        return line

    def call(frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        nonlocal calls
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        calls += 1
        return line

    sys.settrace(call)
    try:
        world.run_to((met_s + COUNTED_S) * PS_PER_S)
    finally:
        sys.settrace(None)
    requests = world.numbers.next() - before - 1
    return Work(calls / requests, lines / requests)


def base(rate_per_s: float = 125, **model: Any) -> Spec:
    """Eight chips at 70 % load."""
    hardware = {"kind": "hardwired_asic", "preset": "hc1", "kv_pool_tokens": 25_000}
    llama = {"id": "m", "llm": "llama3.1-8b", "hardware": hardware, "nodes": 8, "context_tokens": 25_000}
    return {
        "name": "flat",
        "models": {"llama": llama | model},
        "gateway": {"overhead_ms": 0.5, "concurrency": 64},
        "network": {"places": {"here": {"kind": "region", "region": "aws:us-east-1"}}},
        "traffic": {
            "chat": {
                "place": "here",
                "model": "llama",
                "arrivals": {"kind": "poisson", "rate_per_s": rate_per_s},
                "lengths": {"prompt": LENGTHS | {"median": 512}, "output": LENGTHS | {"median": 128}},
            }
        },
        "run": {"horizon_s": 2000, "replications": 1},
    }


def chat(spec: Spec, **settings: Any) -> Spec:
    spec["traffic"]["chat"] |= settings
    return spec


def divided(spec: Spec, count: int, change: Callable[[Spec, Spec, str], object]) -> Spec:
    """The traffic of one source as that of `count`, of each of which `change` makes something else."""
    whole = spec["traffic"].pop("chat")
    whole["arrivals"]["rate_per_s"] /= count
    for number in range(count):
        source = deepcopy(whole)
        change(spec, source, f"x{number}")
        spec["traffic"][f"x{number}"] = source
    return spec


def nodes(routing: str, **settings: Any) -> Callable[[int], Spec]:
    return lambda count: base(routing=routing, **settings, nodes=8 * count)


def disaggregated(count: int) -> Spec:
    split = {"prefill_nodes": 4 * count}
    return base(nodes=8 * count, disaggregated=split, hardware=GPU["hardware"])


def places(count: int) -> Spec:
    def change(spec: Spec, source: Spec, name: str) -> None:
        spec["network"]["places"][name] = HOME
        source["place"] = name

    return divided(base(), count, change)


def models(count: int) -> Spec:
    """One node each, and for one alone as many as carry its traffic."""
    spec = base()
    llama = spec["models"].pop("llama")

    def change(spec: Spec, source: Spec, name: str) -> None:
        spec["models"][name] = llama | {"id": name, "nodes": max(1, 8 // count)}
        source["model"] = name

    return divided(spec, count, change)


def apps(count: int) -> Spec:
    def change(spec: Spec, source: Spec, name: str) -> None:
        spec.setdefault("apps", {})[name] = {"place": "here", "model": "llama", "calls": 4}
        del source["model"]
        source["app"] = name

    return divided(base(rate_per_s=125 / 4), count, change)


def each(**of_source: Callable[[str], object]) -> Callable[[Spec, Spec, str], object]:
    return lambda _spec, source, name: source.update({key: value(name) for key, value in of_source.items()})


def keys(algorithm: str, **limits: Any) -> Callable[[int], Spec]:
    told = LIMITS | {"algorithm": algorithm} | limits
    return lambda count: chat(base(limits=told), clients={"count": count})


def closed_loop(count: int) -> Spec:
    """Ten users who think, up to ten thousand who think as much longer."""
    callers = {"kind": "closed_loop", "think": {"kind": "exponential", "mean": count / 12.5}}
    arrivals = {"kind": "ramp", "users": 10 * count, "over_s": 0.08 * count}
    return chat(base(), callers=callers, arrivals=arrivals)


def number(name: str) -> int:
    return int(name.removeprefix("x"))


ROWS: dict[str, Callable[[int], Spec]] = {
    **{
        f"nodes, {routing}": nodes(routing)
        for routing in ("least_outstanding", "least_kv", "round_robin", "random", "power_of_two")
    },
    "nodes, weighted": nodes("weighted", node_weights={0: 2}),
    "nodes, central_queue": nodes("central_queue"),
    "nodes, prefix_affinity": lambda count: chat(
        nodes("prefix_affinity", **GPU)(count), prefix=PREFIX | {"groups": 8}
    ),
    "nodes, late signals": nodes("least_outstanding", load_signals={"interval_ms": 50, "delay_ms": 20}),
    "nodes, late KV signals": nodes("least_kv", load_signals={"interval_ms": 50, "delay_ms": 20}),
    "nodes, prefill and decode apart": disaggregated,
    "places": places,
    "sources": lambda count: divided(base(), count, each()),
    "tenants": lambda count: divided(base(), count, each(tenant=str)),
    "apps": apps,
    "models": models,
    "keys, token_bucket": keys("token_bucket"),
    "keys, sliding_window": keys("sliding_window"),
    "keys, fixed_window": keys("fixed_window"),
    "keys, quantised": keys("quantised", quantum_s=1),
    "keys that take turns at a node": lambda count: chat(
        base(180, batching={"queue": "fair"}), clients={"count": count}
    ),
    "flows that take turns at the gateway": lambda count: chat(
        base(180, flow_control={"max_concurrency": 1, "fairness": "round_robin"}), clients={"count": count}
    ),
    "priorities at a node": lambda count: divided(
        base(180, batching={"queue": "priority"}), count, each(priority=number)
    ),
    "priorities at the gateway": lambda count: divided(
        base(180, flow_control={"max_concurrency": 1}), count, each(priority=number)
    ),
    "connections": lambda count: chat(base(), users=count),
    "lines of homes": lambda count: chat(base(), users=count) | {"network": {"places": {"here": HOME}}},
    "prefixes": lambda count: chat(base(**GPU, nodes=4), prefix=PREFIX | {"groups": 8 * count}),
    "users who wait for answers": closed_loop,
}

MET_S = {"nodes": 80, "apps": 80, "users": 500}
"""By the first word of a row: users must have come and asked so often that as many end as begin."""
MOST = {"nodes, prefill and decode apart": 1.2}
"""Times the cost among the fewest, where that is not 1.1: alone at its nodes a request shares no step."""


@pytest.mark.parametrize("name", ROWS)
def test_a_request_costs_the_same_among_ten_and_a_thousand_times_as_many(speeds: Speeds, name: str) -> None:
    met_s = (10, 10, MET_S.get(name.partition(",")[0].partition(" ")[0], 40))
    few, more, many = (work(ROWS[name](size), at_s) for size, at_s in zip(SIZES, met_s, strict=True))
    speeds.note(
        f"calls (lines) at 1, 10, 1,000: {name}",
        "  ".join(f"{found.calls:6.1f} ({found.lines:6.0f})" for found in (few, more, many)),
    )
    most = MOST.get(name, 1.1)
    for found in (more, many):
        assert found.calls <= most * few.calls
        assert found.lines <= most * few.lines


def test_a_request_costs_the_same_however_long_the_run_is(speeds: Speeds) -> None:
    few, more, many = (work(base(), seconds) for seconds in (1, 10, 400))
    speeds.note(
        "calls (lines) after 1, 10, 400 s",
        "  ".join(f"{found.calls:6.1f} ({found.lines:6.0f})" for found in (few, more, many)),
    )
    for found in (more, many):
        assert found.calls <= 1.05 * few.calls
        assert found.lines <= 1.05 * few.lines
