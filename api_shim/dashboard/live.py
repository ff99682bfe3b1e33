"""What the server does at this moment, read off the model and the tallies when somebody looks."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from types import MappingProxyType
from typing import NamedTuple

from api_shim.shim import ServedModel, Shim
from sim.node.node import Node
from sim.platform.budget import Budget
from sim.platform.ticket import Ticket
from sim.time.units import PS_PER_MS, s_of_ps

MOST_NODES = 64
"""Shown of one model; the sums are of all."""
MOST_OWNERS = 20
"""Shown of those whose limits count."""
MOST_LIMITERS = 250
"""Looked at, of each budget, since whoever asks for tokens waits meanwhile."""
RATE_OVER_S = 10.0
"""Rates are means over this long, or since somebody began to look."""
LOOK_EVERY_S = 0.9
MOST_LOOKS = 90
NO_CACHES: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class NodeState:
    index: int
    running: int
    """Sequences in the batch."""
    waiting: int
    kv_blocks_used: int
    preemptions: int


@dataclass(frozen=True, slots=True)
class PrefixCacheState:
    """Of all nodes of a model since the start, counted as each prompt is first scheduled."""

    prompt_tokens: int
    """Looked for."""
    cached_tokens: int
    """Those found."""
    cached_tokens_per_s: float | None
    """Simulated seconds; None on the first look."""
    course: list[float]
    """Cached tokens per second between looks, oldest first."""

    @property
    def hit_rate(self) -> float | None:
        """None before the first prompt."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None


@dataclass(frozen=True, slots=True)
class ModelState:
    id: str
    most_running: int
    """On each node: `max_num_seqs`."""
    kv_blocks: int
    """Of each node."""
    nodes: list[NodeState]
    node_count: int
    running: int
    waiting: int
    kv_blocks_used: int
    answered: int
    refused: dict[str, int]
    """By cause."""
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    """Of all requests since the start."""
    prefix_cache: PrefixCacheState | None
    """None where prefix caching is off."""

    @property
    def kv_share(self) -> float:
        return self.kv_blocks_used / (self.kv_blocks * self.node_count)


@dataclass(frozen=True, slots=True)
class LimitUse:
    owner: str
    """A project, or the name of a key."""
    model: str
    of: str
    """`batch` for what batch work spends, the name of a tier, or empty."""
    used: dict[str, tuple[int, int]]
    """By quantity: what is in use, and the most."""

    @property
    def share(self) -> float:
        return max(used / most for used, most in self.used.values())


@dataclass(frozen=True, slots=True)
class Moment:
    simulated_s: float
    speed: float
    requests_inside: int
    streams: int
    answered: int
    unanswered: int
    requests_per_s: float | None
    output_tokens_per_s: float | None
    """Simulated seconds; None on the first look."""
    course: list[float]
    """Output tokens per second between looks, oldest first."""
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    not_paced: str | None
    flush_ms: float
    models: list[ModelState]
    limits: list[LimitUse]
    limits_in_use: int
    limits_unseen: int
    """Not looked at."""


class Look(NamedTuple):
    at_s: float
    """On the clock of whoever looks."""
    simulated_s: float
    answered: int
    output_tokens: int
    cached_tokens: Mapping[str, int] = NO_CACHES
    """By the id of the model."""


Count = Callable[[Look], int]


