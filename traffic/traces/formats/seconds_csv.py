"""CSV traces stamped in seconds from a start: Vidur's, BurstGPT's and SplitwiseSim's, by other names.

Columns and origin: github.com/microsoft/vidur, data/processed_traces; github.com/HPMLL/BurstGPT, data;
github.com/Mutinifni/splitwise-sim, generate_trace.py.
BurstGPT has a row with 0 response tokens for each request that failed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from traffic.traces.formats.csv_rows import CsvRows
from traffic.traces.formats.fields import BadValueError, seconds_ps, tokens
from traffic.traces.trace import Trace, TraceRows
from traffic.traces.words import TraceError
from traffic.units import PS_PER_S


class SecondsCsv(NamedTuple):
    """The names of the columns."""

    seconds: str
    prompt_tokens: str
    output_tokens: str

    def read(self, path: Path, limit_rows: int | None = None) -> Trace:
        rows, table = TraceRows(path), CsvRows(path, tuple(self), limit_rows)
        for line, (seconds, prompt, output) in table:
            try:
                at_ps = seconds_ps(self.seconds, seconds)
                prompt_tokens = tokens(self.prompt_tokens, prompt)
                output_tokens = tokens(self.output_tokens, output)
            except BadValueError as problem:
                raise TraceError(f"{path} line {line}: {problem}") from None
            rows.add(line, f"{seconds.strip()} s", at_ps, prompt_tokens, output_tokens)
        return rows.trace(table.notes)

    def lines(self, trace: Trace) -> Iterator[str]:
        """Seconds with as many digits as they need, twelve at most."""
        yield ",".join(self)
        for at_ps, prompt, output in trace:
            yield f"{_seconds(at_ps)},{prompt},{output}"


def splitwise_csv(trace: Trace) -> Iterator[str]:
    """With the columns that its simulator asks for: requests of type 2, an LLM's, each alone."""
    yield "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size"
    for number, (at_ps, prompt, output) in enumerate(trace):
        yield f"{number},2,0,{_seconds(at_ps)},1,{prompt},{output}"


def _seconds(at_ps: int) -> str:
    seconds, fraction_ps = divmod(at_ps, PS_PER_S)
    fraction = f"{fraction_ps:012d}".rstrip("0") or "0"
    return f"{seconds}.{fraction}"


VIDUR = SecondsCsv("arrived_at", "num_prefill_tokens", "num_decode_tokens")
BURSTGPT = SecondsCsv("Timestamp", "Request tokens", "Response tokens")
SPLITWISE = SecondsCsv("arrival_timestamp", "prompt_size", "token_size")
