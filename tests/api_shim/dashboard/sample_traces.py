"""Traces as the server keeps them, with markup wherever a client can put some."""

from api_shim.store.store import Store
from api_shim.store.traces import KeptText, Trace, TraceRow, TraceSpan
from tests.support.live import LLAMA, MS

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
BEGAN_PS = 5 * 10**12


def trace(number: int, began_s: float, **row: object) -> Trace:
    """A chat of 61 ms: 10 out, 11 of prefill, 30 of decode, 10 back. `row` is put over its row."""
    values: dict[str, object] = {
        "id": f"{number:032x}",
        "request_id": f"req_{number}",
        "project": "default",
        "endpoint": "/v1/chat/completions",
        "model": LLAMA,
        "status": 200,
        "outcome": "stop",
        "began_ns": round(began_s * 10**9),
        "duration_ps": 61 * MS,
        "first_seen_ps": 31 * MS,
        "prompt_tokens": 11,
        "output_tokens": 4,
        "streamed": False,
        "logged": True,
    }
    spans, at_ps = [], BEGAN_PS
    for name, lasted in {
        "network": 10,
        "admission": 0,
        "queue": 0,
        "prefill": 11,
        "decode": 30,
        "return": 10,
    }.items():
        spans.append(TraceSpan(name, at_ps, at_ps + lasted * MS, {"request": number, "node": 0}))
        at_ps += lasted * MS
    return Trace(
        TraceRow(**values | row),  # type: ignore[arg-type]  # by name, as the test says
        BEGAN_PS,
        spans,
        key="key_0123456789ab",
        place="here",
        finish_reasons=["stop"],
        settings={"max_tokens": 4, "user": MARKUP},
        messages=[("user", f"What is {MARKUP}?")],
        request=KeptText('{"messages": [{"content": "<script>alert(2)</script>"}]}', 50, cut=False),
        response=KeptText("data: {}\n\n", 10, cut=True),
    )


def keep(store: Store, *traces: Trace) -> None:
    for one in traces:
        store.traces.add(lambda one=one: one)  # type: ignore[misc]  # bound at once
    store.traces.write(max(one.row.began_ns for one in traces) / 10**9)
