"""Whole worlds leave the same tables under either kernel, also where many things meet at one instant.

Every duration is a whole number of milliseconds and places are at no distance, so steps of several nodes end
together, and answers set off calls at the very instants at which other nodes are between two steps.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports.stored import whole
from reports.tables import RunTables
from sim.node.queue_orders import QUEUE_ORDERS
from sim.platform.flow_control import FAIRNESS, ORDERS
from sim.platform.rate_limit import Headroom, Refusal
from sim.platform.routing import ROUTING
from sim.platform.ticket import Ticket
from sim.run.world import World
from sim.scenario.schema import Scenario
from sim.time.timeline import ARRIVAL, FEEDBACK, Alarm
from traffic.request import Request

MS = 10**9
HORIZON_MS = 120


@dataclass(frozen=True)
class Ask:
    """One request from outside the sources, and when its caller gives up or hangs up, in ms."""

    at: int
    model: str
    prompt: int
    output: int
    samples: int
    stream: bool
    deadline: int | None
    leaves: int | None
    again: int
    """So many more of it follow, each when the one before has ended."""
    priority: int = 0
    key: str = "key"
    node: int | None = None


class Caller:
    """Asks, and asks again at the instant of the answer, as a coroutine of the shim would."""

    def __init__(self, world: World, ask: Ask) -> None:
        self._world, self._ask, self._again = world, ask, ask.again
        Alarm(world.env, ask.at * MS, self._submit)

    def _submit(self, _alarm: Alarm) -> None:
        ask, env = self._ask, self._world.env
        deadline_ps = None if ask.deadline is None else env.now + ask.deadline * MS
        request = Request(
            *(
                self._world.numbers.next(),
                ask.model,
                ask.prompt,
                ask.output,
                None,
                env.now,
                "here",
                "outside",
            ),
            *("project", ask.key, "outside", "tenant", ask.stream, ask.samples, deadline_ps, ask.priority),
            node=ask.node,
        )
        ticket = self._world.platform.submit(request, self)
        if ask.leaves is not None:
            Alarm(env, env.now + ask.leaves * MS, self._leave, ticket)

    def _leave(self, alarm: Alarm) -> None:
        ticket: Ticket = alarm.subject
        ticket.cancel()

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def first_token(self, at_ps: int) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None: ...

    def ended(self, at_ps: int, reason: str) -> None:
        del reason
        if self._again:
            self._again -= 1
            now_ps = self._world.env.now
            order = FEEDBACK if at_ps <= now_ps else ARRIVAL
            Alarm(self._world.env, max(at_ps, now_ps), self._submit, order=order)


def model(
    nodes: int,
    seqs: int,
    pool: int,
    hardware: dict[str, Any],
    batching: dict[str, Any] | None = None,
    *,
    caches: bool = False,
    routing: dict[str, Any] | None = None,
    flow: dict[str, Any] | None = None,
    splits: bool = False,
) -> dict[str, Any]:
    caches = caches or (routing or {}).get("routing") == "prefix_affinity"
    joins = (batching or {}).get("admission", "continuous") == "continuous"
    chip = {"kind": "hardwired_asic", "decode_step_ms": 2, "prefill_ms_per_token": 1, "kv_pool_tokens": pool}
    return {
        "id": "m",
        "llm": "llama3.1-8b",
        "hardware": chip | {"max_concurrent_sequences": seqs} | hardware,
        "nodes": nodes,
        "context_tokens": 20,
        "batching": {"block_size": 2, "enable_prefix_caching": caches, **(batching or {})},
        **(routing or {"routing": "round_robin"}),
        "flow_control": flow,
        **({"disaggregated": {"prefill_nodes": nodes - 1}} if splits and joins and nodes > 1 else {}),
    }


LATE = st.fixed_dictionaries(
    {"interval_ms": st.sampled_from([1.0, 2.0, 5.0]), "delay_ms": st.sampled_from([0.0, 2.0, 3.0])}
)
routings = st.one_of(
    st.just({"routing": "round_robin"}),
    st.sampled_from(sorted(set(ROUTING) - {"weighted", "prefix_affinity"})).map(
        lambda policy: {"routing": policy}
    ),
    st.just({"routing": "weighted", "node_weights": {0: 2.0}}),
    st.builds(
        lambda ahead: {"routing": "prefix_affinity", "affinity": {"most_ahead": ahead}}, st.integers(0, 3)
    ),
    st.builds(
        lambda policy, late: {"routing": policy, "load_signals": late},
        st.sampled_from(["least_outstanding", "least_kv", "power_of_two"]),
        LATE,
    ),
    st.just({"routing": "least_outstanding", "load_signals": {"delay_ms": 2.0}}),
)
models = st.builds(
    model,
    nodes=st.integers(1, 3),
    seqs=st.integers(1, 4),
    pool=st.integers(20, 60),
    flow=st.none()
    | st.builds(
        lambda most, order, fairness, ttl_s: {
            "max_concurrency": most,
            "max_requests": 5,
            "order": order,
            "fairness": fairness,
            "ttl_s": ttl_s,
        },
        st.integers(4, 8),  # as many as a static batch may have to hold
        st.sampled_from(sorted(ORDERS)),
        st.sampled_from(sorted(FAIRNESS)),
        st.none() | st.sampled_from([0.002, 0.01]),
    ),
    hardware=st.fixed_dictionaries(
        {
            "request_overhead_ms": st.sampled_from([0, 0, 2]),
            "overhead_holds_slot": st.booleans(),
            "decode_ms_per_kv_token": st.sampled_from([0, 0, 1]),
        }
    ),
    caches=st.booleans(),
    batching=st.one_of(
        st.builds(lambda queue: {"queue": queue}, st.sampled_from(sorted(QUEUE_ORDERS))),
        st.just({"queue": "priority", "preempt": True}),
        st.just({"admission": "static"}),
        st.just({"async_scheduling": True}),
        st.just({"async_scheduling": True, "queue": "priority", "preempt": True, "watermark": 0.3}),
        st.just({"watermark": 0.3, "max_num_active_seqs": 1}),
        st.just({"max_num_queued_reqs": 3, "queue": "fair"}),
        st.just({"max_num_queued_tokens": 9, "watermark": 0.9}),
        st.just({"prefill": "whole"}),
        st.just({"prefill": "whole", "queue": "priority", "preempt": True}),
        st.just({"prefill": "whole", "admission": "static", "queue": "fair"}),
        st.builds(
            lambda delay: {"admission": "dynamic", "max_queue_delay_ms": delay}, st.sampled_from([0, 2, 9])
        ),
    ),
    routing=routings,
    splits=st.booleans(),
)


def source(**target: Any) -> dict[str, Any]:
    return {"place": "here", **target}


def fixed(tokens: int) -> dict[str, Any]:
    return {"kind": "fixed", "tokens": tokens}


def lengths() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"prompt": st.integers(1, 8).map(fixed), "output": st.integers(1, 12).map(fixed)}
    )


retries = st.fixed_dictionaries(
    {
        "max_retries": st.integers(1, 3),
        "timeout_s": st.none() | st.sampled_from([0.004, 0.011]),
        "then_at_once": st.integers(0, 2),
    },
    optional={
        "backoff": st.fixed_dictionaries(
            {"first_ms": st.sampled_from([0, 2, 5]), "factor": st.sampled_from([1, 2])},
            optional={"jitter": st.just(0.5)},
        ),
        "retry_after": st.fixed_dictionaries({"up_to_s": st.sampled_from([0.05, 100])}),
    },
)
hedges = st.fixed_dictionaries(
    {"after_ms": st.sampled_from([1, 2, 6]), "max": st.integers(1, 2)},
)
alone = st.builds(
    source,
    retry=st.none() | retries,
    hedge=st.none() | hedges,
    app=st.sampled_from(["one", "other"]),
    arrivals=st.builds(
        lambda gap, offset: {"kind": "constant", "rate_per_s": 1000 / gap, "offset_s": offset / 1000},
        st.sampled_from([4, 5, 8, 10, 20]),
        st.integers(0, 12),
    ),
    lengths=lengths(),
    stream=st.booleans(),
    timeout_s=st.none() | st.sampled_from([0.01, 0.02, 0.03]),
    batch=st.booleans(),
    prefix=st.none()
    | st.builds(
        lambda groups, tokens: {"kind": "groups", "groups": groups, "tokens": fixed(tokens)},
        st.integers(1, 3),
        st.integers(1, 6),
    ),
)


def fixed_s(seconds: float) -> dict[str, Any]:
    return {"kind": "fixed", "s": seconds}


think = st.sampled_from([0, 0.001, 0.002, 0.005]).map(fixed_s)
chats = st.builds(
    source,
    retry=st.none() | retries,
    hedge=st.none() | hedges,
    model=st.sampled_from(["a", "b"]),
    arrivals=st.builds(
        lambda gap: {"kind": "constant", "rate_per_s": 1000 / gap}, st.sampled_from([5, 10, 20])
    ),
    callers=st.builds(
        lambda turns, think: {"kind": "chats", "turns": {"kind": "fixed", "count": turns}, "think": think},
        st.integers(1, 4),
        think,
    ),
    lengths=lengths(),
    timeout_s=st.none() | st.sampled_from([0.01, 0.02]),
)
users = st.builds(
    lambda target, **rest: source(**target, **rest),
    retry=st.none() | retries,
    target=st.sampled_from([{"model": "a"}, {"model": "b"}, {"app": "one"}]),
    arrivals=st.builds(
        lambda users, over_ms: {"kind": "ramp", "users": users, "over_s": over_ms / 1000},
        st.integers(1, 4),
        st.sampled_from([0, 8, 20]),
    ),
    callers=think.map(lambda think: {"kind": "closed_loop", "think": think}),
    lengths=lengths(),
    stream=st.booleans(),
)
sources = alone | chats | users


def app(model: str, calls: int, mode: str) -> dict[str, Any]:
    history = mode == "history"
    mode = "sequential" if history else mode
    return {"place": "here", "model": model, "calls": calls, "mode": mode, "history": history}


def agent(model: str, wait_ms: int, branches: int, again: float) -> dict[str, Any]:
    tool = {"kind": "tool", "time": fixed_s(wait_ms / 1000), "result": fixed(1)}
    return {
        "place": "here",
        "model": model,
        "most_steps": 9,
        "steps": {
            "plan": {"kind": "ask", "output": fixed(1), "then": "fan"},
            "fan": {"kind": "fan_out", "branches": {"look": branches, "tell": 1}, "then": "merge"},
            "look": {**tool, "then": {"tell": 0.5, "end": 0.5}},
            "tell": {"kind": "ask", "output": fixed(1)},
            "merge": {
                "kind": "ask",
                "history": False,
                "prompt": fixed(2),
                "then": {"plan": again, "end": 1 - again},
            },
        },
    }


agents = st.builds(
    agent,
    st.sampled_from(["a", "b"]),
    st.sampled_from([0, 1, 2]),
    st.integers(1, 3),
    st.sampled_from([0.25, 0.75]),
)
apps = agents | st.builds(
    app, st.sampled_from(["a", "b"]), st.integers(1, 4), st.sampled_from(["sequential", "history", "fan_out"])
)
asks = st.builds(
    Ask,
    at=st.integers(0, HORIZON_MS),
    model=st.sampled_from(["a", "b"]),
    prompt=st.integers(1, 8),
    output=st.integers(1, 12),
    samples=st.integers(1, 3),
    stream=st.booleans(),
    deadline=st.none() | st.integers(1, 40),
    leaves=st.none() | st.integers(0, 40),
    again=st.integers(0, 3),
    priority=st.sampled_from([-1, 0, 100]),
    key=st.sampled_from(["key", "tenant", "other"]),
    node=st.sampled_from([None, None, 0, 1]),
)
scenarios = st.fixed_dictionaries(
    {
        "name": st.just("ties"),
        "models": st.fixed_dictionaries({"a": models, "b": models}),
        "network": st.just(
            {
                "places": {"here": {"kind": "custom", "rtt_ms": 0}},
                "values": {"kv_transfer.latency_ms": 2.0, "kv_transfer.mbit_per_s": 1048.576},  # 1 ms a token
            }
        ),
        "apps": st.fixed_dictionaries({"one": apps, "other": apps}),
        "traffic": st.lists(sources, min_size=1, max_size=3).map(
            lambda found: {f"source{i}": one for i, one in enumerate(found)}
        ),
        "run": st.just({"horizon_s": HORIZON_MS / 1000, "replications": 1}),
    }
)


def tables_of(scenario: dict[str, Any], callers: list[Ask], engine: str) -> RunTables:
    world = World(Scenario.model_validate(scenario), 1, 0, engine=engine)
    for ask in callers:
        Caller(world, ask)
    world.run_to(2 * HORIZON_MS * MS)
    return world.tables("base")


def rows(table: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def assert_worlds_agree(scenario: dict[str, Any], callers: list[Ask]) -> RunTables:
    step, fast = (tables_of(scenario, callers, engine) for engine in ("step", "fast"))
    for name in (
        "requests",
        "user_requests",
        "asks",
        "sessions",
        "agent_steps",
        "nodes",
        "gaps",
        "stages",
        "faults",
        "lifetimes",
        "preemptions",
    ):
        plain, quick = getattr(step, name), getattr(fast, name)
        if plain is quick is None:
            continue
        if not quick.equals(plain):  # told by rows, which a person can compare
            assert rows(quick) == rows(plain), name
            raise AssertionError(f"{name} differ in the order of their labels")
    return step


# A long answer keeps one node in its steps of 2 ms while short ones end on the other, whose caller calls
# again: round robin sends that call to the node in mid-stretch, at an instant between two of its steps.
IN_STEP = {
    "name": "ties",
    "models": {"a": model(2, 4, 60, {}), "b": model(1, 4, 60, {})},
    "network": {"places": {"here": {"kind": "custom", "rtt_ms": 0}}},
    "apps": {"one": app("a", 4, "sequential"), "other": app("b", 1, "fan_out")},
    "traffic": {
        "source0": source(
            app="one",
            arrivals={"kind": "constant", "rate_per_s": 50, "offset_s": 0.002},
            lengths={"prompt": fixed(2), "output": fixed(4)},
        )
    },
    "run": {"horizon_s": HORIZON_MS / 1000, "replications": 1},
}


@settings(max_examples=60, deadline=None)
@given(scenarios, st.lists(asks, max_size=6))
@example(IN_STEP, [Ask(0, "a", 2, 12, 1, True, None, None, 3)])
def test_both_kernels_leave_the_same_tables_of_worlds_full_of_ties(
    scenario: dict[str, Any], callers: list[Ask]
) -> None:
    assert_worlds_agree(scenario, callers)


@pytest.mark.parametrize("leaves", range(3, 12))
def test_a_caller_who_leaves_between_two_steps_of_a_stretch_counts_the_tokens_made_by_then(
    leaves: int,
) -> None:
    # The prompt lasts from 0 to 3 ms, then a token comes every 2 ms: who leaves at 5 has two of them.
    leaving = Ask(0, "b", 3, 12, 1, True, None, leaves, 0)
    tables = assert_worlds_agree(IN_STEP, [leaving])
    (row,) = [row for row in rows(whole(tables.requests)) if row["source"] == "outside"]
    assert (row["outcome"], row["ended_ps"]) == ("cancelled", leaves * MS)
    assert row["output_tokens"] == 1 + -(-(leaves - 3) // 2)
