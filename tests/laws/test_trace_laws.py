"""Wherever a request is when its client leaves: its stages follow each other, and end when it does."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from api_shim.store.traces import TraceSpan, TracesWanted
from tests.support.live import MS, Wire, chat, make_wire

ORDER = ["set_up", "network", "admission", "queue", "prefill", "decode", "return"]


def lengths(spans: list[TraceSpan], sample: int) -> int:
    """Of the way of one completion."""
    mine = [span for span in spans if span.attributes.get("sample", sample) == sample]
    assert [span.name for span in mine] == [name for name in ORDER if name in {span.name for span in mine}]
    assert all(
        before.ended_ps == after.began_ps for before, after in pairwise(mine) if after.name != "return"
    )
    return sum(span.ended_ps - span.began_ps for span in mine)


@settings(max_examples=50)
@given(
    leave_ms=st.integers(0, 130),
    samples=st.integers(1, 3),
    tokens=st.integers(1, 4),
    stream=st.booleans(),
    place=st.sampled_from(["here", "away"]),
)
def test_stages_have_no_gap_and_last_as_long_as_the_trace(
    leave_ms: int, samples: int, tokens: int, stream: bool, place: str
) -> None:
    with make_wire().platform as platform:
        wire = Wire(platform)
        _hold(wire, leave_ms * MS + MS // 2, samples, tokens, stream=stream, place=place)


def _hold(wire: Wire, leave_ps: int, samples: int, tokens: int, *, stream: bool, place: str) -> None:
    body = chat(log=True, n=samples, stream=stream)
    headers = {"x-sim-place": place, "x-sim-output-tokens": str(tokens)}

    async def story() -> None:
        await wire.send("/v1/chat/completions", body, headers=headers, leave_at_ps=leave_ps)

    wire.platform.run(story())
    traces, now_s = wire.platform.shim.store.traces, wire.platform.shim.clock.unix_s()
    (row,) = traces.page(None, now_s, TracesWanted()).rows
    trace = traces.get(None, row.id, now_s)
    assert trace is not None
    assert row.duration_ps <= leave_ps
    assert (row.outcome == "cancelled") == (row.duration_ps == leave_ps)
    assert max(span.ended_ps for span in trace.spans) == row.duration_ps
    assert all(0 <= span.began_ps <= span.ended_ps for span in trace.spans)
    assert row.output_tokens <= samples * tokens
    if samples == 1:
        assert lengths(trace.spans, 0) == row.duration_ps
    else:
        assert all(lengths(trace.spans, sample) <= row.duration_ps for sample in range(samples))
