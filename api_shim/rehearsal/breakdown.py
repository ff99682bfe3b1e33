"""Where a user's wait went: stretches that follow each other without a gap, from the wish to the last byte.

Of calls that the application makes side by side only those on the critical path count: the one that ended
last, before it whatever ended last by the time that one began, and so on. What lies between is the
application's.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from api_shim.rehearsal.wire_exchange import WireExchange

APP = "app"
OF_CALLS = ("call_set_up", "call_out", "admission", "queue", "prefill", "decode", "platform", "call_back")
PARTS = ("user_set_up", "user_out", APP, *OF_CALLS, "user_back")
"""In the order in which a request meets them."""
STAGES = {"admission", "queue", "prefill", "decode"}
"""Of the model, by the names that traces give them."""


class Stretch(NamedTuple):
    part: str
    began_ps: int
    ended_ps: int


def of_visit(intended_ps: int, seen: WireExchange, calls: Iterable[WireExchange]) -> list[Stretch]:
    """`seen` is the user's own exchange with the application, `calls` are those that it made for it."""
    way = [("user_set_up", seen.connected_ps), ("user_out", seen.arrived_ps)]
    stretches = list(_chain(intended_ps, way))
    stretches += _in_app(seen.arrived_ps, seen.left_ps, calls)
    stretches += _chain(seen.left_ps, [("user_back", seen.ended_ps)])
    return stretches


def of_call(call: WireExchange) -> list[Stretch]:
    stretches = list(
        _chain(
            call.began_ps,
            [("call_set_up", call.connected_ps), (APP, call.sent_ps), ("call_out", call.arrived_ps)],
        )
    )
    at_ps = call.arrived_ps
    for span in sorted(call.spans, key=lambda span: (span.began_ps, span.ended_ps)):
        if span.name in STAGES and at_ps < span.ended_ps <= call.left_ps:
            stretches += _chain(at_ps, [("platform", span.began_ps), (span.name, span.ended_ps)])
            at_ps = max(at_ps, span.ended_ps)
    return [*stretches, *_chain(at_ps, [("platform", call.left_ps), ("call_back", call.ended_ps)])]


def critical(until_ps: int, calls: Iterable[WireExchange]) -> list[WireExchange]:
    """The calls that the application waited for one after the other, in their order."""
    path: list[WireExchange] = []
    left = sorted(
        (call for call in calls if call.ended_ps >= 0), key=lambda call: (call.ended_ps, call.began_ps)
    )
    while left:
        call = left.pop()
        if call.ended_ps <= until_ps:
            path.append(call)
            until_ps = call.began_ps
    return path[::-1]


def _in_app(from_ps: int, until_ps: int, calls: Iterable[WireExchange]) -> list[Stretch]:
    stretches: list[Stretch] = []
    at_ps = from_ps
    for call in critical(until_ps, calls):
        if call.began_ps >= at_ps:
            stretches += _chain(at_ps, [(APP, call.began_ps)])
            stretches += of_call(call)
            at_ps = call.ended_ps
    return [*stretches, *_chain(at_ps, [(APP, until_ps)])]


def _chain(from_ps: int, ends: Sequence[tuple[str, int]]) -> Iterator[Stretch]:
    """Each begins where the one before it ended; what took no time is left out."""
    at_ps = from_ps
    for part, ended_ps in ends:
        if ended_ps > at_ps:
            yield Stretch(part, at_ps, ended_ps)
            at_ps = ended_ps
