"""The files that measured requests are written to. A new one is a function of lines, and a row here."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from e80sim.measured import MeasuredRequests
from e80sim.mistakes import UserError
from reports.exports import aiperf, guidellm, lines, llm_d, locust, vllm_bench
from reports.exports.answers import About
from reports.exports.spread import gap_losses


def _nothing(_requests: MeasuredRequests) -> Iterator[str]:
    return iter(())


class Export(NamedTuple):
    title: str
    lines: Callable[[MeasuredRequests, About], Iterator[str]]
    """Of the file, without their ends."""
    losses: Callable[[MeasuredRequests], Iterator[str]] = _nothing
    """What it tells otherwise than the requests, in sentences."""


EXPORTS: dict[str, Export] = {
    "columns": Export("our own columns, CSV", lines.columns_csv),
    "vllm_bench": Export("`vllm bench serve --save-detailed`", vllm_bench.lines, gap_losses),
    "aiperf_jsonl": Export("AIPerf, profile_export.jsonl", aiperf.record_lines),
    "aiperf": Export("AIPerf's summary, profile_export_aiperf.json", aiperf.summary_lines),
    "guidellm": Export("GuideLLM's JSON report", guidellm.lines),
    "inference_perf": Export(
        "inference-perf, per_request_lifecycle_metrics.json", lines.inference_perf_json, gap_losses
    ),
    "llmservingsim_jsonl": Export(
        "LLMServingSim, requests.jsonl", lines.llmservingsim_jsonl, lines.llmservingsim_losses
    ),
    "blis_csv": Export("BLIS TraceV2, the CSV", lines.blis_csv, lines.blis_losses),
    "locust_csv": Export("locust, PREFIX_stats.csv", locust.stats_csv, locust.losses),
    "llm_d": Export("llm-d's Benchmark Report 0.2.1, YAML", llm_d.report_yaml, llm_d.losses),
}


def write_export(requests: MeasuredRequests, about: About, path: Path, name: str) -> list[str]:
    """Write a new file, and tell what it has otherwise. UserError where `path` exists or nobody may write."""
    known = EXPORTS[name]
    write_lines(known.lines(requests, about), path)
    return [*requests.notes, *known.losses(requests)]


def write_lines(text: Iterator[str], path: Path) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in text)
    except FileExistsError:
        raise UserError(f"{path} exists already: choose a file that does not") from None
    except OSError as problem:
        raise UserError(f"cannot write {path}: {problem.strerror}") from None
