"""Traces as OpenTelemetry's spans, sent to a collector over HTTP by a thread of its own.

Nothing is set globally: there is no provider, hence none that other libraries would begin to report to.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from queue import Empty, Full, Queue

from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from api_shim.store.traces import Trace
from api_shim.tracing import genai
from api_shim.tracing.span_ids import span_number, trace_number

PRODUCT = "e80sim"
SCOPE = InstrumentationScope(PRODUCT)
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
MOST_WAITING = 2048
"""Traces; those that come when so many wait are not sent."""
MOST_AT_ONCE = 128
TIMEOUT_S = 5.0
"""For a batch, tries included; and for all that is left at the end."""
PS_PER_NS = 1000


class Exporting:
    """A bounded queue and the thread that empties it. To call it neither waits nor fails."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` is the whole URL. OTEL_EXPORTER_OTLP_HEADERS and its kin are honoured."""
        self.endpoint = endpoint
        self.offered = self.exported = 0
        quiet = logging.getLogger(trace_exporter.__name__)  # what is missing is told once, at the end
        quiet.setLevel(logging.CRITICAL)
        self._exporter = trace_exporter.OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT_S)
        own = Resource({SERVICE_NAME: PRODUCT, SERVICE_VERSION: version(PRODUCT)})
        self._resource = own.merge(
            OTELResourceDetector().detect()
        )  # OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
        self._queue: Queue[Callable[[], Trace] | None] = Queue(MOST_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def __call__(self, make: Callable[[], Trace]) -> None:
        self.offered += 1
        try:
            self._queue.put_nowait(make)
        except Full:
            return  # which shows in the numbers

    def close(self) -> None:
        """Send what waits, if the collector takes it in time."""
        self._closing.set()
        with suppress(Full):  # then the thread is not waiting for anything to come
            self._queue.put_nowait(None)
        self._thread.join(TIMEOUT_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no annotations
        self._thread.join(1.0)

    def missing(self) -> str | None:
        """A sentence, where something is."""
        lacking = self.offered - self.exported
        return f"{lacking} of {self.offered} traces did not reach {self.endpoint}" if lacking else None

    def _run(self) -> None:
        while batch := self._next_batch():
            spans = [span for make in batch for span in spans_of(make(), self._resource)]
            if self._exporter.export(spans) is SpanExportResult.SUCCESS:
                self.exported += len(batch)

    def _next_batch(self) -> list[Callable[[], Trace]]:
        """Empty at the end. It waits for the first, and takes with it what else is there."""
        batch: list[Callable[[], Trace]] = []
        try:
            while len(batch) < MOST_AT_ONCE:
                make = self._queue.get(block=not batch and not self._closing.is_set())
                if make is not None:
                    batch.append(make)
        except Empty:
            pass
        return batch


def spans_of(trace: Trace, resource: Resource) -> Iterator[ReadableSpan]:
    """One for the request, and one in it for each of its stages. Its ids are the same whenever it is made."""
    parent = _context_of(trace.traceparent)
    trace_id = parent.trace_id if parent is not None else trace_number(trace.row.id)
    around = SpanContext(trace_id, span_number(trace.row.id), is_remote=False, trace_flags=SAMPLED)
    row = trace.row
    yield ReadableSpan(
        " ".join(filter(None, [genai.operation(trace), row.model])),
        context=around,
        parent=parent,
        resource=resource,
        attributes=genai.of_request(trace),
        kind=SpanKind.SERVER,
        status=Status(StatusCode.ERROR, genai.error_type(trace)) if genai.failed(trace) else Status(),
        start_time=row.began_ns,
        end_time=row.began_ns + row.duration_ps // PS_PER_NS,
        instrumentation_scope=SCOPE,
    )
    for number, span in enumerate(trace.spans):
        yield ReadableSpan(
            span.name,
            context=SpanContext(
                trace_id, span_number(trace.row.id, str(number)), is_remote=False, trace_flags=SAMPLED
            ),
            parent=around,
            resource=resource,
            attributes=genai.of_stage(span),
            start_time=row.began_ns + (span.began_ps - trace.began_ps) // PS_PER_NS,
            end_time=row.began_ns + (span.ended_ps - trace.began_ps) // PS_PER_NS,
            instrumentation_scope=SCOPE,
        )


def _context_of(traceparent: str) -> SpanContext | None:
    if not traceparent:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")[:4]
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
