"""What holds for every request on every platform, whoever leaves when."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.node.queue_orders import QUEUE_ORDERS
from sim.platform.flow_control import FAIRNESS, ORDERS, BandSettings, FlowSettings
from sim.platform.rate_limit import ALGORITHMS
from sim.platform.routing import ROUTING
from sim.platform.ticket import Ticket
from tests.support.bench import MS, Bench, Diary, make_bench

CONTEXT = 40
LONG_AFTER = 50_000
"""Milliseconds: everything has reached its caller, and no minute is over yet."""
OUTCOME_OF_CAUSE = {
    "requests": "rejected_requests_limit",
    "tokens": "rejected_tokens_limit",
    "context": "rejected_context",
    "saturated": "rejected_saturated",
    "ttl_expired": "rejected_ttl_expired",
    "max_num_queued_reqs": "rejected_max_num_queued_reqs",
    "max_num_queued_tokens": "rejected_max_num_queued_tokens",
    "no_endpoints": "rejected_no_endpoints",
}
WAY_IN = ("intended_ps", "sent_ps", "connected_ps", "arrived_ps", "admitted_ps", "started_ps", "first_ps")


@dataclass(frozen=True)
class Ask:
    """One request and when its caller leaves (None: never), in ms."""

    at: int
    prompt: int
    output: int
    cap: int | None
    samples: int
    stream: bool
    deadline: int | None
    leaves: int | None
    priority: int
    batch: bool
    node: int | None
    """That it names, perhaps one that there is not."""


@dataclass
class Story:
    """One request's side of a run."""

    ask: Ask
    diary: Diary
    tickets: list[Ticket]
    seen: list[list[int]] = field(default_factory=list)
    """Tokens of each sample, every time somebody looked."""

    def look(self, now_ps: int) -> None:
        if self.tickets and self.tickets[0].sequences:
            samples = range(self.ask.samples)
            self.seen.append([self.tickets[0].tokens_by(now_ps, sample) for sample in samples])


settings_of_platform = st.fixed_dictionaries(
    {
        "nodes": st.integers(1, 3),
        "seqs": st.integers(1, 4),
        "set_up_ms": st.sampled_from([0, 8]),
        "way_ms": st.sampled_from([0, 3, 30]),
        "last_ms": st.sampled_from([None, 1, 40]),
        "gateway_ms": st.sampled_from([0, 2]),
        "concurrency": st.sampled_from([None, 1, 2]),
        "overhead_ms": st.sampled_from([0, 5]),
        "slots": st.none() | st.integers(1, 4),
        "limits": st.none() | st.tuples(st.integers(1, 12), st.integers(20, 300)),
        "algorithm": st.sampled_from(sorted(ALGORITHMS)),
        "routing": st.sampled_from(sorted(ROUTING)),
        "batch_limits": st.none() | st.tuples(st.integers(1, 12), st.integers(20, 300)),
        "kv_blocks": st.integers(CONTEXT, 3 * CONTEXT),
        "watermark_blocks": st.sampled_from([0, 0, 10, CONTEXT]),
        "max_num_queued_reqs": st.none() | st.integers(0, 6),
        "max_num_queued_tokens": st.none() | st.integers(0, 60),
        "flow": st.none()
        | st.builds(
            lambda most, waiting, order, fairness, ttl_ms: FlowSettings(
                most,
                waiting,
                BandSettings(ORDERS[order], FAIRNESS[fairness], None, ttl_ms and ttl_ms * MS),
                {100: BandSettings(max_requests=1)},
            ),
            st.integers(1, 3),
            st.integers(0, 5),
            st.sampled_from(sorted(ORDERS)),
            st.sampled_from(sorted(FAIRNESS)),
            st.none() | st.integers(1, 80),
        ),
        "batching": st.one_of(
            st.builds(lambda queue: {"queue": queue}, st.sampled_from(sorted(QUEUE_ORDERS))),
            st.just({"queue": "priority", "preempt": True}),
            st.just({"prefill": "whole"}),
            st.just({"prefill": "whole", "queue": "priority", "preempt": True}),
            st.builds(
                lambda queue, delay: {"queue": queue, "admission": "dynamic", "max_queue_delay_ms": delay},
                st.sampled_from(sorted(QUEUE_ORDERS)),
                st.sampled_from([0, 7, 40]),
            ),
        ),
    }
)
asks = st.builds(
    Ask,
    at=st.integers(0, 60),
    prompt=st.integers(1, 25),
    output=st.integers(1, 20),
    cap=st.none() | st.integers(1, 20),
    samples=st.integers(1, 3),
    stream=st.booleans(),
    deadline=st.none() | st.integers(1, 250),
    leaves=st.none() | st.integers(0, 250),
    priority=st.sampled_from([-1, 0, 0, 100]),
    batch=st.booleans(),
    node=st.sampled_from([None, None, 0, 1, 2]),
)
workloads = st.lists(asks, min_size=1, max_size=10)
looks = st.lists(st.integers(0, 400), max_size=8)


