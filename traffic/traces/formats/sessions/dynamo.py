"""Dynamo's request traces (`dynamo.request.trace.v1`): which request of an agent waited for which.

The file has a `request_end` for each request, with the agent's session where one was stated. What waited for
what follows from times, by Dynamo's own rules (lib/bench, agent_trace_to_mooncake): the requests of a session
follow each other in the order of their starts; the first one of a child session comes after the last request
of the parent that had ended by then; the parent's next request after the child's end waits for the child.
The time between the last of those answers and a request is the tools', and whatever else the agent did.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from traffic.run_names import RunNames
from traffic.spec import MAX_TOKENS
from traffic.traces.formats.fields import MAX_HASH_ID, BadValueError, integer, shortly, time_ps, tokens
from traffic.traces.formats.json_lines import JsonRow, json_lines, required
from traffic.traces.recording import Recording
from traffic.traces.session_rows import SessionRow, Skipped, TurnRow, recording_of
from traffic.traces.trace import Trace, TraceRows
from traffic.traces.words import TraceError

SCHEMA = "dynamo.request.trace.v1"
REQUEST, TOOLS = "request_end", {"tool_end", "tool_error"}
PS_PER_MS = 10**9
NAMES = (("trajectory_id", "parent_trajectory_id"), ("session_id", "parent_session_id"))
"""Of a session of requests and of its parent's: older files have trajectories in what they call a session."""


@dataclass(frozen=True, slots=True)
class _Request:
    line: int
    name: str
    session: str | None
    parent: str | None
    start_ps: int
    end_ps: int
    prompt_tokens: int
    output_tokens: int
    block_tokens: int
    hash_ids: Sequence[int]


def read_dynamo_sessions(path: Path, limit_rows: int | None = None) -> Recording:
    found = _read(path, limit_rows)
    rows = list(_sessions(path, found.requests))
    return recording_of(path, rows, found.notes)


def read_dynamo_trace(path: Path, limit_rows: int | None = None) -> Trace:
    """Its requests at the times at which they were received."""
    found = _read(path, limit_rows)
    block_tokens = found.requests[0].block_tokens if found.requests else 0
    rows = TraceRows(path, block_tokens)
    for request in found.requests:
        stamp = f"{request.start_ps / PS_PER_MS:.15g} ms"
        sizes = request.prompt_tokens, request.output_tokens
        rows.add(request.line, stamp, request.start_ps, *sizes, request.hash_ids, in_order=False)
    return rows.trace(found.notes)


class _Found(NamedTuple):
    requests: list[_Request]
    notes: list[str]


def _read(path: Path, limit_rows: int | None) -> _Found:
    requests: list[_Request] = []
    skipped, tools, others = Skipped(), 0, dict[str, int]()
    for line, row in islice(json_lines(path), limit_rows):
        try:
            event = _event(row)
            kind = str(event.get("event_type"))
            if kind == REQUEST:
                request = _request(line, event)
                _same_blocks(requests, request)
                if not skipped(line, request.prompt_tokens, request.output_tokens):
                    requests.append(request)
            elif kind in TOOLS:
                tools += 1
            else:
                others[kind] = others.get(kind, 0) + 1
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    requests.sort(key=lambda request: (request.start_ps, request.end_ps, request.name))
    return _Found(requests, [*skipped.notes(), *_told(tools, others)])


def _told(tools: int, others: dict[str, int]) -> Iterator[str]:
    if tools:
        yield f"Events of tools, whose time lies between requests in any case: {tools:,}."
    for kind, number in others.items():
        yield f"Events not read: {number:,} of type {kind}."


def _event(row: JsonRow) -> JsonRow:
    """Some sinks wrap it, with the time of the writing."""
    event = row.get("event", row)
    if not isinstance(event, dict):
        raise BadValueError(f"event is {shortly(event)}, expected an object")
    if event.get("schema", SCHEMA) != SCHEMA:
        raise BadValueError(f"schema is {shortly(event['schema'])}, expected {SCHEMA!r}")
    return event


def _request(line: int, event: JsonRow) -> _Request:
    asked = _object("request", required(event, "request"))
    start_ps, end_ps = _times_ps(event, asked)
    replay = _object("request.replay", asked.get("replay") or {})
    length = replay.get("input_length", asked.get("input_tokens"))
    if length is None:
        raise BadValueError("request has neither replay.input_length nor input_tokens")
    prompt = tokens("input_length", length)
    block, hashes = _hashes(replay, prompt) if replay else (0, [])
    session, parent = _context(event)
    return _Request(
        line,
        str(required(asked, "request_id")),
        session,
        parent,
        start_ps,
        end_ps,
        prompt,
        tokens("output_tokens", required(asked, "output_tokens")),
        block,
        hashes,
    )


