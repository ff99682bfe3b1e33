"""The spans that the server sends to a collector are a recording of what asked it."""

import asyncio
from pathlib import Path

from opentelemetry.sdk.resources import Resource

from api_shim.tracing.otlp import spans_of
from tests.support.live import LLAMA, MakeWire, Wire, chat
from tests.support.otlp_json import as_otlp
from traffic.traces import Recording, read_recording

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MS = 10**9
JSON = {"content-type": "application/json"}


def recorded(wire: Wire, folder: Path) -> Recording:
    """What a collector would have written down of all that was traced."""
    shim = wire.platform.shim
    kept = wire.ask("/v1/traces").json["data"][::-1]
    traces = [shim.store.traces.get(None, one["id"], shim.clock.unix_s()) for one in kept]
    spans = [span for trace in traces if trace is not None for span in spans_of(trace, Resource({}))]
    path = folder / "spans.jsonl"
    path.write_text(as_otlp(spans))
    return read_recording(path)


def test_requests_of_one_trace_are_turns_of_one_session(make: MakeWire, tmp_path: Path) -> None:
    wire = make()
    for tokens in (3, 5, 4):
        headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "x-sim-output-tokens": str(tokens)}
        assert wire.ask(body=chat("hello", log=True), headers=headers).status == 200
        wire.platform.run(asyncio.sleep(0.25))
    (session,) = recorded(wire, tmp_path).sessions
    assert [turn.after for turn in session.turns] == [(), (0,), (1,)]
    assert [turn.output_tokens for turn in session.turns] == [3, 5, 4]
    assert len({turn.prompt_tokens for turn in session.turns}) == 1
    assert [turn.delay_ps for turn in session.turns] == [0, 250 * MS, 250 * MS]


def test_responses_of_one_conversation_are_turns_of_one_session(make: MakeWire, tmp_path: Path) -> None:
    wire = make()
    conversation = wire.ask("/v1/conversations", {}, headers=JSON).json["id"]
    for named in (conversation, {"id": conversation}):
        body = {"model": LLAMA, "input": "hello", "conversation": named, "log": True}
        assert wire.ask("/v1/responses", body, headers=JSON).status == 200
    (session,) = recorded(wire, tmp_path).sessions
    assert (session.name, [turn.after for turn in session.turns]) == (conversation, [(), (0,)])
    assert session.turns[1].prompt_tokens > session.turns[0].prompt_tokens