def play(
    platform: dict[str, Any], workload: list[Ask], times: list[int], engine: str
) -> tuple[Bench, list[Story]]:
    settings = {**platform, **platform["batching"]}
    del settings["batching"]
    bench = make_bench(**settings, context=CONTEXT, engine=engine)
    stories = [_submitted(bench, ask) for ask in workload]
    for at in (*times, LONG_AFTER):
        bench.at(at, lambda: _look_around(bench, stories))
    bench.env.run()
    return bench, stories


def _submitted(bench: Bench, ask: Ask) -> Story:
    request = bench.request(
        ask.prompt,
        ask.output if ask.cap is None else min(ask.output, ask.cap),
        max_output_tokens=ask.cap,
        samples=ask.samples,
        stream=ask.stream,
        priority=ask.priority,
        batch=ask.batch,
        node=ask.node,
        deadline_ps=None if ask.deadline is None else (ask.at + ask.deadline) * MS,
    )
    diary = Diary()
    tickets = bench.submit_at(ask.at, request, diary)
    if ask.leaves is not None:
        bench.at(ask.at + ask.leaves, lambda: tickets[0].cancel())
    return Story(ask, diary, tickets)


def _look_around(bench: Bench, stories: list[Story]) -> None:
    for story in stories:
        story.look(bench.env.now)
    at_nodes = [ticket for ticket in bench.platform.inside.values() if ticket.node is not None]
    assert sum(node.outstanding for node in bench.platform.pools["m"].nodes) == len(at_nodes)
    assert all(node.kernel.free_blocks >= 0 for node in bench.platform.pools["m"].nodes)


def assert_ends_once(story: Story, row: dict[str, Any]) -> None:
    words = story.diary.words()
    assert words.count("rejected") + words.count("ended") == 1, words
    assert words[-1] in {"rejected", "ended"}
    assert words[:-1] in ([], ["admitted"], ["admitted", "first"])
    _, at_ps, why = story.diary.heard[-1]
    assert at_ps == row["ended_ps"]
    if words[-1] == "rejected":
        assert row["outcome"] == OUTCOME_OF_CAUSE[why.cause]
    else:
        assert why == (row["finish_reason"] if row["outcome"] == "completed" else row["outcome"])


def assert_in_order(row: dict[str, Any]) -> None:
    stamps = [row[name] for name in WAY_IN if row[name] >= 0]
    assert stamps == sorted(stamps), row
    assert max(row["connected_ps"], row["arrived_ps"]) <= row["ended_ps"], row
    if row["outcome"] == "completed":
        assert min(row[name] for name in (*WAY_IN, "last_ps", "first_seen_ps", "ended_ps")) >= 0
        assert row["first_ps"] <= row["last_ps"] <= row["ended_ps"]
    if row["first_seen_ps"] >= 0:
        assert 0 <= row["first_ps"] <= row["first_seen_ps"] <= row["ended_ps"], row
    assert row["intended_ps"] <= row["ended_ps"]