class Course:
    """Counts at the last looks, so that they have rates. Nobody looks, nothing is done."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque(maxlen=MOST_LOOKS)

    def note(self, look: Look) -> None:
        if self._looks and look.at_s - self._looks[-1].at_s > RATE_OVER_S:
            self._looks.clear()  # nobody looked: what went on meanwhile is no rate of this moment
        if not self._looks or look.at_s - self._looks[-1].at_s >= LOOK_EVERY_S:
            self._looks.append(look)

    def rate(self, count: Count, now: Look) -> float | None:
        """Per simulated second, over the last seconds."""
        before = next((look for look in self._looks if now.at_s - look.at_s <= RATE_OVER_S), now)
        lasted_s = now.simulated_s - before.simulated_s
        return (count(now) - count(before)) / lasted_s if lasted_s > 0 else None

    def rates(self, count: Count) -> list[float]:
        """Per simulated second, from each look to the next."""
        return [
            (count(later) - count(look)) / (later.simulated_s - look.simulated_s)
            for look, later in pairwise(self._looks)
            if later.simulated_s > look.simulated_s
        ]


class LiveView:
    def __init__(self, shim: Shim) -> None:
        self._shim = shim
        self._course = Course()

    @cached_property
    def _most_running(self) -> dict[str, int]:
        """Of each node, by the name of its model."""
        models = self._shim.world.scenario.models
        return {name: spec.build_hardware().max_num_seqs for name, spec in models.items()}

    def moment(self) -> Moment:
        """Looks at the model, hence where the loop runs and not aside."""
        shim = self._shim
        now_ps = shim.clock.reach()
        pools = shim.world.platform.pools.values()
        tokens = sum(node.kernel.output_tokens_done for pool in pools for node in pool.nodes)
        cached = {model.id: _cache_lookups(shim, model)[1] for model in shim.models.values()}
        look = Look(shim.clock.unix_s(), s_of_ps(now_ps), shim.served, tokens, cached)
        self._course.note(look)
        limits = sorted(_limits(shim, now_ps), key=lambda use: use.share, reverse=True)
        lateness = shim.pacing.lateness
        return Moment(
            simulated_s=s_of_ps(now_ps),
            speed=shim.clock.speed,
            requests_inside=len(shim.world.platform.inside),
            streams=shim.streams,
            answered=shim.served,
            unanswered=shim.unanswered,
            requests_per_s=self._course.rate(lambda one: one.answered, look),
            output_tokens_per_s=self._course.rate(_output_tokens, look),
            course=self._course.rates(_output_tokens),
            lateness_p50_ms=_ms(lateness.quantile(0.5)),
            lateness_p99_ms=_ms(lateness.quantile(0.99)),
            not_paced=shim.pacing.why_not(),
            flush_ms=shim.settings.flush(shim.streams),
            models=[
                _model_state(
                    shim, model, self._most_running[model.name], now_ps, self._prefix_cache(model, look)
                )
                for model in shim.models.values()
            ],
            limits=limits[:MOST_OWNERS],
            limits_in_use=len(limits),
            limits_unseen=sum(
                max(0, len(budget.limiters) - MOST_LIMITERS) for _, _, budget in _budgets(shim)
            ),
        )

    def _prefix_cache(self, model: ServedModel, now: Look) -> PrefixCacheState | None:
        if not self._shim.world.scenario.models[model.name].batching.enable_prefix_caching:
            return None

        def cached_tokens(look: Look) -> int:
            return look.cached_tokens[model.id]

        return PrefixCacheState(
            *_cache_lookups(self._shim, model),
            cached_tokens_per_s=self._course.rate(cached_tokens, now),
            course=self._course.rates(cached_tokens),
        )


def _output_tokens(look: Look) -> int:
    return look.output_tokens


def _cache_lookups(shim: Shim, model: ServedModel) -> tuple[int, int]:
    """(prompt tokens looked for, those found)"""
    steps = shim.metrics.steps_of(model)
    return sum(one.queries for one in steps), sum(one.hits for one in steps)


def _model_state(
    shim: Shim, model: ServedModel, most_running: int, now_ps: int, prefix_cache: PrefixCacheState | None
) -> ModelState:
    pool = shim.world.platform.pools[model.name]
    nodes = {node.index: _node_state(node, now_ps) for node in pool.nodes}
    tally = shim.metrics.tallies[model.id]
    ttft = tally.histograms["time_to_first_token_seconds"]
    return ModelState(
        id=model.id,
        most_running=most_running,
        kv_blocks=shim.world.kv_blocks[model.name],
        nodes=[nodes.get(i) or NodeState(i, 0, 0, 0, 0) for i in range(min(MOST_NODES, pool.size))],
        node_count=pool.size,
        running=sum(node.running for node in nodes.values()),
        waiting=sum(node.waiting for node in nodes.values()),
        kv_blocks_used=sum(node.kv_blocks_used for node in nodes.values()),
        answered=sum(tally.answered.values()),
        refused=dict(tally.refused),
        ttft_p50_ms=_ms(ttft.quantile(0.5)),
        ttft_p99_ms=_ms(ttft.quantile(0.99)),
        prefix_cache=prefix_cache,
    )


def _node_state(node: Node[Ticket], now_ps: int) -> NodeState:
    kernel = node.kernel
    return NodeState(
        index=node.index,
        running=kernel.running,
        waiting=max(0, node.outstanding - kernel.running),
        kv_blocks_used=kernel.blocks_in_use(now_ps),
        preemptions=kernel.preemptions,
    )


def _limits(shim: Shim, now_ps: int) -> Iterator[LimitUse]:
    """Those of which anything is in use."""
    for model, of, budget in _budgets(shim):
        for owner, limiter in islice(budget.limiters.items(), MOST_LIMITERS):
            if not limiter.is_as_new(now_ps):
                used = {one.quantity: (one.meter.used(now_ps), one.meter.limit) for one in limiter.limits}
                yield LimitUse(owner, model, of, used)


def _budgets(shim: Shim) -> Iterator[tuple[str, str, Budget]]:
    """(model, who spends it, budget)"""
    for model in shim.models.values():
        budgets = shim.world.platform.gateway.admissions[model.name].budgets
        for of, budget in () if budgets is None else budgets.named():
            yield model.id, of, budget


def _ms(value_ps: int | None) -> float | None:
    return None if value_ps is None else value_ps / PS_PER_MS
