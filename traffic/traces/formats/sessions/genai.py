"""Spans by OpenTelemetry's conventions for generative AI: which model call of an agent waited for which.

From docs/gen-ai of open-telemetry/semantic-conventions-genai, status Development, as read in 2026. Spans say
when calls were made and within what, not what they waited for. Under one span, whatever had ended when
another began was waited for; an agent's first calls wait for what the agent itself waited for. So tools and
agents that ran side by side stay side by side, and a call that needed several of them waits for all.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from traffic.traces.formats.fields import BadValueError, tokens
from traffic.traces.formats.sessions.spans import Span, read_spans
from traffic.traces.recording import Recording
from traffic.traces.session_rows import SessionRow, Skipped, TurnRow, recording_of
from traffic.traces.words import TraceError

CALLS = {"chat", "text_completion", "generate_content"}
"""Operations that ask a model for text; what tools and agents do lies between and around them."""
OPERATION = "gen_ai.operation.name"
CONVERSATION = "gen_ai.conversation.id"
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
"""The names of today, and those until 2024."""
MOST_LEVELS = 200
PS_PER_NS = 1000


def read_genai_spans(path: Path, limit_rows: int | None = None) -> Recording:
    """A session for each `gen_ai.conversation.id`; calls without one are those of their trace."""
    spans = _Spans(path, limit_rows)
    rows = [spans.session(name, calls) for name, calls in spans.sessions().items()]
    return recording_of(path, rows, spans.notes())


@dataclass(slots=True)
class _Node:
    """A span that makes model calls, or is one."""

    span: Span
    start_ns: int
    end_ns: int
    children: list["_Node"] = field(default_factory=list)


class _Spans:
    def __init__(self, path: Path, limit_rows: int | None) -> None:
        self._path = path
        self._by_id: dict[tuple[str, str], Span] = {}
        self._others = self._within = 0
        self._skipped = Skipped()
        self._sizes: dict[tuple[str, str], tuple[int, int]] = {}
        for span in read_spans(path, limit_rows):
            self._by_id[span.trace, span.name] = span

    def sessions(self) -> dict[str, list[Span]]:
        """The calls of each."""
        usage: dict[tuple[str, str], tuple[int, int]] = {}
        for span in self._by_id.values():
            if self._is_call(span):
                outermost = self._outermost(span)
                self._within += outermost is not span
                stated = self._usage(span)
                known = usage.get((outermost.trace, outermost.name), (0, 0))
                usage[outermost.trace, outermost.name] = max(stated, known, key=min)
            else:
                self._others += 1
        found: dict[str, list[Span]] = {}
        for key, size in usage.items():
            span = self._by_id[key]
            if not self._skipped(span.line, *size):
                self._sizes[key] = size
                found.setdefault(self._session_of(span), []).append(span)
        return found

    def session(self, name: str, calls: Sequence[Span]) -> SessionRow:
        """Its calls, and what each waits for."""
        top = self._tree(calls)
        graph = _Graph({(span.trace, span.name): span for span in calls})
        graph.under(top, ())
        start_ns = min(span.start_ns for span in calls)
        rows = [self._turn(span, graph.after[span.trace, span.name], start_ns) for span in calls]
        return SessionRow(name, start_ns * PS_PER_NS, sorted(rows, key=lambda row: (row.sent_ps, row.line)))

    def notes(self) -> Iterator[str]:
        if self._others:
            yield f"Spans that are no model calls, which tell only what lies within what: {self._others:,}."
        if self._within:
            yield f"Model calls within model calls, taken for the same ones: {self._within:,}."
        yield from self._skipped.notes()

    def _turn(self, span: Span, after: Sequence[Span], session_ns: int) -> TurnRow:
        free_ns = max((before.end_ns for before in after), default=session_ns)
        prompt, output = self._sizes[span.trace, span.name]
        return TurnRow(
            span.line,
            _name(span),
            prompt,
            output,
            tuple(_name(before) for before in after),
            (span.start_ns - free_ns) * PS_PER_NS,
            sent_ps=span.start_ns * PS_PER_NS,
        )

    def _is_call(self, span: Span) -> bool:
        operation = span.attributes.get(OPERATION)
        return isinstance(operation, str) and operation in CALLS

    def _usage(self, span: Span) -> tuple[int, int]:
        try:
            return _count(span, INPUT), _count(span, OUTPUT)
        except BadValueError as problem:
            raise TraceError(f"{self._path} line {span.line}: {problem}") from None

    def _around(self, span: Span) -> Iterator[Span]:
        """What it lies within, from the inside out, as far as the file has it."""
        seen = 0
        while span.parent is not None and (around := self._by_id.get((span.trace, span.parent))) is not None:
            seen += 1
            if seen > MOST_LEVELS:
                raise TraceError(
                    f"{self._path} line {span.line}: span {span.name} lies within more than {MOST_LEVELS} "
                    f"others, or within itself"
                )
            yield around
            span = around

    def _outermost(self, span: Span) -> Span:
        """A client's call has the server's within it, and may have another library's around it."""
        return [span, *(around for around in self._around(span) if self._is_call(around))][-1]

    def _session_of(self, span: Span) -> str:
        named = (one.attributes.get(CONVERSATION) for one in (span, *self._around(span)))
        return next((str(name) for name in named if name), f"trace {span.trace}")

    def _tree(self, calls: Sequence[Span]) -> list[_Node]:
        """What lies within nothing, with all that lies within it and makes calls."""
        top: list[_Node] = []
        made: dict[tuple[str, str], _Node] = {}
        for call in calls:
            inner: _Node | None = None
            for span in (call, *self._around(call)):
                node = made.get((span.trace, span.name))
                known = node is not None
                if node is None:
                    node = made[span.trace, span.name] = _Node(span, span.start_ns, span.end_ns)
                if inner is not None:
                    node.children.append(inner)
                inner = None if known else node
                node.start_ns = min(node.start_ns, call.start_ns)
                node.end_ns = max(node.end_ns, call.end_ns)
            if inner is not None:
                top.append(inner)
        return top


