"""Whatever breaks, and whenever: every request ends once, everything comes back, and the kernels agree."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.run.world import World
from sim.scenario.schema import Scenario
from tests.laws.test_worlds_agree import HORIZON_MS, MS, Ask, Caller, asks, assert_worlds_agree, scenarios

WHOLE = 100 * HORIZON_MS
"""When everything is over, in ms."""


def crash(
    model: str, node: int, at: int, lasts: int, requests: tuple[str, str], restart: int
) -> dict[str, Any]:
    ends = {} if lasts == 0 else {"for_s": lasts / 1000, "restart_s": restart / 1000}
    kind = {"kind": "node_crash", "requests": requests[0], "kv": requests[1]}
    return {**kind, "model": model, "nodes": [node], "at_s": at / 1000, **ends}


def slow(model: str, node: int, at: int, lasts: int, factor: float) -> dict[str, Any]:
    when = {"at_s": at / 1000, "for_s": lasts / 1000}
    return {"kind": "slow_node", "model": model, "nodes": [node], "factor": factor, **when}


names = st.sampled_from(["a", "b"])
crashes = st.builds(
    crash,
    names,
    st.integers(0, 2),
    st.integers(0, HORIZON_MS - 1),
    st.sampled_from([0, 1, 3, 20, 60]),
    st.sampled_from([("fail", "lost"), ("requeue", "lost"), ("requeue", "kept")]),
    st.sampled_from([0, 2]),
)
slows = st.builds(
    slow,
    names,
    st.integers(0, 2),
    st.integers(0, HORIZON_MS - 1),
    st.sampled_from([1, 3, 20]),
    st.sampled_from([1.5, 2.0, 7.0]),
)


def network(kind: dict[str, Any], at: int, lasts: int) -> dict[str, Any]:
    return {**kind, "at_s": at / 1000, "for_s": lasts / 1000}


networks = st.builds(
    network,
    st.sampled_from(
        [
            {"kind": "hop_outage", "hop": "custom"},
            {"kind": "hop_outage", "hop": "custom", "connections": "reset"},
            {"kind": "region_cut", "place": "here", "connections": "reset"},
            {"kind": "packet_loss", "hop": "custom", "loss_per_segment": 0.1},
        ]
    ),
    st.integers(0, HORIZON_MS - 1),
    st.sampled_from([1, 5, 60]),
)


scalings = st.none() | st.builds(
    lambda kind, start_up, cool_down, extra: (
        {**kind, "start_up_s": start_up, "every_s": 0.01, "max_nodes": extra}
        | ({} if kind["kind"] == "schedule" else {"cool_down_s": cool_down})
    ),
    st.sampled_from(
        [
            {"kind": "queue", "out_above": 1.0},
            {"kind": "utilisation", "out_above": 0.5, "in_below": 0.2},
            {"kind": "schedule", "steps": [{"at_s": 0.02, "nodes": 3}, {"at_s": 0.06, "nodes": 1}]},
        ]
    ),
    st.sampled_from([0.0, 0.003, 0.02]),
    st.sampled_from([0.0, 0.02]),
    st.integers(3, 4),
)


def scaled(scenario: dict[str, Any], scaling: dict[str, Any] | None) -> dict[str, Any]:
    """Of model `a`, where its nodes may come and go."""
    model = scenario["models"]["a"]
    if scaling is None or "disaggregated" in model:
        return scenario
    return scenario | {"models": {**scenario["models"], "a": {**model, "scaling": scaling}}}


def with_faults(scenario: dict[str, Any], faults: list[dict[str, Any]]) -> dict[str, Any]:
    """One fault of each node that there is; nodes that divide the work do not crash."""
    models = scenario["models"]
    kept: dict[tuple[str, int], dict[str, Any]] = {}
    for fault in faults:
        if "model" not in fault:
            kept.setdefault((fault.get("hop", fault["kind"]), -1), fault)
            continue
        model, node = fault["model"], fault["nodes"][0]
        splits = "disaggregated" in models[model] and fault["kind"] == "node_crash"
        if node < models[model]["nodes"] and not splits:
            kept.setdefault((model, node), fault)
    return scenario | {"faults": {f"fault{i}": fault for i, fault in enumerate(kept.values())}}


@settings(max_examples=25, deadline=None)
@given(
    scenarios,
    st.lists(asks, max_size=6),
    st.lists(crashes | slows | networks, min_size=1, max_size=5),
    scalings,
)
def test_kernels_agree_and_every_request_ends_once_and_every_block_and_place_comes_back(
    scenario: dict[str, Any],
    callers: list[Ask],
    faults: list[dict[str, Any]],
    scaling: dict[str, Any] | None,
) -> None:
    broken = scaled(with_faults(scenario, faults), scaling)
    assert_worlds_agree(broken, callers)
    world = World(Scenario.model_validate(broken), 1, 0, engine="fast")
    for ask in callers:
        Caller(world, ask)
    world.run_to(WHOLE * MS)
    batches = any(model["batching"].get("admission") == "static" for model in scenario["models"].values())
    for_good = any("for_s" not in fault for fault in broken["faults"].values())
    if not batches and not for_good:  # else the last few may wait for ever
        assert_empty(world)
    asked = world.numbers.next()
    numbers = world.tables("base").requests["number"].to_pylist()
    visits = world.traffic.visits.records.arrays("number")["number"].tolist()
    assert sorted([*numbers, *visits]) == list(range(asked))


def assert_empty(world: World) -> None:
    assert not world.platform.inside
    assert not world.traffic.visits.inside
    for name, pool in world.platform.pools.items():
        for node in pool.nodes:
            assert node.outstanding == 0
            assert node.kernel.free_blocks == world.kv_blocks[name]
            assert node._slots is None or node._slots_free == node._slots
            assert node._limits is None or not node._limits.reqs + node._limits.tokens
    for admission in world.platform.gateway.admissions.values():
        assert admission.flow is None or not admission.flow.inside + admission.flow.waiting
