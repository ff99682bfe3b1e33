"""Bounds that are not the nodes': limits of requests and tokens, the gateway, and callers' access lines.

Each is a multiple of the load that the scenario states, whose mix stays as it is.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import inf
from typing import NamedTuple

from reports.words import as_chosen, plural
from sim.bounds.demand import Asked, Demand
from sim.network import Network
from sim.platform.rate_limit import QUANTITIES, Cost
from sim.scenario.limits import Limits
from sim.scenario.schema import Scenario

BITS = 8e-6
"""Megabits of a byte."""
SHORT = {"requests": "rpm", "tokens": "tpm"}
"""As people call the two."""


class Shared(NamedTuple):
    limit: str
    times: float
    """Of the stated load."""
    detail: str


def rate_limits(limits: Limits, demand: Demand) -> Iterator[Shared]:
    """For each limited quantity the load at which the first who shares a limit has used it up."""
    used: dict[tuple[str, str, int], float] = defaultdict(float)
    allowed: dict[tuple[str, str, int], float] = {}
    for asked in demand.asked:
        source = asked.source
        for number, (shared, rates) in enumerate(limits.sets(tier=source.tier, batch=source.batch)):
            own = "batch" if source.batch else source.tier if source.tier in limits.tiers else ""
            for quantity, per_minute in rates.stated().items():
                for owner, share in _owners(asked, shared.scope):
                    key = quantity, f"{shared.scope} {owner}{f' ({own})' if own else ''}", number
                    allowed[key] = per_minute / 60
                    used[key] += share * asked.rate_per_s * _charged(limits, asked, quantity)
    first: dict[str, Shared] = {}
    for (quantity, owner, number), amount in used.items():
        times = allowed[quantity, owner, number] / amount if amount else inf
        if quantity not in first or times < first[quantity].times:
            allowed_per_minute = 60 * allowed[quantity, owner, number]
            detail = f"{allowed_per_minute:,.0f} {quantity.replace('_', ' ')} a minute, first for {owner}"
            first[quantity] = Shared(SHORT.get(quantity, f"{quantity}_per_minute"), times, detail)
    yield from first.values()


def _owners(asked: Asked, scope: str) -> Iterator[tuple[str, float]]:
    """The busiest of a source who share one limit, and which share of its requests is theirs."""
    source = asked.source
    if scope == "tier":
        yield source.tier or "none", 1.0
    elif source.clients is None:
        yield source.tenant, 1.0
    else:
        yield f"{source.tenant}-0", float(source.clients.shares()[0])


def _charged(limits: Limits, asked: Asked, quantity: str) -> float:
    """Of one request in the long run, on average."""
    output = asked.output_tokens
    if limits.charge == "reserved":
        output = asked.source.max_output_tokens or limits.default_output_reservation_tokens
    return QUANTITIES[quantity](Cost(round(asked.prompt_tokens), round(output)))


def gateway(scenario: Scenario, rates_per_s: Mapping[str, float]) -> Iterator[Shared]:
    """`rates_per_s`: of all models, whose requests it serves alike."""
    section, total = scenario.gateway, sum(rates_per_s.values())
    if section.concurrency is not None and section.overhead_ms > 0:
        at_per_s = section.concurrency * 1000 / section.overhead_ms
        detail = (
            f"{plural(section.concurrency, 'request')} at once for {as_chosen(section.overhead_ms)} ms each"
        )
        yield Shared("gateway", at_per_s / total, detail)


def access_lines(scenario: Scenario, demand: Demand) -> Iterator[Shared]:
    """Of callers who ask a model themselves: where the first source's lines are full, up or down."""
    network, found = Network(scenario.network), list[Shared]()
    for asked in demand.asked:
        if asked.source.app is not None:
            continue
        path, wire, source = network.path(asked.source.place), network.wire, asked.source
        answer = asked.output_tokens * wire.event_bytes
        if not source.stream:
            answer = wire.answer_size_bytes(round(asked.output_tokens))
        for way, mbit_per_s, size_bytes in (
            ("up", path.line_up_mbit_per_s, wire.size_bytes(round(asked.prompt_tokens))),
            ("down", path.line_down_mbit_per_s, answer),
        ):
            asks_for = asked.rate_per_s * size_bytes * BITS  # zero, too, at the least rate there is
            times = source.people * mbit_per_s / asks_for if asks_for else inf
            detail = (
                f"{plural(source.people, 'line')} of {asked.name} {way}, {as_chosen(mbit_per_s)} Mbit/s each"
            )
            found.append(Shared("network_line", times, detail))
    full = [one for one in found if one.times < inf]
    if full:
        yield min(full, key=lambda one: one.times)
