"""The way of one request as spans, from the stamps that the model gave it.

set_up, network, admission, queue, prefill, decode and return follow each other without a gap. With n
completions each has a queue, a prefill and a decode of its own, side by side.
"""

from collections.abc import Iterator

from api_shim.exchange.call import Call
from api_shim.store.traces import TraceSpan
from sim.node.kernel import Sequence

Beginnings = list[tuple[str, int]]
"""(stage, its beginning); -1: not reached."""


def stages(call: Call, until_ps: int) -> Iterator[TraceSpan]:
    """Up to `until_ps`, the end for the caller: what was under way then ends there."""
    ticket = call.ticket
    if ticket is None:
        return  # its client left before the model got to it
    departure, sequences = ticket.departure, ticket.sequences
    of: dict[str, str | int] = {"request": call.request.number}
    way_in: Beginnings = [("set_up", departure.sent_ps), ("network", departure.connected_ps)]
    way_in.append(("admission", departure.arrived_ps))
    if not departure.cold:
        del way_in[0]  # the connection stood
    if call.refused_ps >= 0:
        yield from _chain([*way_in, ("return", call.refused_ps)], until_ps, of)
        return
    yield from _chain(way_in, _until(ticket.admitted_ps, until_ps), of)
    if ticket.node is not None:
        of = {**of, "node": ticket.node.index}
    for sample, sequence in enumerate(sequences):
        yield from _completion(sequence, sample, ticket.admitted_ps, until_ps, of)
    if not sequences:
        yield from _chain([("queue", ticket.admitted_ps)], until_ps, of)
    if sequences and all(_is_complete(sequence, until_ps) for sequence in sequences):
        last_ps = max(sequence.last_ps for sequence in sequences)
        yield from _chain([("return", last_ps)], until_ps, {"request": call.request.number})


def _completion(
    sequence: Sequence, sample: int, admitted_ps: int, until_ps: int, of: dict[str, str | int]
) -> Iterator[TraceSpan]:
    beginnings = [("queue", admitted_ps), ("prefill", sequence.started_ps), ("decode", sequence.first_ps)]
    tokens = {"prefill": sequence.prompt_tokens, "decode": sequence.generated}
    ended_ps = sequence.last_ps if _is_complete(sequence, until_ps) else until_ps
    spans = list(_chain(beginnings, ended_ps, {**of, "sample": sample}))
    if sequence.preemptions and spans:
        spans[-1].attributes["preemptions"] = sequence.preemptions
    for span in spans:
        if span.name in tokens:
            span.attributes["tokens"] = tokens[span.name]
        if span.name == "prefill" and sequence.cached_tokens:
            span.attributes["cached_tokens"] = sequence.cached_tokens
        yield span


def _is_complete(sequence: Sequence, by_ps: int) -> bool:
    """All its tokens were made, also where nobody was left to take them."""
    return 0 <= sequence.last_ps <= by_ps and sequence.generated >= sequence.output_tokens


def _until(stamp_ps: int, until_ps: int) -> int:
    return min(stamp_ps, until_ps) if stamp_ps >= 0 else until_ps


def _chain(beginnings: Beginnings, until_ps: int, attributes: dict[str, str | int]) -> Iterator[TraceSpan]:
    """Each until the next one's beginning, as far as they were reached by `until_ps`."""
    reached = [(name, began_ps) for name, began_ps in beginnings if 0 <= began_ps <= until_ps]
    ends = [began_ps for _, began_ps in reached[1:]]
    for (name, began_ps), ended_ps in zip(reached, [*ends, until_ps], strict=False):
        yield TraceSpan(name, began_ps, ended_ps, dict(attributes))
