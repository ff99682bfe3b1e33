"""The formats that measured requests come in. A new one is a reader and a line in the table."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from e80sim.measured import aiperf, blis, columns, guidellm, inference_perf, llmservingsim, locust, vllm_bench
from e80sim.measured.files import ReadFile, read_file
from e80sim.measured.rows import MeasuredError, MeasuredRequests

AUTO = "auto"


class MeasuredFormat(NamedTuple):
    title: str
    fields: str
    """What is read, for a person."""
    tells: Callable[[ReadFile], bool]
    """Whether a file is of this format, by its columns or keys."""
    read: Callable[[ReadFile], MeasuredRequests]


FORMATS: dict[str, MeasuredFormat] = {
    "llmservingsim_jsonl": MeasuredFormat(
        "LLMServingSim, requests.jsonl of its bench",
        "`input_toks`, `output_toks`, `queued_ts`, `first_token_ts`, `last_token_ts`",
        llmservingsim.tells,
        llmservingsim.read,
    ),
    "blis_csv": MeasuredFormat(
        "BLIS TraceV2, the CSV",
        "`arrival_time_us`, `send_time_us`, `first_chunk_time_us`, `last_chunk_time_us`, `input_tokens`, "
        "`server_input_tokens`, `output_tokens`, `status`, `error_message`",
        blis.tells,
        blis.read,
    ),
    "columns": MeasuredFormat(
        "our own columns, CSV or JSON line by line",
        "`arrival_s`, `input_tokens`, `output_tokens`, `ttft_ms`, `tpot_ms`, `e2e_ms`; "
        "`cached_tokens`, `error`; also under the names of `e80sim validate`",
        columns.tells,
        columns.read,
    ),
    "vllm_bench": MeasuredFormat(
        "`vllm bench serve --save-result --save-detailed`",
        "`input_lens`, `output_lens`, `ttfts`, `itls`, `latencies`, `start_times`, `errors`",
        vllm_bench.tells,
        vllm_bench.read,
    ),
    "aiperf_jsonl": MeasuredFormat(
        "AIPerf, profile_export.jsonl",
        "`metadata.request_start_ns`, `metadata.benchmark_phase`, `error`, and of `metrics` "
        "`request_latency`, `time_to_first_token`, `input_sequence_length`, `output_sequence_length`, "
        "`inter_chunk_latency`, `usage_prompt_cache_read_tokens`",
        aiperf.tells,
        aiperf.read,
    ),
    "guidellm": MeasuredFormat(
        "GuideLLM's JSON report, of one benchmark",
        "`benchmarks[0].requests`: `request_start_time`, `request_latency`, `prompt_tokens`, "
        "`output_tokens`, `time_to_first_token_ms`, `inter_token_latency_ms`, `cached_tokens`, `info.error`",
        guidellm.tells,
        guidellm.read,
    ),
    "inference_perf": MeasuredFormat(
        "inference-perf, per_request_lifecycle_metrics.json",
        "`start_time`, `end_time`, `info.output_token_times`, `computed_metrics.input_tokens`, "
        "`computed_metrics.output_tokens`, `error`",
        inference_perf.tells,
        inference_perf.read,
    ),
}


def read_measured(path: Path, format: str = AUTO) -> MeasuredRequests:  # noqa: A002 -- the word of the option
    """Read a file in one of `FORMATS`, or in the one that its columns or keys tell of.

    Raises:
        MeasuredError: the file, a row, or what it lacks.

    """
    if format != AUTO and format not in FORMATS:
        raise MeasuredError(
            f"there is no format {format!r} of measured requests; there are {', '.join(FORMATS)}"
        )
    file = read_file(path)
    if not file.objects and not file.names:
        raise MeasuredError(f"{path} holds no requests: it is empty or blank")
    name = _recognised(file) if format == AUTO else format
    return FORMATS[name].read(file)


def holds_requests(path: Path) -> bool:
    """Whether a file is of one of `FORMATS`, or the summary of a tool that writes one."""
    try:
        file = read_file(path)
    except MeasuredError:
        return False
    summary = any(file.names >= keys for keys in SUMMARIES.values())
    return summary or any(known.tells(file) for known in FORMATS.values())


SUMMARIES: dict[str, frozenset[str]] = {
    "locust's sums by name, which `e80sim compare RUN --measured` takes; let its users write a row per "
    "request": locust.NAMES,
    "locust's sums over time; give its _stats.csv to `e80sim compare RUN --measured`": frozenset(
        {"Timestamp", "User Count", "Name"}
    ),
    "AIPerf's summary; give its profile_export.jsonl": frozenset({"aiperf_version", "input_config"}),
    "a summary of inference-perf; give its per_request_lifecycle_metrics.json": frozenset(
        {"load_summary", "successes"}
    ),
}
"""Files that tools leave beside those with requests, and what to do instead."""


def _recognised(file: ReadFile) -> str:
    for told, keys in SUMMARIES.items():
        if file.names >= keys:
            raise MeasuredError(f"{file.path} holds no requests, but {told}")
    for name, known in FORMATS.items():
        if (file.objects or file.is_csv) and known.tells(file):
            return name
    if file.is_csv:
        return "columns"  # which says what is missing
    names = ", ".join(sorted(file.names))
    raise file.error(f"keys {names[:200]} are of no known format of measured requests: {', '.join(FORMATS)}")