def assert_served_where_it_named(story: Story, row: dict[str, Any], nodes: int) -> None:
    """Past the gateway, which charges it for nothing."""
    if story.ask.node is not None:
        there = story.ask.node < nodes
        assert row["node"] in ({-1, story.ask.node} if there else {-1})
        assert row["outcome"] != "rejected_no_endpoints" or not there
        assert story.tickets[0].grant is None
        if row["admitted_ps"] >= 0:
            assert row["admitted_ps"] == row["arrived_ps"]


def assert_all_comes_back(bench: Bench, blocks: int) -> None:
    assert bench.platform.inside == {}
    for node in bench.platform.pools["m"].nodes:
        kernel = node.kernel
        assert (kernel.free_blocks, kernel.running, kernel.waiting) == (blocks, 0, 0)
        assert (node.outstanding, node.due_ps) == (0, None)
        assert node._limits is not None
        assert (node._limits.reqs, node._limits.tokens) == (0, 0)
    flow = bench.platform.gateway.admissions["m"].flow
    assert flow is None or (flow.inside, flow.waiting, flow._held, flow._bands) == (0, 0, {}, {})


def assert_settled(bench: Bench, stories: list[Story], algorithm: str) -> None:
    """All of this happens within a minute: windows count what was processed, and a bucket drains it."""
    granted = [story.tickets[0] for story in stories if story.tickets[0].grant is not None]
    processed = sum(
        ticket.request.prompt_tokens + sum(sequence.generated for sequence in ticket.sequences)
        for ticket in granted
    )
    admission = bench.platform.gateway.admissions["m"]
    assert admission.budgets is not None
    limiters = [one for _, budget in admission.budgets.named() for one in budget.limiters.values()]
    meters = [limit.meter for limiter in limiters for limit in limiter.limits if limit.quantity == "tokens"]
    used = sum(meter.used(bench.env.now) for meter in meters)
    buckets = {"token_bucket", "quantised"}
    assert used <= processed if algorithm in buckets else used == processed


def assert_tokens_only_grow(story: Story, row: dict[str, Any]) -> None:
    request = story.tickets[0].request
    for before, after in pairwise(story.seen):
        assert all(a <= b for a, b in zip(before, after, strict=True)), story.seen
    if row["outcome"] == "completed":
        assert story.seen[-1] == [request.output_tokens] * request.samples
    elif story.seen:
        made = [sequence.generated for sequence in story.tickets[0].sequences]
        assert all(a <= b for a, b in zip(story.seen[-1], made, strict=True)), (story.seen, made)


@settings(max_examples=120, deadline=None)
@given(settings_of_platform, workloads, looks, st.sampled_from(["step", "fast"]))
def test_every_request_ends_once_and_everything_comes_back(
    platform: dict[str, Any], workload: list[Ask], times: list[int], engine: str
) -> None:
    bench, stories = play(platform, workload, sorted(times), engine)
    rows = bench.rows()
    assert [row["number"] for row in rows] == [story.tickets[0].request.number for story in stories]
    for story, row in zip(stories, rows, strict=True):
        assert_ends_once(story, row)
        assert_in_order(row)
        assert_served_where_it_named(story, row, platform["nodes"])
        assert_tokens_only_grow(story, row)
    assert_settled(bench, stories, platform["algorithm"])
    assert_all_comes_back(bench, platform["kv_blocks"])


@settings(max_examples=50, deadline=None)
@given(settings_of_platform, workloads, looks)
def test_both_engines_tell_the_same_story(
    platform: dict[str, Any], workload: list[Ask], times: list[int]
) -> None:
    (plain, told), (fast, told_fast) = (play(platform, workload, times, e) for e in ("step", "fast"))
    assert fast.rows() == plain.rows()
    assert [story.diary.heard for story in told_fast] == [story.diary.heard for story in told]
    assert [story.seen for story in told_fast] == [story.seen for story in told]
