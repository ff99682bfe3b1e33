"""A platform small enough to work out by hand: fixed delays on the way, one or two nodes, round numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from hwmodels.step_time import AffineStepTime
from sim.network.connections import ANY_NUMBER
from sim.network.trouble import Trouble
from sim.node.kernel import BatchLimits
from sim.node.node import Node
from sim.node.prefills import PREFILLS
from sim.node.queue_limits import QueueLimits
from sim.node.queue_orders import QUEUE_ORDERS
from sim.node.whole_batches import ADMISSIONS
from sim.platform.budget import Budget, Budgets
from sim.platform.flow_control import FlowControl, FlowSettings
from sim.platform.gateway import Admission
from sim.platform.loads import Late
from sim.platform.members import Members, Signal
from sim.platform.platform import Platform
from sim.platform.pool import Pool
from sim.platform.rate_limit import Headroom, Refusal
from sim.platform.routing import ROUTING
from sim.platform.ticket import Sink, Ticket
from sim.time.streams import stream
from sim.time.timeline import Alarm, Timeline
from tests.support.limiting import Owner
from traffic.request import Request

MS = 10**9


class Trip(NamedTuple):
    sent_ps: int
    connected_ps: int
    arrived_ps: int
    cold: bool
    connection: int
    back_first_ps: int
    lost_out_ps: int = 0
    back_lost: int = 0
    lost_first_ps: int = 0


@dataclass
class FixedLink:
    """`set_up` before the first request, `way` out, `way` back for the first byte, `last` for the last."""

    set_up_ps: int
    way_ps: int
    last_ps: int
    released: list[tuple[int, int]] = field(default_factory=list)
    sent: int = 0
    trouble: Trouble = field(default_factory=Trouble)

    def send(self, now_ps: int, prompt_tokens: int, user: int = -1) -> Trip:
        del prompt_tokens, user
        cold, self.sent = self.sent == 0, self.sent + 1
        connected = now_ps + (self.set_up_ps if cold else 0)
        return Trip(now_ps, connected, connected + self.way_ps, cold, self.sent - 1, self.way_ps)

    def begins(self, departure: Trip, now_ps: int) -> int:
        return now_ps + departure.back_first_ps

    def ends(self, departure: Trip, now_ps: int, events: int) -> int:
        del departure, events
        return now_ps + self.last_ps

    def lost_back_ps(self, departure: Trip, tokens: int, *, stream: bool) -> int:
        del departure, tokens, stream
        return 0

    def whole(self, departure: Trip, now_ps: int, tokens: int) -> int:
        del departure, tokens
        return now_ps + self.last_ps

    def events_after(self, departure: Trip, since_first_ps: int) -> int:
        del departure, since_first_ps
        return ANY_NUMBER

    def events_within(self, span_ps: int) -> int:
        del span_ps
        return 0

    def release(self, connection: int, free_ps: int) -> None:
        self.released.append((connection, free_ps))


@dataclass
class Diary:
    """A sink that writes down what it hears."""

    heard: list[tuple[Any, ...]] = field(default_factory=list)
    on_end: Callable[[int], object] | None = None

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None:
        self.heard.append(("admitted", at_ps, headroom))

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        self.heard.append(("rejected", at_ps, refusal))

    def first_token(self, at_ps: int) -> None:
        self.heard.append(("first", at_ps))

    def ended(self, at_ps: int, reason: str) -> None:
        self.heard.append(("ended", at_ps, reason))
        if self.on_end is not None:
            self.on_end(at_ps)

    def words(self) -> list[str]:
        return [line[0] for line in self.heard]


@dataclass
class Bench:
    """Prompt tokens cost 1 ms each, a decode step 10 ms, whatever the batch."""

    env: Timeline
    platform: Platform
    link: FixedLink
    numbers: int = 0

    @property
    def pool(self) -> Pool:
        pool = self.platform.pools["m"]
        assert isinstance(pool, Pool)
        return pool

    def request(self, prompt: int = 5, output: int = 3, **changes: Any) -> Request:
        self.numbers += 1
        plain = Request(
            self.numbers,
            "m",
            prompt,
            output,
            None,
            self.env.now,
            "here",
            "me",
            "project",
            "key",
            "source",
            "tenant",
        )
        return replace(plain, **changes)

    def submit_at(self, at_ms: float, request: Request, sink: Sink) -> list[Ticket]:
        """The ticket appears in the list when the time has come."""
        tickets: list[Ticket] = []
        at_ps = round(at_ms * MS)
        request = replace(request, intended_ps=at_ps)
        Alarm(self.env, at_ps, lambda _: tickets.append(self.platform.submit(request, sink)))
        return tickets

    def at(self, at_ms: float, act: Callable[[], object]) -> None:
        def acts(_alarm: Alarm) -> None:
            act()

        Alarm(self.env, round(at_ms * MS), acts)

    def rows(self) -> list[dict[str, Any]]:
        """What was recorded, labels as text."""
        words = self.platform.records.labels.vocabulary()
        columns = self.platform.records.arrays("number")
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [
            {name: words[name][int(v)] if name in words else int(v) for name, v in row.items()}
            for row in rows
        ]


def make_bench(
    *,
    nodes: int = 1,
    seqs: int = 4,
    set_up_ms: float = 0,
    way_ms: float = 0,
    last_ms: float | None = None,
    gateway_ms: float = 0,
    concurrency: int | None = None,
    overhead_ms: float = 0,
    slots: int | None = None,
    limits: tuple[int, int] | None = None,
    batch_limits: tuple[int, int] | None = None,
    context: int = 1000,
    routing: str = "least_outstanding",
    algorithm: str = "token_bucket",
    kv_blocks: int = 2000,
    engine: str = "step",
    queue: str = "fcfs",
    preempt: bool = False,
    admission: str = "continuous",
    prefill: str = "chunked",
    max_queue_delay_ms: int = 0,
    budget: int = 1000,
    watermark_blocks: int = 0,
    max_num_queued_reqs: int | None = None,
    max_num_queued_tokens: int | None = None,
    weights: Mapping[int, float] | None = None,
    late_ms: tuple[int, int] | None = None,
    flow: FlowSettings | None = None,
) -> Bench:
    """`late_ms` are interval and delay of load signals."""
    env = Timeline()
    back_ms = way_ms if last_ms is None else last_ms
    link = FixedLink(round(set_up_ms * MS), round(way_ms * MS), round(back_ms * MS))
    platform = Platform(env, lambda _caller, _place: link, round(gateway_ms * MS), concurrency)  # type: ignore[arg-type,return-value]
    law = AffineStepTime(dense_ps=(0,) + (10 * MS,) * seqs, token_ps=MS)
    # A lone prompt of n tokens: 10 ms for the dense part and 1 ms a token.
    batch = BatchLimits(seqs, budget, 1, kv_blocks, watermark_blocks)
    pool = platform.pools["m"] = Pool(
        ROUTING[routing],
        stream(1, 0, "routing"),
        Members(weights=weights, places=seqs, as_seen=None if late_ms is None else late(env, *late_ms)),
        QUEUE_ORDERS[queue](),
    )
    for index in range(nodes):
        order = QUEUE_ORDERS[queue]
        kernel = PREFILLS[prefill][engine](
            batch,
            law,
            keep_schedule=True,
            queue=order(),
            preempt=preempt,
            batches=ADMISSIONS[admission](seqs, max_queue_delay_ms * MS),
        )
        queued = QueueLimits(max_num_queued_reqs, max_num_queued_tokens)
        pool.join(Node(env, index, kernel, platform, round(overhead_ms * MS), slots, order(), limits=queued))
    platform.gateway.admissions["m"] = Admission(
        context,
        Budgets(
            interactive=_budget(algorithm, limits),
            batch=_budget(algorithm, batch_limits),
            default_output_reservation_tokens=10,
        ),
        None if flow is None else _flow(platform, pool, flow),
    )
    return Bench(env, platform, link)


def late(env: Timeline, interval_ms: int, delay_ms: int) -> Callable[[Signal], Signal]:
    return lambda signal: Late(env, signal, interval_ms * MS, delay_ms * MS)


def _flow(platform: Platform, pool: Pool, settings: FlowSettings) -> FlowControl:
    gateway = platform.gateway
    return FlowControl(platform.env, settings, gateway.let_pass, gateway.refuse, lambda: pool.taking)


def _budget(algorithm: str, limits: tuple[int, int] | None) -> tuple[Budget, ...]:
    return () if limits is None else (Budget(lambda: Owner(algorithm, *limits)),)


def limiters_of(bench: Bench) -> dict[str, Owner]:
    """Of interactive requests, by project."""
    budgets = bench.platform.gateway.admissions["m"].budgets
    limiters = budgets.interactive[0].limiters if budgets and budgets.interactive else {}
    return {owner: limiter for owner, limiter in limiters.items() if isinstance(limiter, Owner)}
