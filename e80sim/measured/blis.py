"""BLIS TraceV2: the CSV of a trace whose header stands in a YAML file beside it, stamps in us.

`arrival_time_us` counts from the start of the run, the other stamps from anywhere; 0 is "not recorded".
Origin of the columns: github.com/inference-sim/inference-sim, sim/workload/tracev2.go.
"""

from e80sim.measured.cells import Cells
from e80sim.measured.files import ReadFile
from e80sim.measured.rows import MeasuredRequest, MeasuredRequests, in_order, per_token_ms

COLUMNS = (
    "request_id",
    "client_id",
    "tenant_id",
    "slo_class",
    "session_id",
    "round_index",
    "prefix_group",
    "prefix_length",
    "streaming",
    "input_tokens",
    "output_tokens",
    "text_tokens",
    "image_tokens",
    "audio_tokens",
    "video_tokens",
    "reason_ratio",
    "model",
    "deadline_us",
    "server_input_tokens",
    "arrival_time_us",
    "send_time_us",
    "first_chunk_time_us",
    "last_chunk_time_us",
    "num_chunks",
    "status",
    "error_message",
    "finish_reason",
)
NEEDED = (
    "input_tokens",
    "output_tokens",
    "arrival_time_us",
    "send_time_us",
    "first_chunk_time_us",
    "last_chunk_time_us",
)
US_PER_S, MS_PER_US = 1e6, 1e-3


def tells(file: ReadFile) -> bool:
    return file.is_csv and file.names >= set(NEEDED)


def read(file: ReadFile) -> MeasuredRequests:
    """Arrivals are those of the sends where all have one, since the other stamps count from there."""
    sent = all(_stamp(cells, "send_time_us") for cells in file.objects)
    note = "" if sent else "No times: rows without a send_time_us were planned, and not measured."
    rows = [_row(cells, sent=sent) for cells in file.objects]
    return in_order(file.path, "blis_csv", rows, [note] if note else [])


def _row(cells: Cells, *, sent: bool) -> MeasuredRequest:
    start_us = _stamp(cells, "send_time_us" if sent else "arrival_time_us")
    input_tokens = cells.tokens_or("server_input_tokens", 0) or cells.tokens("input_tokens")
    output, arrival_s = cells.tokens("output_tokens"), start_us / US_PER_S
    status = cells.text("status") or "ok"
    if status != "ok":
        return MeasuredRequest(arrival_s, input_tokens, output, error=cells.text("error_message") or status)
    if not sent:
        return MeasuredRequest(arrival_s, input_tokens, output)
    first, last = _stamp(cells, "first_chunk_time_us"), _stamp(cells, "last_chunk_time_us")
    ttft_ms = MS_PER_US * (first - start_us) if first else None
    e2e_ms = MS_PER_US * (last - start_us) if last else None
    tpot_ms = per_token_ms(ttft_ms, e2e_ms, output)
    return MeasuredRequest(arrival_s, input_tokens, output, ttft_ms, tpot_ms, e2e_ms)


def _stamp(cells: Cells, name: str) -> int:
    text = cells.text(name) or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise cells.error(f"{name} is {text!r}, expected a whole number of us")
    return int(text)
