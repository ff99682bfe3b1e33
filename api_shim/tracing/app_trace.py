"""The trace of a user's request to an application, with the calls to the model that it made for that.

The application is told its `traceparent`. Where its HTTP client passes that on, we know which call is whose;
else only of the calls that it makes while it answers nobody else.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from api_shim.clocks.clock import Clock
from api_shim.store.traces import Trace, TraceRow, TraceSpan
from api_shim.tracing.kept import BODY_BYTES, LOG, MARGIN_BYTES, PARSED_BYTES, WhoAsks, kept_text, parsed
from api_shim.tracing.redaction import Redaction
from api_shim.tracing.span_ids import trace_of, traceparent_within

MOST_CALLS = 1000
"""Whose stages are kept."""
STREAM = "text/event-stream"


class AppTrace:
    """Of a request that an application is answering."""

    def __init__(
        self,
        who: WhoAsks,
        clock: Clock,
        trace_id: str,
        add: Callable[[Callable[[], Trace]], object],
        *,
        place: str,
        app: str,
        sampled: bool,
    ) -> None:
        self.who = who
        self.app = app
        self.sampled = sampled
        self.logged = False
        """By `log: true` in its body."""
        self._clock = clock
        self._id = trace_id
        self._add = add
        self._place = place
        self._raw = b""
        self._raw_bytes = 0
        self._answer: list[bytes] = []
        self._kept_bytes = self._answer_bytes = 0
        self._calls: list[TraceRow] = []
        self._spans: list[TraceSpan] = []

    @property
    def is_kept(self) -> bool:
        return self.sampled or self.logged

    @property
    def traceparent(self) -> str:
        """What the application is to pass on."""
        return traceparent_within(self.who.traceparent, self._id, sampled=self.is_kept)

    @property
    def trace(self) -> str:
        """The id that all of it share, the client's own included."""
        return trace_of(self.traceparent)

    def heard(self, chunk: bytes) -> None:
        """Of the body, before the application does."""
        self._raw_bytes += len(chunk)
        self._raw += chunk[: PARSED_BYTES - len(self._raw)]

    def heard_all(self) -> None:
        if self._raw_bytes <= PARSED_BYTES:
            self.logged = LOG in self._raw and parsed(self._raw).get("log") is True

    def wrote(self, chunk: bytes) -> None:
        self._answer_bytes += len(chunk)
        if self.logged and self._kept_bytes < BODY_BYTES + MARGIN_BYTES:
            self._answer.append(chunk)
            self._kept_bytes += len(chunk)

    def made(self, row: TraceRow, spans: list[TraceSpan]) -> None:
        """A call to the model is over."""
        if len(self._calls) < MOST_CALLS:
            self._calls.append(row)
            for span in spans:
                span.attributes["call"] = len(self._calls)
            self._spans += spans

    def end(self, stamps: dict[str, int], status: int, outcome: str, *, streamed: bool) -> None:
        if not self.is_kept:
            return
        now_ps = self._clock.timeline.now
        began_ps = stamps["sent"]
        ended_ps = max(stamps.get("ended", now_ps), began_ps)
        calls = self._calls
        seen_ps = stamps.get("first-seen", ended_ps if status else None)
        row = TraceRow(
            id=self._id,
            request_id=self.who.request_id,
            project=self.who.project,
            endpoint=self.who.endpoint,
            model=calls[0].model if calls else "",
            status=status,
            outcome=outcome,
            began_ns=self._clock.date_ns(began_ps),
            duration_ps=ended_ps - began_ps,
            first_seen_ps=None if seen_ps is None else seen_ps - began_ps,
            prompt_tokens=sum(call.prompt_tokens for call in calls),
            output_tokens=sum(call.output_tokens for call in calls),
            streamed=streamed,
            logged=self.logged,
        )
        own = list(_own_spans(stamps, ended_ps, self.app))
        spans = sorted([*own, *self._spans], key=lambda span: span.began_ps)
        self._add(partial(self._trace, row, began_ps, spans))

    def _trace(self, row: TraceRow, began_ps: int, spans: list[TraceSpan]) -> Trace:
        """Aside."""
        redaction = Redaction(self.who.secret)
        of_answer = redaction.events if row.streamed and row.status == HTTPStatus.OK else redaction.answer
        kept = self.logged
        return Trace(
            row=row,
            began_ps=began_ps,
            spans=spans,
            key=self.who.key,
            place=self._place,
            request=kept_text([self._raw], self._raw_bytes, redaction.text, redaction) if kept else None,
            response=kept_text(self._answer, self._answer_bytes, of_answer, redaction) if kept else None,
            traceparent=self.who.traceparent,
        )


def _own_spans(stamps: dict[str, int], ended_ps: int, app: str) -> list[TraceSpan]:
    """The way there, the application's time, and the way back; what had begun ends with the request."""
    cold = stamps["connected"] > stamps["sent"]
    way = [("set_up", stamps["sent"])] if cold else []
    way += [("network", stamps["connected"]), ("app", stamps["arrived"])]
    if "done" in stamps:
        way.append(("return", stamps["done"]))
    ends = [began_ps for _, began_ps in way[1:]]
    return [
        TraceSpan(name, began_ps, min(until_ps, ended_ps), {"app": app} if name == "app" else {})
        for (name, began_ps), until_ps in zip(way, [*ends, ended_ps], strict=True)
        if began_ps <= ended_ps
    ]
