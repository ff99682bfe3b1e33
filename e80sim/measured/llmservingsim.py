"""What LLMServingSim's `bench` leaves of a vLLM run: requests.jsonl, the engine's own stamps in seconds.

Times count from `queued_ts`: the API server and the tokenizer are outside. `arrival_time` is another clock.
Origin of the keys: github.com/casys-kaist/LLMServingSim, bench/examples.
"""

from e80sim.measured.files import ReadFile
from e80sim.measured.rows import MeasuredRequest, MeasuredRequests, in_order

KEYS = ("input_toks", "output_toks", "queued_ts", "scheduled_ts", "first_token_ts", "last_token_ts")
MS_PER_S = 1e3


def tells(file: ReadFile) -> bool:
    return file.names >= {"input_toks", "output_toks", "queued_ts", "first_token_ts", "last_token_ts"}


def read(file: ReadFile) -> MeasuredRequests:
    rows = []
    for cells in file.objects:
        output = cells.tokens("output_toks", least=1)
        queued, first, last = (cells.time(f"{name}_ts") for name in ("queued", "first_token", "last_token"))
        if not queued <= first <= last:
            raise cells.error(
                f"queued_ts {queued}, first_token_ts {first} and last_token_ts {last} are not in order"
            )
        ttft_ms, e2e_ms = MS_PER_S * (first - queued), MS_PER_S * (last - queued)
        tpot_ms = MS_PER_S * (last - first) / (output - 1) if output > 1 else None
        rows.append(
            MeasuredRequest(queued, cells.tokens("input_toks", least=1), output, ttft_ms, tpot_ms, e2e_ms)
        )
    return in_order(file.path, "llmservingsim_jsonl", rows, ["Times count from the engine's queue on."])