def _times_ps(event: JsonRow, asked: JsonRow) -> tuple[int, int]:
    """From when it was received to when its answer had ended."""
    ended_ps = time_ps("event_time_unix_ms", required(event, "event_time_unix_ms"), "ms", PS_PER_MS)
    received, total = asked.get("request_received_ms"), asked.get("total_time_ms")
    total_ps = None if total is None else time_ps("total_time_ms", total, "ms", PS_PER_MS)
    if received is None:
        return max(0, ended_ps - (total_ps or 0)), ended_ps
    start_ps = time_ps("request_received_ms", received, "ms", PS_PER_MS)
    return start_ps, max(start_ps, ended_ps if total_ps is None else start_ps + total_ps)


def _context(event: JsonRow) -> tuple[str | None, str | None]:
    context = _object("agent_context", event.get("agent_context") or {})
    for name, parent in NAMES:
        if context.get(name) is not None:
            of = context.get(parent)
            return str(context[name]), None if of is None else str(of)
    return None, None


def _hashes(replay: JsonRow, prompt_tokens: int) -> tuple[int, list[int]]:
    block = integer("trace_block_size", required(replay, "trace_block_size"))
    if not 1 <= block <= MAX_TOKENS:
        raise BadValueError(f"trace_block_size is {block}, expected a whole number of tokens")
    hashes = required(replay, "input_sequence_hashes")
    if not isinstance(hashes, list):
        raise BadValueError(f"input_sequence_hashes is {shortly(hashes)}, expected a list")
    for one in hashes:
        if type(one) is not int or not 0 <= one <= MAX_HASH_ID:
            raise BadValueError(f"input_sequence_hashes has {shortly(one)}, expected numbers below 2**64")
    if len(hashes) * block < prompt_tokens:
        raise BadValueError(
            f"input_length is {prompt_tokens}, and the {len(hashes)} input_sequence_hashes of {block} tokens "
            f"each cover {len(hashes) * block}"
        )
    return block, hashes


def _same_blocks(before: Sequence[_Request], request: _Request) -> None:
    if before and before[0].block_tokens != request.block_tokens:
        raise BadValueError(
            f"trace_block_size is {request.block_tokens}, and {before[0].block_tokens} in line "
            f"{before[0].line}: these hashes cannot be compared"
        )


def _object(key: str, value: object) -> JsonRow:
    if not isinstance(value, dict):
        raise BadValueError(f"{key} is {shortly(value)}, expected an object")
    return value


def _sessions(path: Path, requests: Sequence[_Request]) -> Iterator[SessionRow]:
    """Agents with all that their children do; a request without a session is one of its own."""
    chains: dict[str, list[_Request]] = {}
    for request in requests:
        name = f"request {request.name}" if request.session is None else request.session
        chains.setdefault(name, []).append(request)
    stated = ((name, chain[0].parent) for name, chain in chains.items())
    parents = {name: parent for name, parent in stated if parent is not None and parent in chains}
    after = {request.line: set[int]() for request in requests}
    for name, chain in chains.items():
        for before, request in pairwise(chain):
            after[request.line].add(before.line)
        if (parent := parents.get(name)) is not None:
            _join(chains[parent], chain, after)
    by_root: dict[str, list[_Request]] = {}
    for name, chain in chains.items():
        by_root.setdefault(_root(path, name, parents, chain), []).extend(chain)
    names = RunNames()
    for root, chain in by_root.items():
        chain.sort(key=lambda request: (request.start_ps, request.end_ps, request.name))
        yield SessionRow(root, chain[0].start_ps, list(_turns(chain, after, names)))


def _root(path: Path, name: str, parents: dict[str, str], chain: Sequence[_Request]) -> str:
    way = [name]
    while (parent := parents.get(way[-1])) is not None:
        if parent in way:
            circle = " of ".join(map(repr, [*way[way.index(parent) :], parent]))
            raise TraceError(f"{path} line {chain[0].line}: sessions are each other's children: {circle}")
        way.append(parent)
    return way[-1]


def _join(parent: Sequence[_Request], child: Sequence[_Request], after: dict[int, set[int]]) -> None:
    """Where a child session begins and where its parent waits for it, told from times."""
    ended = [request for request in parent if request.end_ps <= child[0].start_ps]
    if ended:
        after[child[0].line].add(max(ended, key=lambda request: (request.end_ps, request.start_ps)).line)
    last = max(child, key=lambda request: (request.end_ps, request.start_ps))
    starts = [request.start_ps for request in parent]
    place = bisect_left(starts, last.end_ps)
    if place < len(parent):
        after[parent[place].line].add(last.line)


def _turns(chain: Sequence[_Request], after: dict[int, set[int]], names: RunNames) -> Iterator[TurnRow]:
    by_line = {request.line: request for request in chain}
    for request in chain:
        before = [by_line[line] for line in sorted(after[request.line])]
        free_ps = max((one.end_ps for one in before), default=chain[0].start_ps)
        yield TurnRow(
            request.line,
            str(request.line),
            request.prompt_tokens,
            request.output_tokens,
            tuple(str(one.line) for one in before),
            max(0, request.start_ps - free_ps),
            prefix=names.prefix(
                request.hash_ids, request.block_tokens, request.prompt_tokens, f"line {request.line}"
            ),
            sent_ps=request.start_ps,
        )