class _Graph:
    """Whom each call waits for."""

    def __init__(self, calls: dict[tuple[str, str], Span]) -> None:
        self._calls = calls
        self.after: dict[tuple[str, str], tuple[Span, ...]] = {}

    def under(self, nodes: Sequence[_Node], before: tuple[Span, ...]) -> tuple[Span, ...]:
        """Of spans side by side, whose first ones wait for `before`: the calls that end them."""
        nodes = sorted(nodes, key=lambda node: (_end(node), node.start_ns, node.span.line))
        ends = [_end(node) for node in nodes]
        # Of spans that had ended, those count that none had followed which had ended, too
        latest_starts = list(accumulate((node.start_ns for node in nodes), max))
        exits: dict[int, tuple[Span, ...]] = {}
        for place in sorted(range(len(nodes)), key=lambda place: (nodes[place].start_ns, place)):
            node, over = nodes[place], bisect_right(ends, nodes[place].start_ns)
            first = bisect_right(ends, latest_starts[over - 1]) if over else 0
            waits = tuple(call for one in range(first, over) for call in exits[one]) or before
            exits[place] = self._of_node(node, waits)
        first = bisect_right(ends, latest_starts[-1])
        return tuple(call for one in range(first, len(nodes)) for call in exits[one])

    def _of_node(self, node: _Node, waits: tuple[Span, ...]) -> tuple[Span, ...]:
        key = node.span.trace, node.span.name
        if key not in self._calls:
            return self.under(node.children, waits)
        self.after[key] = waits
        return (node.span,)


def _end(node: _Node) -> int:
    """A span that takes no time still has a time before it and one after."""
    return max(node.end_ns, node.start_ns + 1)


def _name(span: Span) -> str:
    return f"{span.trace}/{span.name}"


def _count(span: Span, names: Sequence[str]) -> int:
    for name in names:
        if (value := span.attributes.get(name)) is not None:
            return tokens(name, value)
    return 0
