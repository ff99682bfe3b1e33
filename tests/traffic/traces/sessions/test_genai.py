"""OpenTelemetry's spans of model calls, agents and tools, as its SDK and its collectors write them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.otlp_json import as_otlp, as_sdk
from traffic.traces import TraceError, read_recording, read_trace
from traffic.traces.formats.table import recognised
from traffic.traces.recording import RecordedSession

MS = 10**9
NS_IN_MS = 10**6
BEGAN_MS = 1_777_312_800_000

Json = dict[str, object]


class Sdk:
    """The real one, with stated times."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self._tracer = provider.get_tracer("test")

    def span(
        self,
        operation: str,
        from_ms: int,
        to_ms: int,
        within: otel.Span | None = None,
        also: dict[str, str | int] | None = None,
    ) -> otel.Span:
        attributes = {"gen_ai.operation.name": operation, **(also or {})}
        context = None if within is None else otel.set_span_in_context(within)
        start_ns = (BEGAN_MS + from_ms) * NS_IN_MS
        made = self._tracer.start_span(operation, context, attributes=attributes, start_time=start_ns)
        made.end((BEGAN_MS + to_ms) * NS_IN_MS)
        return made

    def chat(
        self,
        from_ms: int,
        to_ms: int,
        within: otel.Span | None = None,
        tokens: int = 100,
        also: dict[str, str | int] | None = None,
    ) -> otel.Span:
        usage = {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": 7}
        return self.span("chat", from_ms, to_ms, within, {**usage, **(also or {})})

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._kept.get_finished_spans()


def written(folder: Path, text: str) -> Path:
    path = folder / "spans.jsonl"
    path.write_text(text)
    return path


def waits(session: RecordedSession) -> list[tuple[tuple[int, ...], int]]:
    return [(one.after, one.delay_ps // MS) for one in session.turns]


def agent() -> Sdk:
    """It plans, lets two agents work side by side, one of them with a tool, and sums up."""
    sdk = Sdk()
    around = sdk.span("invoke_agent", 0, 100)
    sdk.chat(0, 10, around, tokens=50)
    left, right = sdk.span("invoke_agent", 20, 60, around), sdk.span("invoke_agent", 21, 70, around)
    sdk.chat(22, 30, left)
    sdk.span("execute_tool", 31, 39, left)
    sdk.chat(40, 58, left)
    sdk.chat(25, 65, right)
    sdk.chat(80, 95, around, tokens=400)
    return sdk


@pytest.mark.parametrize("form", [as_otlp, as_sdk])
def test_calls_wait_for_what_had_ended_and_agents_side_by_side_do_not(
    tmp_path: Path, form: Callable[[Sequence[ReadableSpan]], str]
) -> None:
    path = written(tmp_path, form(agent().spans))
    assert recognised(path) == "genai_spans"
    (session,) = read_recording(path).sessions
    # plan; left 1; right; left 2, which does not wait for right; the sum, which waits for both
    assert waits(session) == [((), 0), ((0,), 12), ((0,), 15), ((1,), 10), ((2, 3), 15)]
    assert [one.prompt_tokens for one in session.turns] == [50, 100, 100, 100, 400]
    assert (read_trace(path).arrival_ps // MS).tolist() == [0, 22, 25, 40, 80]


def test_calls_of_a_conversation_belong_together_over_several_traces(tmp_path: Path) -> None:
    sdk = Sdk()
    named: dict[str, str | int] = {"gen_ai.conversation.id": "c"}
    first = sdk.span("invoke_agent", 0, 20, also=named)
    sdk.chat(5, 15, first)
    sdk.chat(1000, 1010, also=named)
    sdk.chat(500, 510)
    sessions = read_recording(written(tmp_path, as_otlp(sdk.spans))).sessions
    assert [waits(session) for session in sessions] == [[((), 0), ((0,), 985)], [((), 0)]]
    assert (sessions[0].name, sessions[1].start_ps) == ("c", 495 * MS)


def test_a_call_within_a_call_is_the_same_call(tmp_path: Path) -> None:
    """A library's around the client's, and the server's in it: whoever tells of tokens, it is one."""
    sdk = Sdk()
    outer = sdk.span("chat", 0, 30)
    inner = sdk.span("chat", 1, 29, outer)
    sdk.chat(5, 25, inner, tokens=77)
    sdk.chat(40, 50)
    recording = read_recording(written(tmp_path, as_otlp(sdk.spans)))
    assert [one.prompt_tokens for session in recording.sessions for one in session.turns] == [77, 100]
    assert "Model calls within model calls, taken for the same ones: 2." in recording.notes


def test_calls_that_failed_are_left_out_and_nobody_waits_for_them(tmp_path: Path) -> None:
    sdk = Sdk()
    around = sdk.span("invoke_agent", 0, 100)
    sdk.chat(0, 10, around)
    sdk.span("chat", 20, 25, around)
    sdk.chat(30, 40, around)
    recording = read_recording(written(tmp_path, as_sdk(sdk.spans)))
    assert waits(recording.sessions[0]) == [((), 0), ((0,), 20)]
    assert "1 row with 0 prompt tokens skipped (in line 3)." in recording.notes


def test_names_of_older_conventions_are_known(tmp_path: Path) -> None:
    sdk = Sdk()
    older: dict[str, str | int] = {"gen_ai.usage.prompt_tokens": 9, "gen_ai.usage.completion_tokens": 4}
    sdk.span("text_completion", 0, 10, also=older)
    (session,) = read_recording(written(tmp_path, as_sdk(sdk.spans))).sessions
    assert (session.turns[0].prompt_tokens, session.turns[0].output_tokens) == (9, 4)


def test_calls_that_take_no_time_still_follow_each_other(tmp_path: Path) -> None:
    sdk = Sdk()
    around = sdk.span("invoke_agent", 0, 100)
    for at_ms in (0, 0, 1, 2):
        sdk.chat(at_ms, at_ms, around)
    (session,) = read_recording(written(tmp_path, as_otlp(sdk.spans))).sessions
    assert waits(session) == [((), 0), ((), 0), ((0, 1), 1), ((2,), 1)]


def span(**changes: object) -> Json:
    plain: Json = {
        "traceId": "0" * 31 + "1",
        "spanId": "0" * 15 + "1",
        "startTimeUnixNano": "10",
        "endTimeUnixNano": "20",
        "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}],
    }
    return {key: value for key, value in (plain | changes).items() if value is not None}


def usage(value: Json) -> list[Json]:
    return [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.usage.input_tokens", "value": value},
    ]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (span(spanId=None), "line 1: spanId is missing"),
        (span(traceId=5), "line 1: traceId is 5, expected an id"),
        (span(startTimeUnixNano="soon"), "line 1: startTimeUnixNano is 'soon', expected whole nanoseconds"),
        (span(endTimeUnixNano="9"), "line 1: a span ends 1 ns before it starts"),
        (span(attributes={}), r"line 1: attributes is \{\}, expected a list"),
        (
            span(attributes=usage({"stringValue": "many"})),
            "line 1: gen_ai.usage.input_tokens is 'many', expected a whole number",
        ),
        (span(attributes=usage({"intValue": "-1"})), "line 1: gen_ai.usage.input_tokens is '-1'"),
        (span(parentSpanId="0" * 15 + "1"), "lies within more than 200 others, or within itself"),
        (span(attributes=[]), "holds no turns to replay. Spans that are no model calls"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, wrong: Json, sentence: str) -> None:
    batch = {"resourceSpans": [{"scopeSpans": [{"spans": [wrong]}]}]}
    with pytest.raises(TraceError, match=sentence):
        read_recording(written(tmp_path, json.dumps(batch) + "\n"))


def test_a_date_that_is_none_is_told(tmp_path: Path) -> None:
    text = as_sdk(agent().spans).replace("2026-", "never-", 1)
    with pytest.raises(TraceError, match=r"line 1: start_time is 'never-.*, expected the form 2026-11-29T"):
        read_recording(written(tmp_path, text))
