"""The files with a row per request and nothing else: our own, LLMServingSim's, BLIS's, inference-perf's."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO

from e80sim.measured import MeasuredRequest, MeasuredRequests
from e80sim.measured.blis import COLUMNS as BLIS_COLUMNS
from reports.exports.answers import About
from reports.exports.spread import MS_PER_S, gaps_ms

COLUMNS = (
    "arrival_s",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "ttft_ms",
    "tpot_ms",
    "e2e_ms",
    "error",
)
US_PER_S, US_PER_MS = 10**6, 10**3


def columns_csv(requests: MeasuredRequests, _about: About) -> Iterator[str]:
    yield ",".join(COLUMNS)
    for row in requests.rows:
        yield _csv([getattr(row, name) for name in COLUMNS])


def llmservingsim_jsonl(requests: MeasuredRequests, _about: About) -> Iterator[str]:
    """`queued_ts` stands for the send. There is no `scheduled_ts`: a client does not see it."""
    for number, row in enumerate(requests.answered):
        if row.ttft_ms is None or row.e2e_ms is None:
            continue
        yield json.dumps(
            {
                "request_id": f"e80sim-{number}",
                "input_toks": row.input_tokens,
                "output_toks": row.output_tokens,
                "arrival_time": row.arrival_s,
                "queued_ts": row.arrival_s,
                "first_token_ts": row.arrival_s + row.ttft_ms / MS_PER_S,
                "last_token_ts": row.arrival_s + row.e2e_ms / MS_PER_S,
            }
        )


def llmservingsim_losses(requests: MeasuredRequests) -> Iterator[str]:
    left_out = sum(row.error is not None or row.ttft_ms is None for row in requests.rows)
    if left_out:
        yield f"{left_out:,} requests that failed or were not streamed are left out."


def blis_csv(requests: MeasuredRequests, about: About) -> Iterator[str]:
    """Stamps since 1970 but for `arrival_time_us`, as `blis observe` has them."""
    yield ",".join(BLIS_COLUMNS)
    origin_us = int(about.created.timestamp()) * US_PER_S
    for number, row in enumerate(requests.rows):
        sent_us = origin_us + round(row.arrival_s * US_PER_S)
        values: dict[str, object] = dict.fromkeys(BLIS_COLUMNS, 0) | {
            "request_id": number,
            "client_id": "e80sim",
            "tenant_id": "",
            "slo_class": "standard",
            "session_id": "",
            "prefix_group": "",
            "streaming": "true" if row.ttft_ms is not None else "false",
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "text_tokens": row.input_tokens,
            "model": about.model,
            "server_input_tokens": row.input_tokens,
            "arrival_time_us": round(row.arrival_s * US_PER_S),
            "send_time_us": sent_us,
            "first_chunk_time_us": _after_us(sent_us, row.ttft_ms),
            "last_chunk_time_us": _after_us(sent_us, row.e2e_ms),
            "num_chunks": 0 if row.error else row.output_tokens,
            "status": "ok" if row.error is None else "error",
            "error_message": row.error or "",
            "finish_reason": "",
        }
        yield _csv([values[name] for name in BLIS_COLUMNS])


def blis_losses(_requests: MeasuredRequests) -> Iterator[str]:
    yield "Times are rounded to the format's us."
    yield "BLIS wants a header in YAML beside it: trace_version 3, time_unit us."


def inference_perf_json(requests: MeasuredRequests, about: About) -> Iterator[str]:
    start_s = about.created.timestamp()
    gaps = gaps_ms(requests)
    yield "["
    last = len(requests.rows) - 1
    for number, row in enumerate(requests.rows):
        text = json.dumps(_lifecycle(row, start_s + row.arrival_s, gaps[number]))
        yield text if number == last else f"{text},"
    yield "]"


def _lifecycle(row: MeasuredRequest, sent_s: float, gaps: Sequence[float]) -> dict[str, object]:
    times = [] if row.ttft_ms is None else [sent_s + row.ttft_ms / MS_PER_S]
    for gap in gaps:
        times.append(times[-1] + gap / MS_PER_S)
    error = None if row.error is None else {"error_type": row.error, "error_msg": row.error}
    return {
        "start_time": sent_s,
        "end_time": sent_s + (row.e2e_ms or 0.0) / MS_PER_S,
        "request": "",
        "response": "",
        "info": {
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "output_token_times": times,
        },
        "error": error,
    }


def _after_us(sent_us: int, ms: float | None) -> int:
    return 0 if ms is None else sent_us + round(ms * US_PER_MS)


def _csv(values: Sequence[object]) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(["" if value is None else value for value in values])
    return line.getvalue()
